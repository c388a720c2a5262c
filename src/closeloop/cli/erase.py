"""`closeloop erase`: the right to erasure, and retention, through every layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import click

from closeloop.app import Workspace
from closeloop.cli.output import print_json, print_table
from closeloop.cli.person import by_option
from closeloop.cli.session import open_workspace
from closeloop.domain.feedback import feedback_id as id_of
from closeloop.errors import UsageError
from closeloop.models.vector_cache import CachedEmbedder
from closeloop.ports import StepContext, only_if_in
from closeloop.settings import duration
from closeloop.stages import erase as erasing
from closeloop.stages.erase import Erasure
from closeloop.tables import BRONZE_FEEDBACK, STATE, TABLES
from closeloop.workspace_folder import BACKTESTS_FOLDER, SUMMARY_FILE, remove_backtest

Find = Callable[[StepContext], tuple[str, ...]]
NOTHING_FOUND = 1
KEPT_ANSWERS = "kept answers of language models"


@click.command()
@click.option("--author", default=None, help="All feedback of this author, in every spelling.")
@click.option("--id", "ids", multiple=True, help="This feedback id; may be given again.")
@click.option("--source", default=None, help="With --source-id: the source's name.")
@click.option("--source-id", default=None, help="The id that the source gave.")
@click.option("--older-than", default=None, metavar="AGE", help="Feedback older than 730d, 52w, …")
@click.option("--retention", is_flag=True, help="Feedback older than closeloop.yaml's retention.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@by_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON (needs --yes).")
@click.pass_context
def erase(
    ctx: click.Context,
    author: str | None,
    ids: tuple[str, ...],
    source: str | None,
    source_id: str | None,
    older_than: str | None,
    retention: bool,
    yes: bool,
    by: str,
    as_json: bool,
) -> None:
    """Erase feedback through every layer: tables, briefs, tickets, labels, vectors, backtests.

    It can't be undone. That it was done is logged, what was erased is not.
    """
    workspace = open_workspace(ctx)
    request, find = _request(
        workspace,
        author=author,
        ids=ids,
        source=source,
        source_id=source_id,
        older_than=older_than,
        retention=retention,
    )
    if as_json and not yes:
        raise UsageError("--json can't ask back", hint="add --yes")
    finish_earlier(workspace)
    with workspace.step(erasing.NAME) as step:
        found = find(step)
    if not found:
        if as_json:
            print_json({"feedback": 0, "rows": {}})
        else:
            click.echo("nothing found that fits")
        ctx.exit(0 if request == "retention" else NOTHING_FOUND)
    if not yes:
        click.confirm(f"erase {len(found)} feedback for good?", abort=True)
    done, backtests = erase_feedback(workspace, find, request=request, by=by)
    if as_json:
        print_json({"feedback": len(done.feedback_ids), "rows": done.rows, "backtests": backtests})
        return
    click.echo(f"erased: {len(done.feedback_ids)} feedback")
    print_table(("where", "rows"), sorted(done.rows.items()), empty="")
    if backtests:
        click.echo(f"backtests that held it were removed: {', '.join(backtests)}")
    click.echo("copies that closeloop made of nothing else stay yours to erase: files you ingested")


def erase_feedback(
    workspace: Workspace, find: Find, *, request: str, by: str
) -> tuple[Erasure, list[str]]:
    """Erase what `find` finds, in tables, caches, backtests and on disk.

    Returns what was erased, and the names of the backtests that were removed.
    """
    with workspace.step(erasing.NAME) as step:
        ids = find(step)
        hashes = erasing.text_hashes_of(step, ids)
        words = erasing.words_of(step, ids)
    # Before the tables: killed after this, the command can be given again and finds all.
    embedder = workspace.models.embedder()
    if isinstance(embedder, CachedEmbedder):
        embedder.forget(hashes)
    answers = workspace.forget_answers(feedback_ids=ids, texts=words)
    with workspace.step(erasing.NAME) as step:
        done = erasing.erase(step, find(step), by=by, request=request)
    if answers:
        done = replace(done, rows={**done.rows, KEPT_ANSWERS: answers})
    backtests = _remove_backtests(workspace, done.feedback_ids)
    finish_earlier(workspace)
    return done, backtests


def finish_earlier(workspace: Workspace) -> None:
    """Remove old files that an erasure left on disk, this one's or a killed one's."""
    with workspace.step(erasing.NAME) as step:
        waiting = set(erasing.unfinished(step))
    if not waiting:
        return
    with workspace.hold():
        for table in TABLES:
            if table.full_name in waiting | {STATE.full_name}:
                workspace.engine.forget(table)
        workspace.database.forget()
    with workspace.step(erasing.NAME) as step:
        erasing.finished(step)


def _request(
    workspace: Workspace,
    *,
    author: str | None,
    ids: tuple[str, ...],
    source: str | None,
    source_id: str | None,
    older_than: str | None,
    retention: bool,
) -> tuple[str, Find]:
    """Return how the feedback is named, and what finds it. Raises UsageError unless in one way."""
    if (source is None) != (source_id is None):
        raise UsageError("--source and --source-id belong together", hint="give both")
    ways = [author, ids or None, source_id, older_than, retention or None]
    if sum(w is not None for w in ways) != 1:
        raise UsageError(
            "say in one way what to erase",
            hint="--author NAME, --id ID, --source NAME --source-id ID, --older-than AGE or --retention",
        )
    if author is not None:
        return "author", lambda step: erasing.ids_of_author(step, author)
    if source is not None and source_id is not None:
        wanted = (id_of(source, source_id),)
        return "source id", lambda step: erasing.ids_known(step, wanted)
    if ids:
        return "id", lambda step: erasing.ids_known(step, ids)
    age = _age(workspace, older_than)
    return "retention", lambda step: erasing.ids_older_than(step, step.now - age)


def _age(workspace: Workspace, older_than: str | None) -> timedelta:
    if older_than is None:
        if workspace.config.retention is None:
            raise UsageError(
                "closeloop.yaml sets no retention", hint="write 'retention: 730d', or --older-than"
            )
        return workspace.config.retention
    try:
        return duration(older_than)
    except ValueError as error:
        raise UsageError(f"--older-than {older_than}: {error}") from error


def _remove_backtests(workspace: Workspace, ids: tuple[str, ...]) -> list[str]:
    """Remove backtests that hold the feedback: they can be run again, without it."""
    removed = []
    for folder in sorted((workspace.folder / BACKTESTS_FOLDER).glob("*/")):
        if (folder / SUMMARY_FILE).is_file():
            replayed = Workspace(
                workspace.folder, progress=workspace.progress, backtest=folder.name
            )
            where = [only_if_in("feedback_id", ids)]
            held = replayed.committed(BRONZE_FEEDBACK, columns=["feedback_id"], where=where)
            replayed.database.close()
            if held.num_rows == 0:
                continue
        # One without a summary was interrupted and is of no use.
        if remove_backtest(folder):
            removed.append(folder.name)
    return removed
