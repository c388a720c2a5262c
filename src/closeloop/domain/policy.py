"""Policy: which signals become tickets, which go to a person, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from closeloop.domain.signal import Severity


class Action(StrEnum):
    """What is done with a signal."""

    TICKET = "ticket"
    REVIEW = "review"
    DIGEST = "digest"
    SUPPRESS = "suppress"


DEFAULT_TIERS = (
    ("enterprise", 1.0),
    ("vip", 1.0),
    ("platinum", 1.0),
    ("business", 0.8),
    ("premium", 0.6),
    ("gold", 0.6),
    ("pro", 0.5),
)
"""How much a customer of a tier weighs where policy.yaml names none."""


@dataclass(frozen=True, slots=True)
class SeverityWeights:
    """Weights of the visible terms and the points from which a severity starts.

    `tiers` says how much a customer of a tier weighs (0..1; one that is not named weighs nothing);
    orders worth `full_order_value` together, in the shop's currency, are the full revenue term.
    """

    sentiment: float = 15.0
    size: float = 25.0
    acceleration: float = 10.0
    customers: float = 15.0
    revenue: float = 10.0
    tier: float = 10.0
    recency: float = 5.0
    impact: float = 25.0
    release: float = 10.0
    safety: float = 40.0
    p1: float = 70.0
    p2: float = 50.0
    p3: float = 30.0
    full_order_value: float = 10_000.0
    tiers: tuple[tuple[str, float], ...] = DEFAULT_TIERS


@dataclass(frozen=True, slots=True)
class Rule:
    """One typed rule: every stated bound must hold; the first rule that holds names the action.

    `tiers` asks for `min_tier_authors` (one, where that is not stated) authors of these tiers
    together; `segments` are "column=value", or a column for any of its values.
    """

    name: str
    action: Action
    min_confidence: float | None = None
    min_ratio_6h: float | None = None
    min_count: int | None = None
    min_authors: int | None = None
    severities: tuple[Severity, ...] = ()
    categories: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    require_fdr: bool = False
    min_reviews_a_side: int | None = None
    tiers: tuple[str, ...] = ()
    min_tier_authors: int | None = None
    min_revenue: float | None = None
    segments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """The whole of policy.yaml, with the version that each decision records.

    `false_alarms_per_month` (B) and `fdr` (q) set the detector's thresholds; `labels_for_autonomy`
    is how many reviewed labels a category needs before its tickets open without a person, and
    `precision_for_autonomy` the share of them that must have been right. Below `min_trust` a signal
    opens no ticket by any rule: a person looks.
    """

    rules: tuple[Rule, ...]
    version: str
    false_alarms_per_month: float = 1.0
    fdr: float = 0.1
    labels_for_autonomy: int = 100
    precision_for_autonomy: float = 0.85
    min_trust: float = 0.5
    snooze: timedelta = timedelta(days=7)
    weights: SeverityWeights = field(default_factory=SeverityWeights)
    sla_hours: tuple[tuple[Severity, int], ...] = (
        (Severity.P1, 24),
        (Severity.P2, 72),
        (Severity.P3, 240),
        (Severity.P4, 720),
    )


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided of a signal; `would_ticket` is the action but for autonomy not yet earned."""

    decision_id: str
    signal_id: str
    action: Action
    would_ticket: bool
    rule: str
    reasons: tuple[str, ...]
    policy_version: str
    decided_at: datetime
