"""Rows a second of each step and of the whole loop on real reviews, and how they grow.

    python benchmarks/loop.py --data DIR [--sizes 13000,136422] [--warm-cache FOLDER]

DIR holds play_reviews.parquet (columns app, review_id, content, score, app_version, at). Each size
runs in a process of its own, so that peak memory is its own; the newest rows are taken.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq


def main() -> None:
    """Run every size and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sizes", default="13000,45000,136422")
    parser.add_argument("--warm-cache", type=Path, default=None)
    parser.add_argument("--one", type=int, default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        print(json.dumps(_one(options.data, options.one, options.warm_cache)))
        return
    results = []
    for size in (int(s) for s in options.sizes.split(",")):
        command = [sys.executable, __file__, "--data", str(options.data), "--one", str(size)]
        if options.warm_cache:
            command += ["--warm-cache", str(options.warm_cache)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        results.append(json.loads(done.stdout.splitlines()[-1]))
    steps = [
        s for s in results[-1]["seconds"] if max(r["seconds"].get(s, 0) for r in results) >= 0.05
    ]
    print("| step | " + " | ".join(f"{r['rows']:,} rows" for r in results) + " | growth |")
    print("|---|" + "---|" * (len(results) + 1))
    for step in [*steps, "all but embed", "all"]:
        cells = [_seconds(r, step) for r in results]
        linear = results[-1]["rows"] / results[0]["rows"]
        growth = cells[-1] / max(cells[0], 1e-9) / linear
        rates = [
            f"{c:.1f} s ({r['rows'] / max(c, 1e-9):,.0f}/s)"
            for c, r in zip(cells, results, strict=True)
        ]
        print(f"| {step} | " + " | ".join(rates) + f" | {growth:.2f} x linear |")
    print("| peak memory | " + " | ".join(f"{r['peak_mb']:,.0f} MB" for r in results) + " | |")


def _seconds(result: dict[str, object], step: str) -> float:
    seconds = result["seconds"]
    assert isinstance(seconds, dict)
    if step == "all":
        return float(sum(seconds.values()))
    if step == "all but embed":
        return float(sum(v for k, v in seconds.items() if k != "embed"))
    return float(seconds.get(step, 0.0))


def _one(data: Path, size: int, warm_cache: Path | None) -> dict[str, object]:
    from closeloop.app import Workspace
    from closeloop.cli.progress import make_progress
    from closeloop.workspace_folder import initialise

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        initialise(folder)
        if warm_cache is not None:
            text = (folder / "closeloop.yaml").read_text()
            text = text.replace(
                "vector_cache: cache/vectors", f"vector_cache: {warm_cache.resolve()}"
            )
            (folder / "closeloop.yaml").write_text(text)
        table = pq.read_table(data / "play_reviews.parquet").sort_by("at")
        pq.write_table(table.slice(table.num_rows - size), folder / "reviews.parquet")
        started = time.perf_counter()
        subprocess.run(
            [
                sys.executable,
                "-m",
                "closeloop",
                "-w",
                name,
                "ingest",
                str(folder / "reviews.parquet"),
                "--source",
                "play",
            ],
            check=True,
            capture_output=True,
        )
        ingest = time.perf_counter() - started
        workspace = Workspace(folder, progress=make_progress(quiet=True))
        report = workspace.run()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"rows": size, "seconds": {"ingest": ingest, **report.seconds}, "peak_mb": peak}


if __name__ == "__main__":
    main()
