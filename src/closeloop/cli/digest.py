"""`closeloop digest`: one day in plain words, product by product."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import click

from closeloop.cli.output import print_json, records, safe, shorten
from closeloop.cli.session import backtest_option, open_workspace
from closeloop.cli.signals import what
from closeloop.domain import figures
from closeloop.domain.judgement import figure
from closeloop.errors import UsageError

SIGNALS = """
SELECT s.signal_id, s.product, s.kind, s.series_id, s.category, s.version, s.theme_id,
       t.label AS theme_label, s.count, s.baseline, s.window_start, s.window_end, s.severity,
       d.action, d.rule, d.reasons, a.kind AS blamed_kind, a.name AS blamed_name
FROM gold.decision d
JOIN gold.signal s ON s.signal_id = d.signal_id
LEFT JOIN silver.theme t ON t.theme_id = s.theme_id
LEFT JOIN gold.attribution a ON a.signal_id = s.signal_id AND a.blamed
WHERE d.decided_at >= ? AND d.decided_at < ?
QUALIFY row_number() OVER (
    PARTITION BY d.signal_id, d.action, a.name ORDER BY d.decided_at DESC
) = 1
ORDER BY s.product, s.severity, s.count DESC, s.signal_id
"""
OUTCOMES = """
SELECT o.ticket_id, o.verdict, t.title, t.product
FROM gold.outcome o JOIN gold.ticket t ON t.ticket_id = o.ticket_id
WHERE o.measured_at >= ? AND o.measured_at < ?
ORDER BY t.product, o.ticket_id
"""
VOLUME = """
SELECT product, sum(count) AS complaints FROM gold.series
WHERE series_kind = 'total' AND hour >= ? AND hour < ?
GROUP BY product ORDER BY product
"""

HEADINGS = {
    "ticket": "tickets opened",
    "review": "waiting for a person",
    "digest": "worth knowing",
    "suppress": "looked at and left",
}


@click.command()
@click.option("--date", "day", default=None, metavar="DAY", help="2024-02-06 (default: today).")
@click.option("--product", default=None, help="Of this product only.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@backtest_option
@click.pass_context
def digest(
    ctx: click.Context, day: str | None, product: str | None, as_json: bool, backtest: str | None
) -> None:
    """Say in plain words what one day brought: what rose, what was done, what fixes did."""
    workspace = open_workspace(ctx, backtest=backtest)
    zone = ZoneInfo(workspace.settings.timezone)
    chosen = _day(day) or workspace.now().astimezone(zone).date()
    bounds = _bounds(chosen, zone)
    wanted = None if product is None else workspace.config.product_id(product)
    signals, outcomes, volumes = (
        [
            r
            for r in records(workspace.query(sql, parameters=bounds))
            if wanted in (None, r["product"])
        ]
        for sql in (SIGNALS, OUTCOMES, VOLUME)
    )
    if as_json:
        print_json(
            {"date": chosen, "complaints": volumes, "signals": signals, "outcomes": outcomes}
        )
        return
    click.echo(f"{chosen:%A}, {chosen.isoformat()}")
    products = sorted({r["product"] for r in (*signals, *outcomes, *volumes)})
    for name in products:
        click.echo(f"\n{safe(name)}")
        for line in product_lines(
            [r for r in signals if r["product"] == name],
            outcomes=[r for r in outcomes if r["product"] == name],
            complaints=next((int(r["complaints"]) for r in volumes if r["product"] == name), 0),
        ):
            click.echo(f"  {line}")
    if not products:
        click.echo("no complaints, no signals")


def product_lines(
    signals: list[Mapping[str, Any]], *, outcomes: list[Mapping[str, Any]], complaints: int
) -> list[str]:
    """Return the digest of one product as printable lines."""
    lines = [f"{complaints:,} complaints"]
    for action, heading in HEADINGS.items():
        rows = [r for r in signals if r["action"] == action]
        if rows:
            lines.append(f"{heading}:")
            lines += [f"  {signal_line(r)}" for r in rows]
    if outcomes:
        lines.append("fixes measured:")
        lines += [
            f"  {safe(r['ticket_id'])} {shorten(r['title'] or '', 60)}: "
            f"{r['verdict'].replace('_', ' ')}"
            for r in outcomes
        ]
    if not signals and not outcomes:
        lines.append("nothing rose beyond what is usual")
    return lines


def signal_line(row: Mapping[str, Any]) -> str:
    """Return one signal in plain words: what, how much, how severe, what is blamed, and why."""
    hours = max((row["window_end"] - row["window_start"]) / timedelta(hours=1), 1.0)
    amount = f"{row['count']} complaints in {figure(round(hours))} hours"
    if row["baseline"] is not None:
        amount += f", {figures.against(row['count'], row['baseline'])}"
    cause = ""
    if row["blamed_name"]:
        cause = f"; behind it: {safe(row['blamed_kind'])} {safe(row['blamed_name'])}"
    why = ""
    if row["action"] in ("review", "suppress") and row["reasons"]:
        why = f" ({shorten(row['reasons'][0], 120)})"
    return f"{row['severity'] or '-'} {shorten(what(row), 60)}: {amount}{cause}{why}"


def _day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"no day: {text!r}", hint="write it like 2024-02-06") from error


def _bounds(day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    start = datetime.combine(day, time(), tzinfo=zone)
    end = datetime.combine(day + timedelta(days=1), time(), tzinfo=zone)
    return start.astimezone(UTC), end.astimezone(UTC)
