"""A signal: something that customers report more than the baseline allows, with its evidence."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class SignalKind(StrEnum):
    """What was tested."""

    THEME = "theme"
    CATEGORY = "category"
    SEGMENT = "segment"
    RELEASE = "release"


class Severity(StrEnum):
    """P1 is the most severe."""

    P1 = "P1"
    P2 = "P2"
    P3 = "P3"
    P4 = "P4"

    @property
    def rank(self) -> int:
        """1 for P1 … 4 for P4."""
        return int(self.value[1])


@dataclass(frozen=True, slots=True)
class SeverityTerm:
    """One visible term of a severity: points = weight x value (value in 0..1)."""

    name: str
    value: float
    weight: float
    reason: str

    @property
    def points(self) -> float:
        """The term's share of the sum."""
        return self.value * self.weight


KEPT_IDS = 500
"""So many ids of a signal's complaints are kept with it; there may be a hundred thousand."""


@dataclass(frozen=True, slots=True)
class Signal:
    """One underlying problem of one product, raised by a detector.

    `evidence` is an e-value (M/720 for the series detector, E for the release watch), or 1 over the
    alarms that chance raises in a month (the peaks of a busy series); `threshold` is what it had to
    reach; `family_size` the number of series tested beside it. `count` and `baseline` cover
    [window_start, window_end); `count_6h` and `baseline_6h` the last six hours, which the policy's
    floor is about. `historic` marks a signal of backfilled rows: never acted on.

    `feedback_ids` are the newest complaints, KEPT_IDS at most: to quote, not to count by.

    `trust` (0..1) is how far the complaints speak for themselves and of the product, `oddities` say
    in words what lowers it. `order_value` is what the orders that complaints name are worth together,
    in the shop's currency; `tiers` are the authors of each customer tier that is known; `segments`
    the "column=value" in which the complaints concentrate.
    """

    signal_id: str
    product: str
    kind: SignalKind
    series_id: str
    window_start: datetime
    window_end: datetime
    count: int
    baseline: float
    count_6h: int
    baseline_6h: float
    detector: str
    evidence: float
    threshold: float
    family_size: int
    fdr_pass: bool
    detected_at: datetime
    feedback_ids: tuple[str, ...]
    theme_id: str | None = None
    category: str | None = None
    version: str | None = None
    confidence: float | None = None
    confidence_calibrated: bool = False
    authors: int = 0
    severity: Severity = Severity.P4
    severity_terms: tuple[SeverityTerm, ...] = ()
    segment: str | None = None
    parent_id: str | None = None
    historic: bool = False
    reviews_exposed: int | None = None
    reviews_unexposed: int | None = None
    trust: float = 1.0
    oddities: tuple[str, ...] = ()
    order_value: float = 0.0
    tiers: tuple[tuple[str, int], ...] = ()
    segments: tuple[str, ...] = ()

    @property
    def ratio(self) -> float:
        """Count over baseline; the baseline is held at half a complaint at least."""
        return self.count / max(self.baseline, 0.5)

    @property
    def all_kept(self) -> bool:
        """Whether `feedback_ids` are all of its complaints."""
        return self.count <= KEPT_IDS


SHARED_TEXTS = 0.5
"""Two signals that share this part of the smaller one's complaints are one problem."""
MIN_SHARED = 3


def share_complaints(shared: int, one: int, other: int) -> bool:
    """Return whether two signals rest on the same complaints: half of the smaller's, at least 3.

    `shared` are the complaints of both, of as many as each has in all.
    """
    return shared >= max(MIN_SHARED, SHARED_TEXTS * min(one, other))


@dataclass(frozen=True, slots=True)
class Attribution:
    """How well one candidate explains a signal; `change_id` None is "none of these".

    `effect` is the odds ratio (exposed against unexposed at the same time) with its 95% interval
    where versions or flags are named, else None; `posterior` sums to 1 over a signal's candidates.
    `blamed` is set on the one candidate that reached the threshold of blame, if any.
    """

    signal_id: str
    change_id: str | None
    kind: str
    name: str
    posterior: float
    effect: float | None = None
    effect_low: float | None = None
    effect_high: float | None = None
    exposed: int | None = None
    unexposed: int | None = None
    blamed: bool = False
    reasons: tuple[str, ...] = field(default=())
