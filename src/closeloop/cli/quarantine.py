"""`closeloop quarantine`: see, hand out and cure rows that can't be used."""

from __future__ import annotations

import csv
import io
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import click

from closeloop.app import Workspace
from closeloop.cli.output import csv_cell, print_json, print_table, safe, shorten
from closeloop.cli.session import open_workspace
from closeloop.domain.feedback import QuarantineReason
from closeloop.errors import NotFoundError, OutsideError, UsageError, redact

REASONS = tuple(reason.value for reason in QuarantineReason)
EXPORTED = ("source", "source_id", "reason", "detail", "cure", "file", "line", "payload")

_source_option = click.option("--source", default=None, help="Of this source only.")
_reason_option = click.option(
    "--reason", type=click.Choice(REASONS), default=None, help="With this reason only."
)


@click.group()
def quarantine() -> None:
    """See and cure rows that can't be used; none is lost."""


@quarantine.command("list")
@_source_option
@_reason_option
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def list_(
    ctx: click.Context, source: str | None, reason: str | None, limit: int, as_json: bool
) -> None:
    """List reasons with their cure, and the first rows."""
    rows = _rows(open_workspace(ctx), source, reason)
    if as_json:
        print_json([{name: row[name] for name in EXPORTED[:-1]} for row in rows[:limit]])
        return
    if not rows:
        which = " and ".join(filter(None, (source and f"source {safe(source)}", reason)))
        of_it = f"no row of {which} is in quarantine" if which else "the quarantine is empty"
        click.echo(f"{of_it} (rows are judged when 'closeloop run' refines them)")
        return
    counts = Counter((row["source"], row["reason"], row["cure"]) for row in rows)
    print_table(
        ("source", "reason", "rows", "cure"),
        [
            (name, why, count, cure)
            for (name, why, cure), count in sorted(counts.items(), key=lambda i: (-i[1], i[0]))
        ],
    )
    click.echo()
    print_table(
        ("file", "line", "reason", "what was wrong", "row"),
        [
            (
                shorten(row["file"] or "-", 30),
                row["line"],
                row["reason"],
                shorten(row["detail"], 50),
                shorten(row["payload"][:400], 40),
            )
            for row in rows[:limit]
        ],
    )
    if len(rows) > limit:
        click.echo(f"({len(rows) - limit:,} more; raise --limit, or export them)", err=True)


@quarantine.command("export")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@_source_option
@_reason_option
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@click.pass_context
def export(
    ctx: click.Context, file: Path, source: str | None, reason: str | None, force: bool
) -> None:
    """Write quarantined rows to FILE (.csv or .jsonl). They are as delivered: not masked."""
    if file.suffix.lower() not in (".csv", ".jsonl"):
        raise UsageError(f"{file}: not .csv or .jsonl", hint="name the file quarantine.jsonl")
    rows = _rows(open_workspace(ctx), source, reason)
    text = _as_csv(rows) if file.suffix.lower() == ".csv" else _as_lines(rows)
    _write_private(file, text, force=force)
    click.echo(f"{len(rows):,} rows written to {safe(file)} (unmasked; readable by you only)")


@quarantine.command("retry")
@_source_option
@_reason_option
@click.option(
    "--map",
    "maps",
    multiple=True,
    metavar="FIELD=COLUMN",
    help="Read this field from another column (repeatable).",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def retry(
    ctx: click.Context,
    source: str | None,
    reason: str | None,
    maps: tuple[str, ...],
    as_json: bool,
) -> None:
    """Read quarantined rows again with today's mapping, formats, limits and rules.

    What can be used now is taken in again; the next run counts the old row as cured. Rows that
    were broken as such (malformed, not UTF-8) have to be delivered again.
    """
    from closeloop.connectors.intake.fields import FEEDBACK_FIELDS
    from closeloop.connectors.intake.mapping import parse_map_options
    from closeloop.connectors.intake.retry import REFINE_AGAIN, read_again
    from closeloop.stages import refine

    workspace = open_workspace(ctx)
    if maps and source is None:
        raise UsageError("--map needs --source", hint="columns differ from source to source")
    if source is not None and reason in {r.value for r in REFINE_AGAIN}:
        raise UsageError(
            f"rows with {reason} are judged again for all sources at once",
            hint="leave --source out",
        )
    given = parse_map_options(maps, FEEDBACK_FIELDS)
    found = {row["source"] for row in _rows(workspace, source, reason)}
    reasons = [reason] if reason else list(REASONS)
    with workspace.step("ingest") as step:
        report = read_again(
            step,
            sources=[source] if source else (),
            reasons=reasons,
            mappings={name: workspace.source_columns(name) | given for name in found},
        )
    again = [r.value for r in REFINE_AGAIN if r.value in reasons]
    freed = 0
    if again and source is None:
        with workspace.step(refine.NAME) as step:
            freed = refine.retry_quarantine(step, again)
    if as_json:
        print_json(
            {"read_again": report.looked_at, "cured": report.cured, "refined": freed}
            | {"still": report.still}
        )
        return
    click.echo(f"{report.looked_at:,} rows read again: {report.cured:,} can be used now")
    for why, count in report.still.items():
        click.echo(f"  still {why} {count:,}: {QuarantineReason(why).cure}")
    if freed:
        click.echo(f"{freed:,} rows judged again left the quarantine")
    if report.cured or freed:
        click.echo("next: closeloop run")


def _rows(workspace: Workspace, source: str | None, reason: str | None) -> list[dict[str, Any]]:
    from closeloop.ports import Condition
    from closeloop.tables import QUARANTINE

    where: list[Condition] = []
    if source is not None:
        where.append(("source", "=", source))
    if reason is not None:
        where.append(("reason", "=", reason))
    rows: list[dict[str, Any]] = workspace.committed(QUARANTINE, where=where).to_pylist()
    if source is not None and not rows:
        _check_source(workspace, source)
    for row in rows:
        row["cure"] = QuarantineReason(row["reason"]).cure_of(row["detail"])
    return sorted(
        rows, key=lambda r: (r["source"], r["file"] or "", r["line"] or 0, r["bronze_id"])
    )


def _check_source(workspace: Workspace, source: str) -> None:
    """Raise NotFoundError for a source that nothing came from and that no file declares."""
    from closeloop.tables import BRONZE_FEEDBACK

    came = workspace.committed(BRONZE_FEEDBACK, columns=["source"]).column("source")
    known = {*came.unique().to_pylist(), *workspace.settings.sources}
    if source not in known:
        raise NotFoundError(
            f"no source {redact(source)!r}",
            hint=f"there are: {safe(', '.join(sorted(known))) or 'none; ingest first'}",
        )


def _as_csv(rows: list[dict[str, Any]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(EXPORTED)
    writer.writerows([csv_cell(row[name]) for name in EXPORTED] for row in rows)
    return buffer.getvalue()


def _as_lines(rows: list[dict[str, Any]]) -> str:
    return "".join(
        json.dumps({name: row[name] for name in EXPORTED}, ensure_ascii=False) + "\n"
        for row in rows
    )


def _write_private(file: Path, text: str, *, force: bool) -> None:
    """Write a file that only its owner may read: it holds customers' words unmasked."""
    flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if force else os.O_EXCL)
    try:
        handle = os.open(file, flags, 0o600)
    except FileExistsError as error:
        raise UsageError(f"{file} is there already", hint="name another, or --force") from error
    except OSError as error:
        raise OutsideError(f"{file} can't be written ({error.strerror})") from error
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        out.write(text)
