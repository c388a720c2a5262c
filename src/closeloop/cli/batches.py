"""`closeloop batches`: how batches of a language model are getting on; what has ended is collected."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from closeloop.cli.output import print_json, print_table
from closeloop.cli.session import open_workspace
from closeloop.errors import UsageError

if TYPE_CHECKING:
    from closeloop.app import Workspace
    from closeloop.models.batched_model import BatchedModel, DeferringLanguageModel


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def batches(ctx: click.Context, as_json: bool) -> None:
    """Ask after batches, hand in again what was cut off, and keep the answers that have come.

    A batch takes up to a day and half the price. Its answers are found by the next run or backtest.
    """
    workspace = open_workspace(ctx)
    batched = batched_model(workspace)
    with workspace.hold():
        found = batched.advance()
    if as_json:
        print_json([asdict(status) for status in found])
        return
    print_table(
        ("submission", "batch", "status", "requests", "ended", "detail"),
        [
            (
                status.submission,
                status.batch_id,
                status.status,
                f"{status.requests:,}",
                ", ".join(f"{state} {count:,}" for state, count in status.ended.items()) or "-",
                status.detail or "-",
            )
            for status in found
        ],
        empty="no batch waits",
    )


def batched_model(workspace: Workspace) -> BatchedModel:
    """Return the configured model as it is asked in batches. Raises UsageError where none is."""
    batched = workspace.models.batched_model()
    if batched is None:
        raise UsageError(
            "closeloop.yaml names no language model",
            hint="set writer.kind to azure_openai or openai (docs/models.md)",
        )
    return batched


def hand_in(
    workspace: Workspace, deferring: DeferringLanguageModel, *, quiet: bool
) -> dict[str, Any]:
    """Hand in what a run has noted, say what became of it, and return that."""
    with workspace.hold():
        handed = deferring.hand_in()
    if not quiet:
        over = f", {handed.over_budget:,} not: {handed.why}" if handed.over_budget else ""
        if handed.submitted or handed.waiting or handed.over_budget:
            click.echo(
                f"batch: {handed.submitted:,} requests handed in, {handed.waiting:,} wait "
                f"already{over}; 'closeloop batches' collects them, then run this again"
            )
        else:
            click.echo("batch: nothing waits")
    return asdict(handed)
