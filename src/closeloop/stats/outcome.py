"""Did complaints fall after a fix: the rate ratio, its interval, and what can be said of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import betainc, betaincinv, gammainc

from closeloop.domain.outcome import Verdict

HELD_BELOW, FAILED_ABOVE, SURE = 0.5, 0.7, 0.95
STILL_RAISED = 2.0
"""Complaints surely so many times the usual are the trouble itself."""
ABOVE_USUAL = 1.2
"""What is surely over so many times the usual (the policy's floor for a rise) is not the usual."""
OVERDISPERSION_A_DAY = 0.1
ZERO_NEEDS = ((14.0, 3), (7.0, 5), (3.0, 10))
"""With no complaint afterwards: after so many days, so many complaints before are needed."""


@dataclass(frozen=True, slots=True)
class RateRatio:
    """Complaints a day after over before, with the 95% interval and the verdict."""

    ratio: float
    low: float
    high: float
    verdict: Verdict


def rate_ratio(
    *,
    before: int,
    days_before: float,
    after: int,
    days_after: float,
    usual: float | None = None,
    lasted: bool = True,
) -> RateRatio:
    """Return the rate ratio after over before and what it says.

    Complaints come in bursts, so y in d days tell as much as u = y / (1 + .1 y/d) of them would; the
    share of these that lies after is Beta(u1 + 1/2, u0 + 1/2), and each stands for y/u complaints.
    Held: P(ratio < .5) >= .95, where the trouble `lasted` until the fix: the calm after one that was
    over by then is not its doing. Failed: P(ratio > .7) >= .95 while complaints are surely over the
    `usual` ones a day, or P(ratio > .5) >= .95 while they are surely twice as many. The first alone
    can hardly be said of a trouble that was mended after three days: they are too few to tell 1 from
    .7, however many days come afterwards. Neither, where no more than the usual came before.
    """
    worth_before, worth_after = _worth(before, days_before), _worth(after, days_after)
    a, b = after / worth_after + 0.5, before / worth_before + 0.5
    scale = days_before / days_after * worth_after / worth_before

    def quantile(p: float) -> float:
        share = float(betaincinv(a, b, p))
        return share / max(1.0 - share, 1e-12) * scale

    def below(ratio: float) -> float:
        return float(betainc(a, b, ratio / (ratio + scale)))

    def over(times: float) -> bool:
        return surely_over(after, times * (usual or 0.0) * days_after, days=days_after)

    troubled = usual is None or more_than_usual(before, usual, days=days_before)
    if after == 0:
        held = any(days_after >= days and before >= needed for days, needed in ZERO_NEEDS)
        failed = False
    else:
        held = below(HELD_BELOW) >= SURE
        failed = 1.0 - below(FAILED_ABOVE) >= SURE and over(ABOVE_USUAL)
        # Without a usual there is nothing that twice as many could be told from.
        failed |= usual is not None and 1.0 - below(HELD_BELOW) >= SURE and over(STILL_RAISED)
    verdict = Verdict.NOT_ENOUGH_EVIDENCE
    if troubled and lasted and held:
        verdict = Verdict.HELD
    elif troubled and failed:
        verdict = Verdict.FAILED
    return RateRatio(
        ratio=quantile(0.5),
        low=quantile(0.025),
        high=quantile(0.975),
        verdict=verdict,
    )


def more_than_usual(before: int, usual: float, *, days: float) -> bool:
    """Return whether more than the `usual` complaints a day came before: else nothing was to mend."""
    return before > usual * days


def surely_over(count: int, expected: float, *, days: float) -> bool:
    """Return whether more than `expected` complaints come in `days` with probability .95.

    `count` came; they are Gamma(u + 1/2), u = y / (1 + .1 y/d).
    """
    worth = _worth(count, days)
    return 1.0 - float(gammainc(count / worth + 0.5, expected / worth)) >= SURE


def _worth(count: int, days: float) -> float:
    """Return for how many complaints, coming in bursts, one stands that tells something new."""
    return 1.0 + OVERDISPERSION_A_DAY * count / days


# Tickets that were resolved before their version was brought into one form have it as it was typed.
_DOTTED = re.compile(r"\d{1,9}(?:\.\d{1,9})*")
LAST_REVIEWS, FEWEST_REVIEWS, ADOPTED_SHARE = 10, 5, 0.5


def adopted_at(versions: Sequence[str], fixed: str) -> int | None:
    """Return the place of the first review by which half of the last ten came with the fix.

    `versions` of the reviews since the resolution, in order of time, at least five of them. A later
    version holds the fix too, and 2.8 is 2.8.0. None where it has not come to that: the median
    version takes 48 h, a quarter 96 h and more, 13% never do.
    """
    has_fix = [holds_fix(version, fixed) for version in versions]
    for place in range(FEWEST_REVIEWS - 1, len(has_fix)):
        last = has_fix[max(0, place + 1 - LAST_REVIEWS) : place + 1]
        if sum(last) >= ADOPTED_SHARE * len(last):
            return place
    return None


def holds_fix(version: str, fixed: str) -> bool:
    """Return whether a version is the fixed one or a later one."""
    if version == fixed:
        return True
    one, other = _numbers(version), _numbers(fixed)
    return bool(one) and bool(other) and one >= other


def _numbers(version: str) -> tuple[int, ...]:
    """Return the numbers of a version but zeros at the end: v2.8.0 and 2.8 (123) are (2, 8)."""
    found = _DOTTED.search(version)
    numbers = [int(part) for part in found[0].split(".")] if found else []
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
