"""What can be wrong with what a source delivers, and which verdicts that suspends."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Ailment(StrEnum):
    """How what a source delivers differs from what it usually does."""

    SILENT = "silent"
    PARTIAL = "partial"
    MISSING = "missing"
    CAPPED = "capped"
    BACKFILLED = "backfilled"
    BEGINS = "begins"


class Suspends(StrEnum):
    """A verdict that isn't given while a source is ailing."""

    SIGNALS = "signals"
    RELEASE_WATCH = "release watch"
    HELD = "held"


SUSPENDED: dict[Ailment, tuple[Suspends, ...]] = {
    Ailment.SILENT: (Suspends.SIGNALS, Suspends.RELEASE_WATCH, Suspends.HELD),
    # What is missing can only make a count smaller: a rise is one all the more.
    Ailment.PARTIAL: (Suspends.RELEASE_WATCH, Suspends.HELD),
    Ailment.MISSING: (Suspends.RELEASE_WATCH,),
    Ailment.CAPPED: (Suspends.RELEASE_WATCH, Suspends.HELD),
    Ailment.BACKFILLED: (Suspends.SIGNALS,),
    Ailment.BEGINS: (Suspends.SIGNALS,),
}


@dataclass(frozen=True, slots=True)
class Episode:
    """Hours (since 1970) in which a source was ailing: [since, until), `until` None while it lasts.

    `stratum` names a part of what it delivers ("rating=5"), empty for all. `observed` came where
    `expected` was usual.
    """

    source: str
    ailment: Ailment
    since: int
    until: int | None
    observed: float
    expected: float
    reason: str
    stratum: str = ""

    @property
    def suspends(self) -> tuple[Suspends, ...]:
        """The verdicts that are not given meanwhile."""
        return SUSPENDED[self.ailment]

    def overlaps(self, since: int, until: int) -> bool:
        """Return whether any of the hours [since, until) is one of it."""
        return self.since < until and (self.until is None or self.until > since)
