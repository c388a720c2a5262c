"""`closeloop changes remove`: takes changes back that are none, and says what they have done by then."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from closeloop.app import Workspace
from closeloop.cli.changes import KINDS, STEP, changes, file_request, reading_options
from closeloop.cli.output import local_time, print_json, safe
from closeloop.cli.session import open_workspace
from closeloop.errors import NotFoundError, UsageError
from closeloop.ports import only_if_in

if TYPE_CHECKING:
    from closeloop.connectors.changes.reading import ImportRequest

__all__ = ["changes"]

MAX_SHOWN = 5


@changes.command("remove")
@click.argument("ids", nargs=-1, metavar="[ID…]")
@click.option(
    "--file",
    "files",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="All that 'changes import' of this file brought (repeatable).",
)
@click.option("--kind", type=click.Choice(KINDS), default=None, help="As it was given then.")
@reading_options
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def remove(
    ctx: click.Context,
    ids: tuple[str, ...],
    files: tuple[Path, ...],
    kind: str | None,
    maps: tuple[str, ...],
    format_name: str | None,
    encoding: str | None,
    product: str | None,
    timezone: str,
    time_format: str | None,
    as_json: bool,
    yes: bool,
) -> None:
    """Remove changes by ID, or all that a file brought (give --kind, --map … as at its import).

    What was weighed with them stays as it was written; what comes from now on is weighed without.
    """
    from closeloop.connectors.changes.change_rows import remove_changes

    if bool(ids) == bool(files):
        raise UsageError(
            "say what to remove: changes by ID, or --file FILE",
            hint="'closeloop changes list' shows the ids",
        )
    if as_json and not yes:
        raise UsageError("--json can't ask back", hint="add --yes")
    workspace = open_workspace(ctx)
    if files:
        request = file_request(maps, format_name, encoding, product, timezone, time_format)
        ids = _ids_in(workspace, files, request, kind=kind)
    found = _held(workspace, ids)
    signals = _weighed_with(workspace, tuple(row["change_id"] for row in found))
    if not as_json:
        _tell(found, signals, zone=workspace.settings.timezone)
    if not yes:
        click.confirm(f"remove {len(found):,} changes?", abort=True)
    with workspace.step(STEP) as step:
        removed = remove_changes(step, [row["change_id"] for row in found])
    if as_json:
        print_json({"removed": removed, "signals_weighed_with_them": signals})
    else:
        click.echo(f"removed: {removed:,} changes")


def _ids_in(
    workspace: Workspace, files: tuple[Path, ...], request: ImportRequest, *, kind: str | None
) -> tuple[str, ...]:
    """Return the ids that an import of the files gives, held or not."""
    from closeloop.connectors.changes.change_rows import read_changes
    from closeloop.connectors.changes.reading import ImportReport

    report = ImportReport()
    with workspace.step(STEP) as step:
        made = read_changes(step, files, request, report, kind=kind)
    if not made:
        raise UsageError(
            f"no change can be read from {', '.join(safe(f.name) for f in files)}"
            + (f": {safe(report.problems[0])}" if report.problems else ""),
            hint="give --kind, --map and --product as at its import",
        )
    return tuple(change["change_id"] for change in made)


def _held(workspace: Workspace, ids: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the changes of these ids. Raises NotFoundError where there is none."""
    from closeloop.tables import CHANGE

    found: list[dict[str, Any]] = workspace.committed(
        CHANGE, where=[only_if_in("change_id", ids)]
    ).to_pylist()
    if not found:
        named = safe(", ".join(ids[:MAX_SHOWN])) + (" …" if len(ids) > MAX_SHOWN else "")
        raise NotFoundError(
            f"no change {named}; nothing was removed",
            hint="'closeloop changes list' shows the ids; a file has to be read as at its import",
        )
    return sorted(found, key=lambda row: (row["started_at"], row["change_id"]))


def _weighed_with(workspace: Workspace, ids: tuple[str, ...]) -> int:
    """Return how many signals have one of the changes among their candidates."""
    from closeloop.tables import ATTRIBUTION

    rows = workspace.committed(
        ATTRIBUTION, columns=["signal_id"], where=[only_if_in("change_id", ids)]
    )
    return len(set(rows.column("signal_id").to_pylist()))


def _tell(found: list[dict[str, Any]], signals: int, *, zone: str) -> None:
    for row in found[:MAX_SHOWN]:
        click.echo(
            f"{safe(row['change_id'])}  {safe(row['kind'])} {safe(row['name'])} of "
            f"{safe(row['product'])}, {local_time(row['started_at'], zone)}"
        )
    if len(found) > MAX_SHOWN:
        click.echo(f"and {len(found) - MAX_SHOWN:,} more")
    if signals:
        click.echo(
            f"{signals:,} signals were weighed with them: what they, their briefs and tickets say "
            "of them stays; only signals under ten days old that blame no change are weighed again"
        )
