"""Tells when less came from a source than usual: silence, a part, or one star that is missing.

The same evidence as for rises (a gamma-Poisson baseline, Shiryaev-Roberts over windows), for falls
to nothing, a tenth, a quarter and a half.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from closeloop.stats.baseline import HOLD_BACK_DAYS, Baselines, Floats, Ints
from closeloop.stats.evidence import HOURS_A_MONTH, Bools, log_ratios

FALL_WINDOWS_H = (6, 12, 24, 48, 72, 168)
FALL_GAPS_H = (6, 6, 12, 24, 24, 96)
FALLS = (0.0, 0.1, 0.25, 0.5)
TO_NOTHING = (0.0,)
MONTHS_BETWEEN = 12.0
"""One false alarm of a source in so many months: a suspended verdict costs more than a late one."""
SHORT, BACK = 0.5, 0.7
"""A shortfall begins where the last day has less than half of the usual, and ends at 70%."""
SILENCE_EVIDENCE = 100.0
"""Evidence of the hours without anything by themselves, from which a shortfall is a silence."""
MIN_HISTORY_DAYS = 14
DAY_H = 24


@dataclass(frozen=True, slots=True)
class Shortfall:
    """Hours in which too little came: [since, until), `until` None while it lasts.

    `known` is the hour at which it could be told. `observed` came where `expected` was usual.
    """

    silent: bool
    since: int
    known: int
    until: int | None
    observed: float
    expected: float
    evidence: float


def shortfalls(
    counts: Floats, known: Baselines, *, column: int, since: int, ratios: tuple[float, ...] = FALLS
) -> list[Shortfall]:
    """Return the shortfalls that last at the hour `since` or begin after it, in order of time.

    `counts` [hours] from the first hour of the baselines' first day on, up to the last hour that
    may be judged. Nothing is said before 14 days of history.
    """
    first = known.first_day * 24
    total = np.concatenate([[0.0], np.cumsum(counts)])
    passed = np.concatenate([[0.0], np.cumsum(known.by_hour[: len(counts)])])
    at = np.arange(max(since - first, 0), len(counts))
    if len(at) == 0:
        return []
    row = at // 24
    recent = np.maximum(at + 1 - DAY_H, 0)
    day_count = total[at + 1] - total[recent]
    day_expected = known.mean[row, column] * (passed[at + 1] - passed[recent])
    logs, widths = _fall_terms(at, total, passed, known, column=column, ratios=ratios)
    low = (logs >= np.log(MONTHS_BETWEEN)) & (day_count < SHORT * day_expected)
    back = (day_count >= BACK * day_expected) & (day_count > 0)
    found: list[Shortfall] = []
    place = 0
    while place < len(at):
        begins = _next(low, place)
        if begins is None:
            break
        ends = _next(back, begins + 1)
        hour = int(at[begins])
        start, silent = _start(hour, int(widths[begins]), counts, passed, known, column=column)
        stop = len(counts) if ends is None else int(at[ends])
        found.append(
            Shortfall(
                silent=silent,
                since=first + start,
                known=first + hour,
                until=None if ends is None else first + stop,
                observed=float(total[stop] - total[start]),
                expected=float(known.mean[hour // 24, column] * (passed[stop] - passed[start])),
                evidence=float(np.exp(min(logs[begins], 600.0))),
            )
        )
        place = len(at) if ends is None else ends + 1
    return found


def _next(where: Bools, start: int) -> int | None:
    held = np.flatnonzero(where[start:])
    return int(held[0]) + start if len(held) else None


def _fall_terms(
    at: Ints,
    total: Floats,
    passed: Floats,
    known: Baselines,
    *,
    column: int,
    ratios: tuple[float, ...],
) -> tuple[Floats, Ints]:
    """Return log evidence (an e-value over a month) of each hour, and the window that says most."""
    logs = np.full((len(at), len(FALL_WINDOWS_H)), -np.inf)
    for w, width in enumerate(FALL_WINDOWS_H):
        row = np.maximum(at // 24 - max(-(-width // 24) - HOLD_BACK_DAYS, 0), 0)
        start = np.maximum(at + 1 - width, 0)
        terms = log_ratios(
            total[at + 1] - total[start],
            passed[at + 1] - passed[start],
            mean=known.mean[row, column],
            shape=known.shape[row, column],
            phi=known.phi[row, column],
            width=width,
            ratios=ratios,
        )
        terms[known.known_days[row] < MIN_HISTORY_DAYS] = -np.inf
        logs[:, w] = terms + np.log(FALL_GAPS_H[w])
    widths = np.asarray(FALL_WINDOWS_H)[logs.argmax(axis=1)]
    return np.asarray(np.logaddexp.reduce(logs, axis=1) - np.log(HOURS_A_MONTH)), widths


def _start(
    hour: int, width: int, counts: Floats, passed: Floats, known: Baselines, *, column: int
) -> tuple[int, bool]:
    """Return from which hour on too little came, and whether nothing at all came since then."""
    came = np.flatnonzero(counts[: hour + 1])
    start = int(came[-1]) + 1 if len(came) else 0
    if start <= hour:
        row = min(start, hour) // 24
        evidence = log_ratios(
            np.zeros(1),
            passed[hour + 1 : hour + 2] - passed[start],
            mean=known.mean[row, column : column + 1],
            shape=known.shape[row, column : column + 1],
            phi=known.phi[row, column : column + 1],
            width=hour + 1 - start,
            ratios=TO_NOTHING,
        )
        if float(evidence[0]) >= np.log(SILENCE_EVIDENCE):
            return start, True
    return max(hour + 1 - width, 0), False


CEILING_MIN = 10.0
CEILING_TIMES = 10
CEILING_SHARE = 0.05


def at_ceiling(counts: Floats) -> bool:
    """Return whether counts [hours or days] stop at one largest number again and again.

    A page limit does that: the largest count, 10 at least, comes ten times and more, in one of
    twenty of the times in which anything comes. Poisson counts of that size meet their maximum
    once or twice.
    """
    if len(counts) == 0 or float(counts.max()) < CEILING_MIN:
        return False
    at_most = int((counts == counts.max()).sum())
    return at_most >= CEILING_TIMES and at_most >= CEILING_SHARE * int((counts > 0).sum())
