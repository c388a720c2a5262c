"""`closeloop backtest`: replays history and tells what would have been ticketed, when, and why."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from closeloop.app import Workspace
from closeloop.cli.backtest_report import write_report
from closeloop.cli.backtest_run import default_name, run_backtest
from closeloop.cli.backtest_signals import HEADERS, Tally, amount_of, grown, signals_of, tally
from closeloop.cli.blame import blame, candidate_name, likelihood
from closeloop.cli.output import local_time, print_json, print_table, safe, shorten
from closeloop.cli.session import open_workspace
from closeloop.cli.signals import what
from closeloop.cli.times import parse_time
from closeloop.errors import UsageError
from closeloop.progress import shown
from closeloop.settings import duration
from closeloop.workspace_folder import check_backtest_name


@click.command()
@click.option("--from", "start", required=True, metavar="TIME", help="First time of decision.")
@click.option("--to", "end", required=True, metavar="TIME", help="Last time of decision.")
@click.option("--product", "products", multiple=True, help="Only this product (repeatable).")
@click.option("--every", default="1h", show_default=True, help="How often the loop looks.")
@click.option("--name", default=None, help="Name of the folder under backtests/.")
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    default=None,
    metavar="FILE",
    help="Write a page with pictures too: one .html file.",
)
@click.option(
    "--batch", is_flag=True, help="Have briefs written in a batch: half the price, within a day."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def backtest(
    ctx: click.Context,
    start: str,
    end: str,
    products: tuple[str, ...],
    every: str,
    name: str | None,
    report: Path | None,
    batch: bool,
    as_json: bool,
) -> None:
    """Replay the loop from --from to --to, deciding at each time only from what was known then.

    Feedback from before --from trains baselines, themes and models. Nothing live is touched: the
    tables go to backtests/NAME, and 'closeloop query --backtest' reads them.

    With --batch a language model's briefs are not waited for: they are handed in together once the
    backtest has ended. Collect them with 'closeloop batches' and run the same backtest again: it
    finds them, and hands in what has to be mended.
    """
    from closeloop.cli.batches import batched_model, hand_in

    if name is not None:
        check_backtest_name(name)
    workspace = open_workspace(ctx)
    # On a busy machine it takes seconds to load what the stages compute with.
    with shown(workspace.progress, "start"):
        from closeloop.replay import ReplayPlan

    try:
        step = duration(every)
    except ValueError as error:
        raise UsageError(f"--every {every}: {error}") from error
    first, last = parse_time(start), parse_time(end)
    assert first is not None
    assert last is not None
    if last <= first or step <= timedelta(0):
        raise UsageError("--to must lie after --from, and --every must be positive")
    plan = ReplayPlan(start=first, end=last, every=step)
    chosen = default_name(plan.start, plan.end, products) if name is None else name
    deferring = batched_model(workspace).deferring() if batch else None
    summary = run_backtest(workspace, plan, products=products, name=chosen, model=deferring)
    if deferring is not None:
        summary["batch"] = hand_in(workspace, deferring, quiet=as_json)
    tell(workspace, chosen, summary, as_json=as_json, report=report)


def tell(
    workspace: Workspace,
    name: str,
    summary: dict[str, Any],
    *,
    as_json: bool,
    report: Path | None = None,
) -> None:
    """Print what a backtest found, and write the report where one is asked for."""
    tested = Workspace(workspace.folder, progress=workspace.progress, backtest=name)
    rows = signals_of(tested)
    if report is not None:
        write_report(tested, report, summary=summary, rows=rows)
    if as_json:
        print_json({"backtest": summary, "signals": rows})
        return
    _tell_all(rows, summary, zone=workspace.settings.timezone)
    if report is not None:
        click.echo(f"\nthe report: {report}")
    click.echo(
        f"\nlook closer: closeloop signals --backtest={name}, or closeloop query --backtest …"
    )


def _tell_all(rows: Sequence[dict[str, Any]], summary: dict[str, Any], *, zone: str) -> None:
    counted = tally(rows)
    click.echo(
        f"{amount_of(summary)}, {summary['passes']:,} looks in "
        f"{summary['seconds']:.0f} s: {told(counted)}"
    )
    print_table(
        HEADERS,
        [
            (
                local_time(r["detected_at"], zone),
                r["product"],
                what(r),
                r["at_raise"]["count"],
                f"{r['at_raise']['baseline']:.1f}",
                grown(r, zone) or "-",
                r["at_raise"]["severity"] or "-",
                blame(r["candidates"]),
                f"{r['action'] or '-'}{' (would ticket)' if r['would_ticket'] else ''}",
            )
            for r in rows
        ],
        empty="no signal would have been raised",
    )
    for row in rows:
        _tell_signal(row, zone)


def told(counted: Tally) -> str:
    """Return what became of the signals in one line."""
    parts = [f"{counted.tickets} tickets"] if counted.tickets else []
    parts.append(
        f"{counted.questions} questions to a person, of which {counted.would_be} would be a ticket"
    )
    parts.append(f"{counted.digest} lines in the digest")
    parts += [f"{counted.left} neither"] if counted.left else []
    return f"{counted.signals} signals: {', '.join(parts)}"


def _tell_signal(row: Any, zone: str) -> None:
    then = row["at_raise"]
    click.echo(
        f"\n{local_time(row['detected_at'], zone)}  {safe(row['product'])}: {safe(what(row))}, "
        f"after {then['count']} complaints, {then['baseline']:.1f} expected ({row['detector']}, "
        f"evidence {then['evidence']:.3g} of {then['threshold']:.3g} needed)"
    )
    if later := grown(row, zone):
        click.echo(f"  grew to {later}")
    click.echo(f"  blamed: {safe(blame(row['candidates']))}")
    for candidate in row["candidates"][:3]:
        click.echo(f"  {likelihood(candidate['posterior'])} {safe(candidate_name(candidate))}")
    for reason in row["reasons"]:
        click.echo(f"  {safe(reason)}")
    for quote in row["quotations"]:
        click.echo(f'  "{shorten(quote["text"], 140)}" ({quote["feedback_id"][:10]})')
