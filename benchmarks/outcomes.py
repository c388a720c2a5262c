"""What is said of fixes whose effect is known: complaints a day before and after, days that vary.

    python benchmarks/outcomes.py [--runs 400]

A trouble of so many days brings so many complaints a day, the usual ones among them; after its fix
come so many times as many. Days vary by more than chance (variance .1 of their square). A fix is
looked at daily for thirty days as `verify` does: what counts is what is said first, and whether the
other is ever said. A fix "works" under half of the complaints; where it works, they fall to the usual.
"""

from __future__ import annotations

import argparse
from collections import Counter

import numpy as np

from closeloop.domain.outcome import Verdict
from closeloop.stats.baseline import Ints
from closeloop.stats.outcome import rate_ratio

PHI_A_DAY = 0.1
DAYS_AFTER = 30
TROUBLES = ((3, 10.0), (3, 40.0), (7, 10.0), (7, 40.0))
USUAL = 2.0
RATIOS = (0.1, 0.3, 0.5, 0.7, 1.0)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=400)
    options = parser.parse_args()
    print("| trouble | after, times before | held first | days | failed first | days | both said |")
    print("|---" * 7 + "|")
    for days, rate in TROUBLES:
        for ratio in RATIOS:
            rng = np.random.default_rng(7)
            told = [_story(rng, days, rate, max(ratio * rate, USUAL)) for _ in range(options.runs)]
            print(f"| {days} days of {rate:.0f} | {ratio} | {_line(told)} |")


def _line(told: list[tuple[Verdict | None, int, bool]]) -> str:
    first = Counter(verdict for verdict, _, _ in told)
    parts = []
    for verdict in (Verdict.HELD, Verdict.FAILED):
        days = [day for said, day, _ in told if said is verdict]
        median = f"{np.median(days):.0f}" if days else "–"
        parts.append(f"{first[verdict] / len(told):.2f} | {median}")
    return f"{' | '.join(parts)} | {sum(both for _, _, both in told) / len(told):.3f}"


def _story(
    rng: np.random.Generator, days: int, before: float, after: float
) -> tuple[Verdict | None, int, bool]:
    """Return what was said first, after how many days, and whether the other was said too."""
    came = int(_daily(rng, before, days).sum())
    later = np.cumsum(_daily(rng, after, DAYS_AFTER))
    said: list[tuple[Verdict, int]] = []
    for day, count in enumerate(later.tolist(), 1):
        verdict = rate_ratio(
            before=came, days_before=days, after=count, days_after=day, usual=USUAL
        ).verdict
        if verdict is not Verdict.NOT_ENOUGH_EVIDENCE:
            said.append((verdict, day))
    if not said:
        return None, 0, False
    return *said[0], len({verdict for verdict, _ in said}) > 1


def _daily(rng: np.random.Generator, rate: float, days: int) -> Ints:
    level = rng.gamma(1.0 / PHI_A_DAY, PHI_A_DAY * rate, days)
    return np.asarray(rng.poisson(level), dtype=np.int64)


if __name__ == "__main__":
    main()
