"""What is said of fixes whose effect is known: complaints a day before and after, days that vary.

    python benchmarks/outcomes.py [--runs 400]

A trouble of so many days brings so many complaints a day, the usual ones among them; after its fix
come so many times as many. Days vary by more than chance (variance .1 of their square). A fix is
looked at daily for thirty days as `verify` does: what counts is what is said first, and whether the
other is ever said. A fix "works" under half of the complaints; where it works, they fall to the usual.

Last a trouble that was over weeks before anybody closed its ticket: what comes afterwards is the
usual, or the trouble again.
"""

from __future__ import annotations

import argparse
from collections import Counter

import numpy as np

from closeloop.domain.outcome import Verdict
from closeloop.stats.baseline import Floats, Ints
from closeloop.stats.life import OVER_AFTER_H, raised_span
from closeloop.stats.outcome import rate_ratio

PHI_A_DAY = 0.1
DAYS_AFTER = 30
TROUBLES = ((3, 10.0), (3, 40.0), (7, 10.0), (7, 40.0))
USUAL = 2.0
RATIOS = (0.1, 0.3, 0.5, 0.7, 1.0)
OVER = ((2, 60.0, 10.0), (3, 40.0, 2.0), (3, 10.0, 2.0))
"""Troubles that were over before the fix: days, complaints a day, usual ones a day."""
OVER_FOR = 18
DAY_H = 24


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=400)
    options = parser.parse_args()
    print("| trouble | after, times before | held first | days | failed first | days | both said |")
    print("|---" * 7 + "|")
    for days, rate in TROUBLES:
        for ratio in RATIOS:
            after = max(ratio * rate, USUAL)
            told = _stories(options.runs, np.full(days, rate), days, after, USUAL)
            print(f"| {days} days of {rate:.0f} | {ratio} | {_line(told)} |")
    for days, rate, usual in OVER:
        rates = np.repeat([rate, usual], [days, OVER_FOR])
        for after in (usual, rate):
            told = _stories(options.runs, rates, days, after, usual)
            name = f"{days} days of {rate:.0f}, over {OVER_FOR} days before ({usual:.0f} usual)"
            print(f"| {name} | {after / rate:.2g} | {_line(told)} |")


def _line(told: list[tuple[Verdict | None, int, bool]]) -> str:
    first = Counter(verdict for verdict, _, _ in told)
    parts = []
    for verdict in (Verdict.HELD, Verdict.FAILED):
        days = [day for said, day, _ in told if said is verdict]
        median = f"{np.median(days):.0f}" if days else "–"
        parts.append(f"{first[verdict] / len(told):.2f} | {median}")
    return f"{' | '.join(parts)} | {sum(both for _, _, both in told) / len(told):.3f}"


def _stories(
    runs: int, rates: Floats, window: int, after: float, usual: float
) -> list[tuple[Verdict | None, int, bool]]:
    rng = np.random.default_rng(7)
    return [_story(rng, rates, window, after, usual) for _ in range(runs)]


def _story(
    rng: np.random.Generator, rates: Floats, window: int, after: float, usual: float
) -> tuple[Verdict | None, int, bool]:
    """Return what was said first, after how many days, and whether the other was said too.

    `rates` [days] are those from the trouble's beginning to its fix; its signal has the first `window`.
    """
    fixed = len(rates) * DAY_H
    days = np.repeat(np.arange(len(rates)), _daily(rng, rates))
    hours = days * DAY_H + rng.spawn(1)[0].integers(0, DAY_H, len(days))
    began, ended = raised_span(hours, start=0, end=window * DAY_H, until=fixed, usual_a_day=usual)
    came = int(((hours >= began) & (hours < ended)).sum())
    later = np.cumsum(_daily(rng, np.full(DAYS_AFTER, after)))
    said: list[tuple[Verdict, int]] = []
    for day, count in enumerate(later.tolist(), 1):
        verdict = rate_ratio(
            before=came,
            days_before=(ended - began) / DAY_H,
            after=count,
            days_after=day,
            usual=usual,
            lasted=fixed - ended < OVER_AFTER_H,
        ).verdict
        if verdict is not Verdict.NOT_ENOUGH_EVIDENCE:
            said.append((verdict, day))
    if not said:
        return None, 0, False
    return *said[0], len({verdict for verdict, _ in said}) > 1


def _daily(rng: np.random.Generator, rates: Floats) -> Ints:
    level = rng.gamma(1.0 / PHI_A_DAY, PHI_A_DAY * rates)
    return np.asarray(rng.poisson(level), dtype=np.int64)


if __name__ == "__main__":
    main()
