"""`closeloop sources`: what each source delivers, and which verdicts wait because of it."""

from __future__ import annotations

from typing import Any

import click

from closeloop.app import Workspace
from closeloop.cli.output import local_time, print_json, print_table, records, shorten
from closeloop.cli.session import backtest_option, open_workspace

DELIVERED = """
SELECT product, coalesce(source, '') AS source, count(*) AS texts, max(event_time) AS newest,
       count(*) FILTER (WHERE event_time > latest - INTERVAL 1 DAY) AS last_day,
       count(*) FILTER (WHERE event_time > latest - INTERVAL 28 DAY) / 28.0 AS usual_a_day
FROM (SELECT *, max(event_time) OVER (PARTITION BY product) AS latest FROM gold.feedback_latest)
GROUP BY product, source ORDER BY product, source
"""
AILING = "SELECT * FROM gold.source_health ORDER BY product, started_at DESC, source, stratum"


@click.command()
@click.option("--all", "everything", is_flag=True, help="Show what is over, too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@backtest_option
@click.pass_context
def sources(ctx: click.Context, everything: bool, as_json: bool, backtest: str | None) -> None:
    """List sources, how much they deliver, and what ails them; exit 1 where one ails now."""
    workspace = open_workspace(ctx, backtest=backtest)
    delivered = records(workspace.query(DELIVERED))
    ailments = [r for r in records(workspace.query(AILING)) if everything or is_open(r)]
    if as_json:
        print_json({"sources": delivered, "ailments": ailments})
    else:
        _print(delivered, ailments, workspace.settings.timezone)
    if any(is_open(row) for row in ailments):
        ctx.exit(1)


def open_ailments(workspace: Workspace) -> list[Any]:
    """Return the rows of gold.source_health that are not over."""
    return [row for row in records(workspace.query(AILING)) if is_open(row)]


def is_open(row: Any) -> bool:
    """Return whether an ailment lasts."""
    return row["ended_at"] is None


def _print(delivered: list[Any], ailments: list[Any], zone: str) -> None:
    print_table(
        ("product", "source", "texts", "newest", "last day", "usual a day", "state"),
        [
            (
                row["product"],
                row["source"] or "-",
                f"{row['texts']:,}",
                local_time(row["newest"], zone),
                row["last_day"],
                f"{row['usual_a_day']:.1f}",
                _state(row, ailments),
            )
            for row in delivered
        ],
        empty="no feedback yet: closeloop ingest, then closeloop run",
    )
    for row in ailments:
        what = ", ".join(row["suspends"] or []) or "nothing"
        since = f"{local_time(row['started_at'], zone)} to {local_time(row['ended_at'], zone)}"
        click.echo(f"\n{row['product']}: {shorten(row['reason'], 200)}")
        click.echo(f"  {since}; no verdict meanwhile: {what}")


def _state(row: Any, ailments: list[Any]) -> str:
    own = {
        a["ailment"]
        for a in ailments
        if is_open(a) and (a["product"], a["source"]) == (row["product"], row["source"])
    }
    return ", ".join(sorted(own)) or "ok"
