"""`closeloop ingest`: takes in feedback from files, and says what became of every row."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import click
import pyarrow as pa

from closeloop.app import Workspace
from closeloop.cli.changes import exposure
from closeloop.cli.changes_remove import changes
from closeloop.cli.columns import tell_mapping, tell_zone
from closeloop.cli.output import print_json, safe
from closeloop.cli.quarantine import quarantine
from closeloop.cli.session import open_workspace

if TYPE_CHECKING:
    from closeloop.connectors.intake.mapping import ColumnMapping
    from closeloop.connectors.intake.request import FileReport, IntakeReport
    from closeloop.domain.configuration import Configuration
    from closeloop.ports import Condition, Progress
    from closeloop.tables import Table

__all__ = ["changes", "exposure", "ingest", "quarantine"]

STEP = "ingest"
FORMATS = ("csv", "jsonl", "json", "parquet")
MAX_MAPPINGS_SHOWN = 5


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH…")
@click.option("--source", required=True, metavar="NAME", help="What to call where this is from.")
@click.option(
    "--map",
    "maps",
    multiple=True,
    metavar="FIELD=COLUMN",
    help="Which column is which field (repeatable); FIELD=- leaves a field out.",
)
@click.option("--format", "format_name", type=click.Choice(FORMATS), default=None)
@click.option("--encoding", default=None, help="Of text files (default: utf-8, or as they say).")
@click.option("--product", default=None, help="The product of all rows.")
@click.option("--dry-run", is_flag=True, help="Read everything, write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def ingest(
    ctx: click.Context,
    paths: tuple[str, ...],
    source: str,
    maps: tuple[str, ...],
    format_name: str | None,
    encoding: str | None,
    product: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Take in feedback from files, globs and folders: csv, jsonl, json, parquet.

    Columns are mapped as --map says, else as sources.NAME.columns in closeloop.yaml says, else
    guessed and shown. The same file again brings nothing new.
    """
    from closeloop.connectors.intake.fields import FEEDBACK_FIELDS
    from closeloop.connectors.intake.mapping import check_fields, parse_map_options
    from closeloop.connectors.intake.request import IntakeRequest
    from closeloop.connectors.intake.take_in import take_in

    workspace = open_workspace(ctx)
    declared = workspace.source_columns(source)
    check_fields(declared, FEEDBACK_FIELDS, where=f"closeloop.yaml, sources.{source}.columns")
    request = IntakeRequest(
        source=source,
        mapping=declared | parse_map_options(maps, FEEDBACK_FIELDS),
        format=format_name,
        encoding=encoding,
        product=product,
    )
    if dry_run:
        report = take_in(DryRun(workspace), paths, request)
    else:
        with workspace.step(STEP) as step:
            report = take_in(step, paths, request)
    if as_json:
        print_json(report.as_dict() | {"dry_run": dry_run})
    else:
        _tell(report, dry_run=dry_run)


class DryRun:
    """Stands in for a step: reads what is committed, writes nothing."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    @property
    def now(self) -> datetime:
        """The time."""
        return self._workspace.now()

    @property
    def config(self) -> Configuration:
        """The workspace's configuration."""
        return self._workspace.config

    @property
    def progress(self) -> Progress:
        """Shows people how far it is."""
        return self._workspace.progress

    def rows(
        self,
        table: Table,
        *,
        columns: Sequence[str] | None = None,
        where: Sequence[Condition] = (),
    ) -> pa.Table:
        """Return committed rows."""
        return self._workspace.committed(table, columns=columns, where=where)

    def append(self, table: Table, rows: pa.Table) -> None:
        """Write nothing."""

    def merge(self, table: Table, rows: pa.Table) -> None:
        """Write nothing."""

    def put_state(self, name: str, blob: bytes, *, scope: str = "") -> None:
        """Remember nothing."""

    def state(self, name: str, *, scope: str = "") -> bytes | None:  # noqa: ARG002
        """Return nothing remembered."""
        return None

    def count(self, name: str, value: int) -> None:
        """Count nothing."""


def _tell(report: IntakeReport, *, dry_run: bool) -> None:
    _tell_files(report.files)
    tell_zone(
        sum(f.zoneless for f in report.files),
        report.timezone,
        setting=f"sources.{safe(report.source)}.timezone",
    )
    would = "would be " if dry_run else ""
    click.echo(
        f"rows in {report.rows:,} = {report.new:,} {would}new in bronze + "
        f"{report.already_known:,} already known"
    )
    if report.cured:
        click.echo(f"of the new ones {report.cured:,} cure rows that could not be read before")
    _tell_defects(report)
    if report.new and not dry_run:
        click.echo("next: closeloop run")


def _tell_files(files: Sequence[FileReport]) -> None:
    shown: list[ColumnMapping] = []
    for file in files:
        known = [(m.as_dict(), m.left_over) for m in shown]
        again = (file.mapping.as_dict(), file.mapping.left_over) in known
        click.echo(
            f"{safe(file.file)}: {file.format}, {file.rows:,} rows"
            + (", columns as above" if again and len(files) > 1 else "")
        )
        if not again:
            shown.append(file.mapping)
            if len(shown) <= MAX_MAPPINGS_SHOWN:
                tell_mapping(file.mapping)


def _tell_defects(report: IntakeReport) -> None:
    if not report.defects:
        return
    broken = sum(report.defects.values())
    click.echo(f"{broken:,} of the new rows can't be used as they are (kept, to be cured):")
    for reason, count in report.defects.items():
        click.echo(f"  {reason} {count:,}: {_cure(reason, report.files)}")


def _cure(reason: str, files: Sequence[FileReport]) -> str:
    """Return what to do about a reason, in words that fit the files it was found in."""
    from closeloop.domain.feedback import JSON_CURE, QuarantineReason

    cure = QuarantineReason(reason).cure
    if reason != QuarantineReason.MALFORMED_ROW:
        return cure
    json_files = [file.format in ("json", "jsonl") for file in files if file.defects.get(reason)]
    if all(json_files):
        return JSON_CURE
    return f"{cure}; of JSON: {JSON_CURE}" if any(json_files) else cure
