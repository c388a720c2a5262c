"""Seconds and memory of understanding a million texts, and how both grow.

    python benchmarks/scale.py --data DIR [--sizes 100000,1000000]

DIR holds play_reviews.parquet. Its reviews are drawn again and again, each time worded a little
differently (a word left out, two swapped, a letter changed), so that nearly all texts differ, in
every size alike. Each size runs in a process of its own, on Delta tables in a temporary folder, from an empty workspace
with its default settings. "Fits" are what is done once: the model's vectors of a sample, the student, the tone, the first
clusterings.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

STAGES = ("refine", "embed", "enrich", "theme")
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def main() -> None:
    """Run every size and print a table."""
    parser = argparse.ArgumentParser(description="Understanding at scale.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sizes", default="100000,1000000")
    parser.add_argument("--one", type=int, default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        print(json.dumps(_one(options.data, options.one)))
        return
    results = []
    for size in options.sizes.split(","):
        command = [sys.executable, __file__, "--data", str(options.data), "--one", size]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        results.append(json.loads(done.stdout.splitlines()[-1]))
    _print(results)


def _print(results: list[dict[str, Any]]) -> None:
    print("| | " + " | ".join(f"{r['rows']:,} texts" for r in results) + " |")
    print("|---|" + "---|" * len(results))
    for name in (*STAGES, "all four", "of it fits", "without fits", "detection"):
        print(f"| {name} | " + " | ".join(f"{r['seconds'][name]:.1f} s" for r in results) + " |")
    print(
        "| peak memory of the four | "
        + " | ".join(f"{r['peak_mb']:,.0f} MB" for r in results)
        + " |"
    )
    for name in ("distinct texts", "embedded by the student", "agreement", "themes"):
        print(f"| {name} | " + " | ".join(f"{r[name]:,}" for r in results) + " |")
    rows, plain = zip(*((r["rows"], r["seconds"]["without fits"]) for r in results), strict=True)
    print(f"\nwithout fits: {rows[-1] / rows[0]:.0f} x the texts, {plain[-1] / plain[0]:.1f} x")


def _one(data: Path, size: int) -> dict[str, Any]:
    from closeloop.app import Workspace
    from closeloop.cli.memory import keep_memory_low
    from closeloop.cli.progress import make_progress
    from closeloop.stages import detect, embed, enrich, theme
    from closeloop.stages.embed_student import STUDENT_STATE, StudentRecord
    from closeloop.workspace_folder import initialise

    keep_memory_low()
    fits, detection = _Stopwatch(), _Peak()
    detection.before(detect)
    fits.watch(embed, "for_volume")
    fits.watch(enrich, "_heads")
    fits.watch(theme._Product, "_first_themes")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        initialise(folder)
        distinct = write_reviews(data / "play_reviews.parquet", folder / "reviews.parquet", size)
        command = [sys.executable, "-m", "closeloop", "-w", name, "ingest"]
        command += [str(folder / "reviews.parquet"), "--source", "play"]
        subprocess.run(command, check=True, capture_output=True)
        workspace = Workspace(folder, progress=make_progress(quiet=True))
        report = workspace.run()
        seconds = {s: report.seconds[s] for s in STAGES}
        together = sum(seconds.values())
        with workspace.step("look") as step:
            record = StudentRecord.from_bytes(step.state(STUDENT_STATE))
        return {
            "rows": size,
            "seconds": seconds
            | {
                "all four": together,
                "of it fits": fits.seconds,
                "without fits": together - fits.seconds,
                "detection": report.seconds["detect"] + report.seconds["attribute"],
            },
            "peak_mb": detection.peak_mb,
            "distinct texts": distinct,
            "embedded by the student": report.count("embed", "embedded by the student"),
            "agreement": record.agreement if record else None,
            "themes": report.count("theme", "themes found"),
        }


class _Stopwatch:
    """Adds up the seconds spent in some functions."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def watch(self, owner: Any, name: str) -> None:
        """Measure one function from now on."""
        function: Callable[..., Any] = getattr(owner, name)

        def measured(*args: Any, **options: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*args, **options)
            finally:
                self.seconds += time.perf_counter() - started

        setattr(owner, name, measured)


class _Peak:
    """Notes the process's peak memory when the first detection begins."""

    peak_mb = 0.0

    def before(self, stage: Any) -> None:
        """Note it whenever the stage is about to run for the first time."""
        import closeloop.loop as loop

        def noted(context: Any) -> None:
            self.peak_mb = self.peak_mb or _peak_mb()
            stage.run(context)

        loop.STAGES = tuple((n, noted if n == stage.NAME else f) for n, f in loop.STAGES)


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def write_reviews(source: Path, target: Path, size: int) -> int:
    """Write so many reviews, each drawn review worded anew; return how many differ."""
    reviews = pq.read_table(source)
    draw = np.random.default_rng(7)
    chance = random.Random(7)
    rounds = []
    texts: set[str] = set()
    for start in range(0, size, reviews.num_rows):
        order = pa.array(draw.permutation(reviews.num_rows)[: size - start])
        part = reviews.take(order)
        words = [_reworded(text, chance) for text in part.column("content").to_pylist()]
        texts.update(w for w in words if w)
        ids = [f"{i}-{start}" for i in part.column("review_id").to_pylist()]
        part = part.set_column(part.schema.get_field_index("content"), "content", pa.array(words))
        part = part.set_column(part.schema.get_field_index("review_id"), "review_id", pa.array(ids))
        rounds.append(part)
    pq.write_table(pa.concat_tables(rounds).sort_by("at"), target)
    return len(texts)


def _reworded(text: str | None, chance: random.Random) -> str | None:
    words = (text or "").split()
    if not words:
        return text
    if len(words) > 3:
        del words[chance.randrange(len(words))]
        place = chance.randrange(len(words) - 1)
        words[place], words[place + 1] = words[place + 1], words[place]
    place = chance.randrange(len(words))
    letter = chance.randrange(len(words[place]) + 1)
    words[place] = words[place][:letter] + chance.choice(LETTERS) + words[place][letter + 1 :]
    return " ".join(words)


if __name__ == "__main__":
    main()
