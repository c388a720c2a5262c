"""`closeloop batches`: how batches of a language model are getting on; what has ended is collected."""

from __future__ import annotations

from dataclasses import asdict

import click

from closeloop.cli.output import print_json, print_table
from closeloop.cli.session import open_workspace
from closeloop.errors import UsageError


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def batches(ctx: click.Context, as_json: bool) -> None:
    """Ask after batches, hand in again what was cut off, and keep the answers that have come.

    A batch takes up to a day and half the price. Its answers are found by the next run or backtest.
    """
    workspace = open_workspace(ctx)
    batched = workspace.batched_model()
    if batched is None:
        raise UsageError(
            "closeloop.yaml names no language model",
            hint="set writer.kind to azure_openai or openai (docs/models.md)",
        )
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
