"""`closeloop doctor`: checks what a workspace rests on and says what to do."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass

import click

from closeloop.app import Workspace
from closeloop.cli.output import print_json, safe
from closeloop.cli.session import open_workspace
from closeloop.cli.taxonomy import applied, waiting
from closeloop.cli.writer_check import WriterCheck, check_writer
from closeloop.errors import REPAIR_MISSING, CloseloopError
from closeloop.models.wiring import served_at, without_cache
from closeloop.ports import Head
from closeloop.tables import TABLES
from closeloop.text.pii import masker_version
from closeloop.workspace_folder import PRIVATE_FOLDER

TABLES_BY_NAME = {table.full_name: table for table in TABLES}
LOW_DISK_BYTES = 2_000_000_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was looked at, whether it is well, what to do if not."""

    check: str
    ok: bool
    detail: str
    advice: str = ""


@click.command()
@click.option("--connect", is_flag=True, help="Ask the language model once (a few tokens, billed).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def doctor(ctx: click.Context, connect: bool, as_json: bool) -> None:
    """Check configuration, models, tables and disk; exit 1 where something is wrong."""
    workspace = open_workspace(ctx)
    findings = [
        Finding("configuration", ok=True, detail=f"{workspace.folder} is well-formed"),
        *(
            _run(name, check, workspace)
            for name, check in (
                ("key", _key),
                ("model", _model),
                ("writer", _writer_asked if connect else _writer),
                ("masking", _masking),
                ("database", _database),
                ("tables", _tables),
                ("accounting", _accounting),
                ("taxonomy", _taxonomy),
                ("sources", _sources),
                ("disk", _disk),
            )
        ),
    ]
    if as_json:
        print_json([asdict(f) for f in findings])
    else:
        for finding in findings:
            click.echo(f"{'ok  ' if finding.ok else 'FAIL'}  {finding.check:<14} {finding.detail}")
            if finding.advice:
                click.echo(f"      {finding.advice}")
    if not all(f.ok for f in findings):
        ctx.exit(1)


def _run(name: str, check: Callable[[Workspace], Finding], workspace: Workspace) -> Finding:
    try:
        return check(workspace)
    except CloseloopError as error:
        return Finding(name, ok=False, detail=error.message, advice=error.hint)


def _key(workspace: Workspace) -> Finding:
    key_id = workspace.token_key.key_id
    path = workspace.folder / PRIVATE_FOLDER / "token.key"
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        return Finding(
            "key",
            ok=False,
            detail=f"others can read it (mode {mode:o})",
            advice=f"chmod 600 {path}",
        )
    return Finding("key", ok=True, detail=f"key {key_id}, readable by its owner only")


def _model(workspace: Workspace) -> Finding:
    embedder = workspace.models.embedder()
    # Past the cache: what is checked is that the model answers now.
    shape = without_cache(embedder).embed(["a payment failed"]).shape
    served = served_at(embedder)
    where = "" if served is None else f", served at {served} (asked once: a few tokens, billed)"
    return Finding("model", ok=True, detail=f"{embedder.model_id}, {shape[1]} dimensions{where}")


def _writer(workspace: Workspace) -> Finding:
    return _of_writer(check_writer(workspace))


def _writer_asked(workspace: Workspace) -> Finding:
    return _of_writer(check_writer(workspace, connect=True))


def _of_writer(checked: WriterCheck) -> Finding:
    return Finding("writer", ok=checked.ok, detail=checked.detail, advice=checked.advice)


def _masking(workspace: Workspace) -> Finding:
    recogniser = workspace.models.recogniser()
    masker = masker_version(workspace.config.pii_rules, recogniser)
    if recogniser is None:
        return Finding("masking", ok=True, detail=f"masker {masker}: rules, no model")
    recogniser.recognise(["My name is Asha Rao, call me on 98765 43212."])
    listed = ", ".join(sorted(recogniser.tokens))
    detail = f"masker {masker}; the model answers, masks {listed}, is asked of {recogniser.asked}"
    return Finding("masking", ok=True, detail=detail)


def _database(workspace: Workspace) -> Finding:
    with workspace.database.transaction() as operations:
        count = len(operations.tickets())
    return Finding("database", ok=True, detail=f"opens and is migrated; {count} tickets")


def _tables(workspace: Workspace) -> Finding:
    with workspace.hold():
        heads = workspace.heads()
        gone = [name for name, head in sorted(heads.items()) if _lost(workspace, name, head)]
    if gone:
        return Finding(
            "tables",
            ok=False,
            detail=f"{len(gone)} of {len(heads)} tables are gone, or older than what was "
            f"committed: {', '.join(gone)}",
            advice=REPAIR_MISSING,
        )
    return Finding("tables", ok=True, detail=f"{len(heads)} tables at their committed versions")


def _lost(workspace: Workspace, name: str, head: Head) -> bool:
    if head.version is None or name not in TABLES_BY_NAME:
        return False
    newest = workspace.engine.version(TABLES_BY_NAME[name])
    return newest is None or newest < head.version


def _accounting(workspace: Workspace) -> Finding:
    row = workspace.query(
        "SELECT (SELECT count(*) FROM bronze.feedback) AS bronze, "
        "(SELECT count(*) FROM silver.feedback) AS silver, "
        "(SELECT count(*) FROM silver.quarantine) AS quarantine, "
        "(SELECT count(*) FROM silver.superseded) AS superseded"
    ).to_pylist()[0]
    placed = row["silver"] + row["quarantine"] + row["superseded"]
    detail = (
        f"bronze {row['bronze']:,} = silver {row['silver']:,} + quarantine {row['quarantine']:,} "
        f"+ superseded {row['superseded']:,}"
    )
    if placed == row["bronze"]:
        return Finding("accounting", ok=True, detail=detail)
    missing = row["bronze"] - placed
    if missing > 0:
        return Finding(
            "accounting",
            ok=True,
            detail=f"{missing:,} of {row['bronze']:,} bronze rows are not refined yet",
            advice="run the loop: closeloop run",
        )
    return Finding("accounting", ok=False, detail=detail, advice="please report this as a defect")


def _taxonomy(workspace: Workspace) -> Finding:
    history = applied(workspace)
    if not history:
        detail = f"{workspace.config.taxonomy.version}; the first run applies it"
        return Finding("taxonomy", ok=True, detail=detail)
    waits = waiting(workspace)
    return Finding(
        "taxonomy",
        ok=True,
        detail=f"{history[-1]['version']} is applied"
        + (f"; {waits} waits and moves nothing yet" if waits else ""),
        advice="see what it would move: closeloop taxonomy diff" if waits else "",
    )


def _sources(workspace: Workspace) -> Finding:
    from closeloop.cli.sources import open_ailments

    ailing = open_ailments(workspace)
    if not ailing:
        return Finding("sources", ok=True, detail="every source delivers as usual, as far as known")
    return Finding(
        "sources",
        ok=False,
        detail="; ".join(safe(row["reason"]) for row in ailing),
        advice="verdicts wait until it delivers again: closeloop sources",
    )


def _disk(workspace: Workspace) -> Finding:
    free = shutil.disk_usage(workspace.folder).free
    gigabytes = f"{free / 1e9:.1f} GB free"
    if free < LOW_DISK_BYTES:
        return Finding("disk", ok=False, detail=gigabytes, advice="make room before the next run")
    return Finding("disk", ok=True, detail=gigabytes)
