"""`closeloop demo`: the whole loop on a simulated shop with a bad release, told as a story."""

from __future__ import annotations

import shutil
import sys
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from closeloop.app import Workspace
from closeloop.errors import OutsideError, UsageError
from closeloop.settings import MAIN_FILE
from closeloop.workspace_folder import initialise

if TYPE_CHECKING:
    from closeloop.connectors.intake.request import IntakeReport
    from closeloop.loop import PassReport
    from closeloop.runner import Runner
    from closeloop.step import StepRun
    from closeloop.testing.simulator import Simulation, WrittenFiles

SCENARIO = "bad-release"
SOURCE = "shop"
MARKER = ".closeloop-demo"
HISTORY_DAYS = 30
"""The first days only teach what is usual; from then on the loop looks and decides."""

LOOK_EVERY = timedelta(hours=3)
"""A loop that runs live looks as often as it likes; here the story has to fit into a minute."""
PERSON = "demo-person"
REACTION = timedelta(hours=2)
"""How long the person of the story takes to answer what waits for them."""


@dataclass(frozen=True, slots=True)
class DemoRun:
    """What a run of the demo leaves for the story: where it is, what was read, how long it took."""

    workspace: Workspace
    simulation: Simulation
    intake: IntakeReport
    looks: int
    seconds: float


@click.command()
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".demo"),
    show_default=True,
    help="A fresh folder for the workspace; one of an earlier demo is made anew.",
)
@click.option("--seed", type=int, default=7, show_default=True, help="Another seed, another shop.")
@click.pass_context
def demo(ctx: click.Context, folder: Path, seed: int) -> None:
    """See the whole loop in under a minute: a bad release, found, ticketed, fixed, verified.

    A shop is simulated and taken in by the ordinary steps; then the loop replays
    it, looking every three hours of its time.
    Every figure of the story is read from the tables, and the truth is compared at the end only.
    """
    from closeloop.cli.demo_story import tell

    quiet = bool((ctx.find_root().obj or {}).get("quiet"))
    tell(play(folder, seed=seed, quiet=quiet or not sys.stderr.isatty()))


def play(folder: Path, *, seed: int, quiet: bool) -> DemoRun:
    """Make the workspace, take the simulated shop in, and replay its days; return what was run.

    Raises UsageError where the folder holds something that is not a demo.
    """
    from closeloop.cli.progress import make_progress
    from closeloop.replay import ReplayPlan
    from closeloop.tables import BRONZE_FEEDBACK, CHANGE, EXPOSURE
    from closeloop.testing.simulator import SCENARIOS, simulate, write_simulation

    started = time.perf_counter()
    _clear(folder)
    initialise(folder)
    (folder / MARKER).write_text("made by closeloop demo; it may be deleted\n", encoding="utf-8")
    simulation = simulate(SCENARIOS[SCENARIO], seed=seed)
    _name_products(folder / MAIN_FILE, simulation)
    workspace = Workspace(folder.resolve(), progress=make_progress(quiet=quiet))
    files = write_simulation(simulation, folder / "shop")
    intake = take_in(workspace, files)
    plan = ReplayPlan(
        start=simulation.start + timedelta(days=HISTORY_DAYS),
        end=simulation.end,
        every=LOOK_EVERY,
    )
    reports = workspace.replay(
        plan,
        workspace.committed(BRONZE_FEEDBACK),
        changes=workspace.committed(CHANGE),
        exposure=workspace.committed(EXPOSURE),
        into=workspace.folder,
        trackers=True,
        on_pass=people,
    )
    return DemoRun(workspace, simulation, intake, len(reports), time.perf_counter() - started)


def _name_products(path: Path, simulation: Simulation) -> None:
    """Write the shop's products into closeloop.yaml, as a person would."""
    lines = [
        f"  - {{id: {p.product_id}, name: {p.name}, platforms: [{', '.join(p.platforms)}]}}"
        for p in simulation.scenario.products
    ]
    text = path.read_text(encoding="utf-8")
    named = text.replace("products: []\n", "products:\n" + "\n".join(lines) + "\n", 1)
    path.write_text(named, encoding="utf-8")


def take_in(workspace: Workspace, files: WrittenFiles) -> IntakeReport:
    """Take in feedback, changes and exposure, as the commands of these names do."""
    from closeloop.connectors.changes.change_rows import import_changes
    from closeloop.connectors.changes.exposure_rows import import_exposure
    from closeloop.connectors.changes.reading import ImportRequest
    from closeloop.connectors.intake.request import IntakeRequest
    from closeloop.connectors.intake.take_in import take_in as take_in_feedback

    feedback = files.feedback[SOURCE]
    with workspace.step("ingest") as step:
        report = take_in_feedback(step, [feedback], IntakeRequest(source=SOURCE))
    with workspace.step("changes") as step:
        import_changes(step, [files.changes], ImportRequest(), kind=None)
    with workspace.step("exposure") as step:
        import_exposure(step, [files.exposure], ImportRequest())
    return report


def people(report: PassReport, runner: Runner) -> None:
    """Do what people do between two looks: answer reviews, and resolve tickets when a fix ships.

    The person approves what is severe and has a change blamed for it, or shares the cause of a
    signal that has. The team resolves such tickets with the release that follows the blamed one.
    """
    with runner.step("review", now=report.now) as step:
        _answer(step)
    with runner.step("tickets", now=report.now) as step:
        _resolve(step)


def _answer(step: StepRun) -> None:
    from closeloop.domain.review import ReviewKind, ReviewStatus
    from closeloop.domain.signal import Severity
    from closeloop.stages import answer
    from closeloop.stages.signal_rows import signals_by_id

    waiting = [
        r
        for r in step.ops.reviews()
        if r.status is ReviewStatus.OPEN
        and r.kind is ReviewKind.SIGNAL
        and step.now - r.created_at >= REACTION
    ]
    signals = signals_by_id(step, [r.signal_id for r in waiting])
    for item in waiting:
        signal = signals.get(item.signal_id)
        if signal is None or signal.severity not in (Severity.P1, Severity.P2):
            continue
        if _blamed_change(step, signal.signal_id, signal.parent_id) is not None:
            answer.approve(step, item.review_id, by=PERSON)


def _resolve(step: StepRun) -> None:
    from closeloop.domain.ticket import TicketStatus
    from closeloop.stages import resolve
    from closeloop.stages.signal_rows import signals_by_id

    # A reopened ticket is left: its fix has failed, and this team has no other one.
    waiting = [
        t for t in step.ops.tickets() if t.status in (TicketStatus.OPEN, TicketStatus.IN_PROGRESS)
    ]
    signals = signals_by_id(step, [t.signal_id for t in waiting])
    for ticket in waiting:
        signal = signals.get(ticket.signal_id)
        parent_id = signal.parent_id if signal else None
        blamed = _blamed_change(step, ticket.signal_id, parent_id)
        fix = _release_after(step, blamed) if blamed else None
        if fix is not None:
            resolve.resolve(
                step,
                ticket.ticket_id,
                by=PERSON,
                at=fix["started_at"],
                version=fix["version"],
            )


def _blamed_change(step: StepRun, *signal_ids: str | None) -> dict[str, Any] | None:
    """Return the change that is blamed for the first of the signals that has one."""
    from closeloop.stages.brief_material import attributions_of
    from closeloop.tables import CHANGE

    for signal_id in filter(None, signal_ids):
        for attribution in attributions_of(step, signal_id):
            if attribution.blamed and attribution.change_id:
                where = [("change_id", "=", attribution.change_id)]
                rows: list[dict[str, Any]] = step.rows(CHANGE, where=where).to_pylist()
                return rows[0] if rows else None
    return None


def _release_after(step: StepRun, change: dict[str, Any]) -> dict[str, Any] | None:
    """Return the first release of the same product and platform that has followed a change."""
    from closeloop.tables import CHANGE

    rows = step.rows(
        CHANGE,
        where=[
            ("kind", "=", "release"),
            ("product", "=", change["product"]),
            ("started_at", ">", change["started_at"]),
            ("started_at", "<=", step.now),
        ],
    ).to_pylist()
    same = [r for r in rows if r["platform"] == change["platform"]]
    found: dict[str, Any] | None = min(same, key=lambda r: r["started_at"], default=None)
    return found


def _clear(folder: Path) -> None:
    if not folder.exists():
        return
    if any(folder.iterdir()) and not (folder / MARKER).is_file():
        raise UsageError(
            f"{folder} holds files that are not of a demo; nothing was changed",
            hint="name a fresh folder: closeloop demo --dir DIR",
        )
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise OutsideError(
            f"the earlier demo in {folder} can't be removed: {error.strerror}",
            hint="remove it, or name another folder with --dir",
        ) from error
