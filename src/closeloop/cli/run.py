"""`closeloop run`: one pass over all that is new, or on and on."""

from __future__ import annotations

import time
from datetime import timedelta

import click

from closeloop.app import Workspace
from closeloop.cli.output import print_json
from closeloop.cli.session import open_workspace
from closeloop.cli.taxonomy import waiting, waits_line
from closeloop.cli.times import parse_time
from closeloop.cli.writer_check import retirement_notes
from closeloop.errors import TransientError, UsageError
from closeloop.loop import PassReport
from closeloop.settings import duration


@click.command()
@click.option("--watch", is_flag=True, help="Go on and on; Ctrl-C stops.")
@click.option("--every", default="5m", show_default=True, help="How often, with --watch.")
@click.option("--as-of", default=None, metavar="TIME", help="Take this as the time (ISO 8601).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def run(ctx: click.Context, watch: bool, every: str, as_of: str | None, as_json: bool) -> None:
    """Run the loop over all that is new: from new feedback to tickets and verdicts.

    With --watch, what has arrived at the declared streams is taken in before each pass.
    """
    workspace = open_workspace(ctx)
    for note in retirement_notes(workspace, workspace.now()):
        click.echo(f"closeloop: {note}", err=True)
    pause = _pause(every)
    if not watch:
        _show(workspace, workspace.run(as_of=parse_time(as_of)), as_json=as_json)
        return
    if as_of is not None:
        raise UsageError("--watch and --as-of exclude one another", hint="leave one out")
    click.echo(f"watching {workspace.folder}, a pass every {every}; Ctrl-C stops", err=True)
    while True:
        try:
            _take_in(workspace, as_json=as_json)
            _show(workspace, workspace.run(), as_json=as_json)
        except TransientError as error:
            click.echo(f"closeloop: {error}\n  trying again in {every}", err=True)
        time.sleep(pause.total_seconds())


def _take_in(workspace: Workspace, *, as_json: bool) -> None:
    """Take in what has arrived at the declared streams; one that fails for now holds up no other."""
    from closeloop.cli.stream import tell
    from closeloop.streaming import take_in_stream

    for name, source in sorted(workspace.settings.sources.items()):
        if source.kafka is None and not source.files:
            continue
        try:
            found = take_in_stream(workspace, name, source)
        except TransientError as error:
            click.echo(f"closeloop: {name}: {error}", err=True)
            continue
        if as_json:
            print_json({"stream": found})
        else:
            tell(found)


def _pause(text: str) -> timedelta:
    try:
        return duration(text)
    except ValueError as error:
        raise UsageError(f"--every {text}: {error}") from error


def _show(workspace: Workspace, report: PassReport, *, as_json: bool) -> None:
    waits = waiting(workspace)
    if as_json:
        print_json(
            {
                "now": report.now,
                "counts": report.counts,
                "seconds": report.seconds,
                "taxonomy_waits": waits,
            }
        )
        return
    for step, counts in report.counts.items():
        if counts:
            figures = ", ".join(f"{n.replace('_', ' ')} {v:,}" for n, v in counts.items())
            click.echo(f"{step:<10} {figures}  ({report.seconds[step]:.1f} s)")
    if not any(report.counts.values()):
        click.echo("nothing new")
    historic = report.count("detect", "historic_signals")
    if historic:
        click.echo(
            f"{historic:,} signals lie in feedback that was already old when it was taken in: "
            "history trains the baselines and themes, and is never acted on.\n"
            "See what would have been done with it: closeloop backtest --from … --to …"
        )
    asked = report.count("decide", "reviews")
    if asked:
        click.echo(f"{asked} signal(s) wait for a person: closeloop review")
    if waits:
        click.echo(waits_line(waits))
