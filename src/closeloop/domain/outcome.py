"""Outcome: did the fix reduce the complaints?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Verdict(StrEnum):
    """The answer, which may be that there is not enough evidence yet."""

    HELD = "held"
    FAILED = "failed"
    MOVED = "moved"
    NOT_ENOUGH_EVIDENCE = "not_enough_evidence"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Complaints per day before and after a fix, the rate ratio with its 95% interval, the verdict."""

    ticket_id: str
    signal_id: str
    measured_at: datetime
    clock_started_at: datetime
    days_before: float
    days_after: float
    complaints_before: int
    complaints_after: int
    rate_ratio: float | None
    ratio_low: float | None
    ratio_high: float | None
    verdict: Verdict
    reasons: tuple[str, ...] = ()
