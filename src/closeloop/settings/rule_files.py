"""What taxonomy.yaml, owners.yaml and policy.yaml may hold."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    Field,
    model_validator,
)

from closeloop.domain.policy import DEFAULT_TIERS, Action
from closeloop.domain.signal import Severity
from closeloop.settings.values import (
    Duration,
    Strict,
)


class CategorySettings(Strict):
    """One category of taxonomy.yaml."""

    name: str
    description: str
    examples: tuple[str, ...] = Field(min_length=1)
    complaint: bool = True
    impact: float = Field(0.5, ge=0, le=1)
    words: tuple[str, ...] = ()
    alone: bool = False


class TaxonomySettings(Strict):
    """All of taxonomy.yaml."""

    name: str = "taxonomy"
    categories: tuple[CategorySettings, ...] = Field(min_length=2)


class OwnerSettings(Strict):
    """One rule of owners.yaml."""

    owner: str
    category: str | None = None
    product: str | None = None
    component: str | None = None
    words: tuple[str, ...] = ()
    contact: str | None = None
    tracker_project: str | None = None


class OwnersSettings(Strict):
    """All of owners.yaml."""

    name: str = "owners"
    default_owner: str = "triage"
    rules: tuple[OwnerSettings, ...] = ()


SEGMENT_COLUMNS = ("region", "sku", "fulfilment_centre", "customer_tier", "platform", "version")
"""Columns of feedback in which a signal's complaints may concentrate."""


def _segment(value: str) -> str:
    column, equals, name = (part.strip() for part in value.partition("="))
    if column not in SEGMENT_COLUMNS or (equals and not name):
        raise ValueError(f"write column=value, the column one of {', '.join(SEGMENT_COLUMNS)}")
    return f"{column}={name}" if equals else column


class RuleSettings(Strict):
    """One rule of policy.yaml."""

    name: str
    action: Action
    min_confidence: float | None = Field(None, ge=0, le=1)
    min_ratio_6h: float | None = Field(None, ge=0)
    min_count: int | None = Field(None, ge=1)
    min_authors: int | None = Field(None, ge=1)
    severities: tuple[Severity, ...] = ()
    categories: tuple[str, ...] = ()
    kinds: tuple[Literal["theme", "category", "segment", "release"], ...] = ()
    products: tuple[str, ...] = ()
    require_fdr: bool = False
    min_reviews_a_side: int | None = Field(None, ge=1)
    tiers: tuple[str, ...] = ()
    min_tier_authors: int | None = Field(None, ge=1)
    min_revenue: float | None = Field(None, gt=0)
    segments: tuple[Annotated[str, AfterValidator(_segment)], ...] = ()

    @model_validator(mode="after")
    def _tiers_are_named(self) -> RuleSettings:
        if self.min_tier_authors is not None and not self.tiers:
            raise ValueError("min_tier_authors counts authors of tiers; name them in 'tiers'")
        return self


class WeightSettings(Strict):
    """Weights of severity's visible terms, and the points from which a severity starts."""

    sentiment: float = Field(15.0, ge=0)
    size: float = Field(25.0, ge=0)
    acceleration: float = Field(10.0, ge=0)
    customers: float = Field(15.0, ge=0)
    revenue: float = Field(10.0, ge=0)
    tier: float = Field(10.0, ge=0)
    recency: float = Field(5.0, ge=0)
    impact: float = Field(25.0, ge=0)
    release: float = Field(10.0, ge=0)
    safety: float = Field(40.0, ge=0)
    p1: float = Field(70.0, ge=0)
    p2: float = Field(50.0, ge=0)
    p3: float = Field(30.0, ge=0)
    full_order_value: float = Field(10_000.0, gt=0)
    tiers: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(
        default_factory=lambda: dict(DEFAULT_TIERS)
    )


class PolicySettings(Strict):
    """All of policy.yaml."""

    name: str = "policy"
    false_alarms_per_month: float = Field(1.0, gt=0)
    fdr: float = Field(0.1, gt=0, lt=1)
    labels_for_autonomy: int = Field(100, ge=1)
    precision_for_autonomy: float = Field(0.85, ge=0, le=1)
    min_trust: float = Field(0.5, ge=0, le=1)
    snooze: Duration = timedelta(days=7)
    sla_hours: dict[Severity, int] = Field(
        default_factory=lambda: {
            Severity.P1: 24,
            Severity.P2: 72,
            Severity.P3: 240,
            Severity.P4: 720,
        }
    )
    weights: WeightSettings = WeightSettings()
    rules: tuple[RuleSettings, ...] = Field(min_length=1)
