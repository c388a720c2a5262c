"""Every scenario of the simulator through the whole loop, for many seeds, against its truth.

    python benchmarks/simulation.py [--scenarios all] [--seeds 20] [--first-seed 1] [--group 10]
        [--every 6] [--jobs 1] [--cache DIR] [--out results.jsonl]
    python benchmarks/simulation.py --merge results.jsonl [more.jsonl …]

Each seed's files are taken in by the steps of `closeloop ingest`, `changes import` and `exposure
import`, then replayed as `closeloop backtest` does: the days before the story teach what is usual,
from then on the loop looks every `--every` hours. Seeds of one scenario share a workspace in groups,
each with products and sources of its own, so that the cost of a pass is shared. Texts come from a
stock that all seeds share, so that vectors are kept in `--cache`. A person approves what truly is a
problem and resolves it when its fix ships; no step reads the truth. Results are appended to `--out`,
one line a run; runs that are there already are left out, and `--merge` prints them all together.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow as pa

from closeloop.app import Workspace
from closeloop.connectors.changes.change_rows import import_changes
from closeloop.connectors.changes.exposure_rows import import_exposure
from closeloop.connectors.changes.reading import ImportRequest
from closeloop.connectors.intake.request import IntakeRequest
from closeloop.connectors.intake.take_in import take_in
from closeloop.replay import ReplayPlan
from closeloop.tables import BRONZE_FEEDBACK, CHANGE, EXPOSURE
from closeloop.testing.progress import SilentProgress
from closeloop.testing.simulator import SCENARIOS, Simulation, simulate, write_simulation
from closeloop.workspace_folder import initialise
from simulation_report import print_report
from simulation_score import score
from simulation_watch import Watch

STOCK = 400
"""Different texts of a theme in English; a vector is made once for all seeds."""


def main() -> None:
    """Run what is missing, or print what has been run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenarios", default="all", help="names with commas between, or all")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--group", type=int, default=10, help="seeds that share a workspace")
    parser.add_argument("--every", type=float, default=6.0, help="hours between looks")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "closeloop-vec")
    parser.add_argument("--out", type=Path, default=Path("simulation.jsonl"))
    parser.add_argument("--merge", type=Path, nargs="+", default=None)
    options = parser.parse_args()
    if options.merge is not None:
        print_report([run for path in options.merge for run in _read(path)])
        return
    names = list(SCENARIOS) if options.scenarios == "all" else options.scenarios.split(",")
    done = {(r["scenario"], r["seed"]) for r in _read(options.out)}
    work = []
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    for first in range(0, options.seeds, options.group):
        for name in names:
            own = [s for s in seeds[first : first + options.group] if (name, s) not in done]
            if own:
                work.append((name, own, options.every, options.cache))
    context = multiprocessing.get_context("spawn")
    # A worker is replaced now and then, so that memory does not grow; the executor of
    # concurrent.futures can hang when it does that.
    with context.Pool(options.jobs, maxtasksperchild=4) as pool:
        for runs in pool.imap_unordered(_run_group, work):
            with options.out.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(run) + "\n" for run in runs)
            last = runs[-1]
            print(
                f"{last['scenario']}: {len(runs)} seeds, {last['seconds']:.1f} s of CPU each, "
                f"{last['looks']} looks",
                file=sys.stderr,
            )
    print_report(_read(options.out))


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def _run_group(work: tuple[str, list[int], float, Path]) -> list[dict[str, Any]]:
    name, seeds, every, cache = work
    _be_frugal()
    started = time.process_time()
    folder = Path(tempfile.mkdtemp(prefix="closeloop-simulation-"))
    try:
        made = {s: _apart(simulate(SCENARIOS[name], seed=s, phrases=STOCK)) for s in seeds}
        workspace = _workspace(folder, made, cache)
        for seed, simulation in made.items():
            _take_in(workspace, simulation, folder / f"seed-{seed}")
        (first, *_) = made.values()
        watch = Watch(made, end=first.end)
        plan = ReplayPlan(
            start=first.start + timedelta(days=first.scenario.history_days),
            end=first.end,
            every=timedelta(hours=every),
        )
        reports = workspace.replay(
            plan,
            workspace.committed(BRONZE_FEEDBACK),
            changes=workspace.committed(CHANGE),
            exposure=workspace.committed(EXPOSURE),
            into=folder / "backtest",
            trackers=True,
            on_pass=watch.on_pass,
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    seconds = (time.process_time() - started) / len(seeds)
    return [
        score(simulation, watch, plan=plan)
        | {"every": every, "looks": len(reports), "seconds": round(seconds, 1)}
        for simulation in made.values()
    ]


def _be_frugal() -> None:
    """Keep to one core a process."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    pa.set_cpu_count(1)
    if find_spec("dateutil") is None:
        # Arrow looks for it at every time it converts; a quarter of a pass goes by in looking.
        sys.modules.setdefault("dateutil", None)  # type: ignore[arg-type]


def _apart(simulation: Simulation) -> Simulation:
    """Give a seed's products names of their own, as files would bring them."""
    seed = simulation.seed
    for rows in (simulation.feedback, simulation.changes, simulation.exposure):
        for row in rows:
            row["product"] = f"{row['product']}-{seed}"
    return simulation


def _workspace(folder: Path, made: dict[int, Simulation], cache: Path) -> Workspace:
    initialise(folder)
    path = folder / "closeloop.yaml"
    lines = [
        f"  - {{id: {p.product_id}-{seed}, name: {p.name} {seed}, "
        f"platforms: [{', '.join(p.platforms)}]}}"
        for seed, simulation in made.items()
        for p in simulation.scenario.products
    ]
    text = path.read_text("utf-8")
    text = text.replace("products: []\n", "products:\n" + "\n".join(lines) + "\n", 1)
    text = text.replace("vector_cache: cache/vectors", f"vector_cache: {cache.resolve()}", 1)
    text = text.replace("#  threads: 2", "  threads: 1", 1)
    path.write_text(text, "utf-8")
    return Workspace(folder, progress=SilentProgress())


def _take_in(workspace: Workspace, simulation: Simulation, folder: Path) -> None:
    files = write_simulation(simulation, folder)
    with workspace.step("ingest") as step:
        for source, file in files.feedback.items():
            take_in(step, [file], IntakeRequest(source=f"{source}-{simulation.seed}"))
    with workspace.step("changes") as step:
        import_changes(step, [files.changes], ImportRequest(), kind=None)
    with workspace.step("exposure") as step:
        import_exposure(step, [files.exposure], ImportRequest())


if __name__ == "__main__":
    main()
