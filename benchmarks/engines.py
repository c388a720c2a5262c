"""The same stages on the local engine and on Spark: start-up, rows a second, memory, where they meet.

    python benchmarks/engines.py --data DIR --jars DIR [--sizes 136422,1000000] [--cores 1,2]

DIR of --data holds play_reviews.parquet; up to its 136,422 reviews are taken as they are, more are
drawn again and worded anew (as in scale.py). --jars is the folder that `make test-spark` fills
(.spark/jars/spark). Runs in the environment that it makes. Each size and engine is a process of its
own, from an empty workspace; memory and core seconds are sums over it and all that it started (the
JVM, Spark's Python workers), memory looked at every .2 s. On a machine that does other work too, the
core seconds are what to compare.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from closeloop.ports import Vectors
from scale import write_reviews

VECTORS, DIMENSIONS, CENTRES = 100_000, 384, 200
ROWS = ("start-up", "bronze", "refine", "of it the batch step", "query", "nearest theme")
MAPPING = {
    "text": "content",
    "rating": "score",
    "event_time": "at",
    "source_id": "review_id",
    "product": "app",
    "version": "app_version",
}


def main() -> None:
    """Run every size on every engine; print a table and what it says of a larger cluster."""
    parser = argparse.ArgumentParser(description="The local engine beside Spark.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--jars", type=Path, required=True)
    parser.add_argument("--sizes", default="136422,1000000")
    parser.add_argument("--cores", default="1,2")
    parser.add_argument("--one", nargs=2, default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        print(json.dumps(_one(options.data, options.jars, int(options.one[0]), options.one[1])))
        return
    masters = ["local engine", *(f"local[{cores}]" for cores in options.cores.split(","))]
    for size in options.sizes.split(","):
        results = []
        for master in masters:
            command = [sys.executable, __file__, "--data", str(options.data)]
            command += ["--jars", str(options.jars), "--one", size, master]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            results.append(json.loads(done.stdout.splitlines()[-1]))
        _print(int(size), masters, results)


def _print(size: int, masters: list[str], results: list[dict[str, Any]]) -> None:
    names = [m if m.startswith("local e") else f"Spark, {m}" for m in masters]
    print(f"\n| {size:,} rows | " + " | ".join(names) + " |")
    print("|---|" + "---|" * len(names))
    for row in ROWS:
        count = VECTORS if row == "nearest theme" else size
        cells = []
        for result in results:
            taken, used = result["seconds"][row], result["core_seconds"][row]
            rate = "" if row == "start-up" else f", {count / max(taken, 1e-9):,.0f}/s"
            cells.append(f"{taken:.1f} s{rate} ({used:.1f} core s)")
        print(f"| {row} | " + " | ".join(cells) + " |")
    print("| peak memory | " + " | ".join(f"{r['peak_mb']:,.0f} MB" for r in results) + " |")
    whole, step = _parts(results[0])
    spark_whole, spark_step = _parts(results[1])
    alone = spark_whole - spark_step
    print(f"\nbronze and refine take {whole:.1f} core seconds by the local engine, {step:.1f} of them "
          f"in the batch step; on Spark {alone:.1f} outside of the batch step, whatever the "
          f"executors, and {spark_step:.1f} in it, which executors share")  # fmt: skip
    if alone >= whole:
        print("so no number of executors makes Spark the faster one for these two stages")
    else:
        print(f"so Spark is the faster one from {spark_step / (whole - alone):.1f} cores on, once "
              f"its start-up of {results[1]['seconds']['start-up']:.1f} s is forgotten")  # fmt: skip


def _parts(result: dict[str, Any]) -> tuple[float, float]:
    """Return the core seconds of bronze and refine, and of the batch step in them."""
    used = result["core_seconds"]
    return used["bronze"] + used["refine"], used["of it the batch step"]


def _one(data: Path, jars: Path, size: int, master: str) -> dict[str, Any]:
    from closeloop.app import Workspace
    from closeloop.cli.memory import keep_memory_low
    from closeloop.connectors.intake.request import IntakeRequest
    from closeloop.connectors.intake.take_in import take_in
    from closeloop.stages import refine
    from closeloop.testing.progress import SilentProgress
    from closeloop.workspace_folder import initialise

    keep_memory_low()
    seconds, core_seconds = dict.fromkeys(ROWS, 0.0), dict.fromkeys(ROWS, 0.0)

    @contextmanager
    def taking(name: str) -> Iterator[None]:
        started, used = time.perf_counter(), _core_seconds()
        yield
        seconds[name] += time.perf_counter() - started
        core_seconds[name] += _core_seconds() - used

    with tempfile.TemporaryDirectory() as name, _Peak() as peak:
        folder = Path(name)
        if master.startswith("local["):
            spark = f"{{master: '{master}', jars: '{jars.resolve()}', driver_memory: 4g}}"
            (folder / "closeloop.yaml").write_text(f"engine: spark\nspark: {spark}\n")
        initialise(folder)
        write_reviews(data / "play_reviews.parquet", folder / "reviews.parquet", size)
        workspace = Workspace(folder, progress=SilentProgress())
        with taking("start-up"):
            engine = workspace.engine
            workspace.query("SELECT 1 AS one")
        mapped = engine.map_batches

        def map_batches(function: Any, rows: pa.Table, *, batch_size: int) -> pa.Table:
            with taking("of it the batch step"):
                return mapped(function, rows, batch_size=batch_size)

        setattr(engine, "map_batches", map_batches)  # noqa: B010 - a measured stand-in
        with taking("bronze"), workspace.step("ingest") as step:
            take_in(step, [folder / "reviews.parquet"], IntakeRequest("play", MAPPING))
        left = True
        with taking("refine"), workspace.hold():
            while left:
                with workspace.runner.step(refine.NAME, now=workspace.now()) as step:
                    refine.run(step)
                left = step.left
        with taking("query"):
            counted = workspace.query(
                "SELECT product, count(*) AS n FROM gold.feedback_latest GROUP BY product"
            )
        assert sum(counted["n"].to_pylist()) > 0.9 * size
        _nearest(mapped, taking)
    return {"seconds": seconds, "core_seconds": core_seconds, "peak_mb": peak.mb}


class NearestTheme:
    """A batch step: each vector's nearest centre, and what they add to its sum."""

    def __init__(self, centres: Vectors) -> None:
        self.centres = centres

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the place of the nearest centre and the cosine with it."""
        from closeloop.stats.themes import best_two

        flat = np.asarray(batch["vector"].flatten(), np.float32)
        places, first, _ = best_two(flat.reshape(batch.num_rows, -1), self.centres)
        return pa.RecordBatch.from_pydict({"place": pa.array(places), "cosine": pa.array(first)})


def _nearest(mapped: Any, taking: Any) -> None:
    draw = np.random.default_rng(7)
    flat = pa.array(draw.standard_normal(VECTORS * DIMENSIONS).astype(np.float32))
    vectors = pa.table({"vector": pa.FixedSizeListArray.from_arrays(flat, DIMENSIONS)})
    centres = draw.standard_normal((CENTRES, DIMENSIONS)).astype(np.float32)
    with taking("nearest theme"):
        found = mapped(NearestTheme(centres), vectors, batch_size=50_000)
    assert found.num_rows == VECTORS


class _Peak:
    """Looks at the memory of this process and its descendants until the block ends."""

    mb = 0.0

    def __enter__(self) -> _Peak:
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._done.wait(0.2):
            self.mb = max(self.mb, _resident_mb())


def _resident_mb() -> float:
    return sum(pages for _, pages in _processes()) * os.sysconf("SC_PAGE_SIZE") / 2**20


def _core_seconds() -> float:
    return sum(ticks for ticks, _ in _processes()) / os.sysconf("SC_CLK_TCK")


def _processes() -> list[tuple[int, int]]:
    """Return clock ticks (also of children that ended) and resident pages of this tree."""
    parents, found = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                status = (entry / "stat").read_text().rpartition(")")[2].split()
                pages = int((entry / "statm").read_text().split()[1])
            except OSError:
                continue
            parents[int(entry.name)] = int(status[1])
            found[int(entry.name)] = (sum(map(int, status[11:15])), pages)
    ours = {os.getpid()}
    while more := {p for p, parent in parents.items() if parent in ours} - ours:
        ours |= more
    return [found[p] for p in ours if p in found]


if __name__ == "__main__":
    main()
