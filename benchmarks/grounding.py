"""What the check of briefs catches of forged ones, and what it wrongly refuses of sound ones.

    python benchmarks/grounding.py [--briefs 1000] [--seed 1] [--workspace FOLDER]

Sound briefs are written in many wordings from fact sheets (closeloop.testing.good_briefs); each
forged one is a sound one with one named change (closeloop.testing.brief_forgeries) that its sheet
does not bear. Neither shares code with the check. The sheets are the frozen ones, and those of the
latest backtest of the workspace where one is given.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from pathlib import Path
from random import Random

from closeloop.app import Workspace
from closeloop.cli.progress import make_progress
from closeloop.domain.brief import FactSheet
from closeloop.domain.grounding import problems
from closeloop.stages.fact_sheet import from_json
from closeloop.stats.intervals import wilson
from closeloop.testing.brief_forgeries import FORGERIES, forge
from closeloop.testing.brief_sheets import frozen_sheets
from closeloop.testing.good_briefs import GoodBriefs


def main() -> None:
    """Print both shares with 95% intervals, and what slipped through by kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--briefs", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workspace", type=Path, default=None)
    options = parser.parse_args()
    sheets = list(frozen_sheets()) if options.workspace is None else _sheets(options.workspace)
    rng = Random(options.seed)
    started = time.process_time()
    _sound(sheets, rng, options.briefs)
    _forged(sheets, rng, options.briefs)
    seconds = time.process_time() - started
    print(f"{seconds / options.briefs / 2 * 1_000:.0f} ms of CPU a brief, writing included")


def _sheets(folder: Path) -> list[FactSheet]:
    workspace = Workspace(folder, progress=make_progress(quiet=True), backtest="latest")
    rows = workspace.query("SELECT facts FROM gold.brief ORDER BY made_at, brief_id").to_pylist()
    return [from_json(row["facts"]) for row in rows]


def _sound(sheets: list[FactSheet], rng: Random, number: int) -> None:
    refused: Counter[str] = Counter()
    examples: dict[str, str] = {}
    wrong = 0
    for _ in range(number):
        found = problems(GoodBriefs(rng.choice(sheets), rng).write())
        wrong += bool(found)
        for problem in found[:1]:
            kind = problem.partition(": ")[2][:40]
            refused[kind] += 1
            examples.setdefault(kind, problem)
    interval = wilson(wrong, number)
    print(
        f"sound briefs of {len(sheets)} sheets refused: {wrong} of {number} ({wrong / number:.2%}; 95% {interval.low:.2%} to {interval.high:.2%})"
    )
    for kind, times in refused.most_common(10):
        print(f"  {times} x {examples[kind]}")


def _forged(sheets: list[FactSheet], rng: Random, number: int) -> None:
    made: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    while sum(made.values()) < number:
        sheet, other = rng.sample(sheets, 2)
        sound = GoodBriefs(sheet, rng).write()
        # A forgery of a brief that is refused anyway would prove nothing.
        if problems(sound):
            continue
        kind, forged = forge(sound, other, rng)
        made[kind] += 1
        if not problems(forged):
            missed[kind] += 1
            before = {s.text for _, _, s in sound.sentences()}
            print(
                f"  missed: {kind}: {[s.text for _, _, s in forged.sentences() if s.text not in before]}"
            )
    caught = number - sum(missed.values())
    interval = wilson(caught, number)
    print(
        f"forged briefs caught: {caught} of {number} ({caught / number:.2%}; 95% {interval.low:.2%} to {interval.high:.2%}), {len(made)} of {len(FORGERIES)} kinds"
    )


if __name__ == "__main__":
    main()
