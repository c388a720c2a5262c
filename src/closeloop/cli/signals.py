"""`closeloop signals` and `outcomes`: look at what the loop found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from closeloop.app import Workspace
from closeloop.cli.blame import NOT_WEIGHED, blame, candidate_name, candidates_of, likelihood
from closeloop.cli.output import local_time, print_json, print_table, records, safe, shorten
from closeloop.cli.session import backtest_option, open_workspace
from closeloop.domain import figures
from closeloop.errors import NotFoundError

QUOTATIONS = 12

Row = Mapping[str, Any]

SIGNALS = """
SELECT s.*, t.label AS theme_label, a.name AS blamed_name, a.kind AS blamed_kind,
       a.posterior AS blamed_posterior, d.action AS action, d.would_ticket AS would_ticket
FROM gold.signal s
LEFT JOIN silver.theme t ON t.theme_id = s.theme_id
LEFT JOIN (SELECT * FROM gold.attribution WHERE blamed) a ON a.signal_id = s.signal_id
LEFT JOIN (
    SELECT signal_id, max_by(action, decided_at) AS action, bool_or(would_ticket) AS would_ticket
    FROM gold.decision GROUP BY signal_id
) d ON d.signal_id = s.signal_id
"""


@click.group(invoke_without_command=True)
@click.option("--historic", is_flag=True, help="Those of backfilled history too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@backtest_option
@click.pass_context
def signals(ctx: click.Context, historic: bool, as_json: bool, backtest: str | None) -> None:
    """List signals, newest first; `signals show ID` tells all of one."""
    ctx.meta["backtest"] = backtest
    if ctx.invoked_subcommand is not None:
        return
    workspace = open_workspace(ctx, backtest=backtest)
    where = "" if historic else " WHERE NOT s.historic"
    rows = records(workspace.query(SIGNALS + where + " ORDER BY s.detected_at DESC, s.signal_id"))
    if as_json:
        print_json(rows)
        return
    zone = workspace.settings.timezone
    candidates = candidates_of(workspace, [row["signal_id"] for row in rows])
    print_table(
        (
            "signal",
            "raised",
            "product",
            "what",
            "state",
            "count",
            "expected",
            "severity",
            "blamed",
            "action",
        ),
        [
            (
                row["signal_id"][:10],
                local_time(row["detected_at"], zone),
                row["product"],
                what(row) + (f" (part of {row['parent_id'][:10]})" if row["parent_id"] else ""),
                row["state"] or "-",
                row["count"],
                f"{row['baseline']:.1f}",
                row["severity"] or "-",
                blame(candidates[row["signal_id"]]),
                row["action"] or ("history" if row["historic"] else "-"),
            )
            for row in rows
        ],
        empty="no signals: nothing rises beyond its baseline",
    )


@signals.command("show")
@click.argument("signal_id")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@backtest_option
@click.pass_context
def show_signal(ctx: click.Context, signal_id: str, as_json: bool, backtest: str | None) -> None:
    """Tell all of one signal: evidence, candidates, severity, decision, what customers wrote."""
    workspace = open_workspace(ctx, backtest=backtest or ctx.meta.get("backtest"))
    row = _one(workspace, signal_id)
    found = row["signal_id"]
    candidates = candidates_of(workspace, [found])[found]
    decisions = records(
        workspace.query(
            "SELECT * FROM gold.decision WHERE signal_id = ? ORDER BY decided_at",
            parameters=[found],
        )
    )
    quotes = quotations(
        workspace, row["feedback_ids"] or [], order_by="event_time DESC", limit=QUOTATIONS
    )
    suspects = records(
        workspace.query(
            "SELECT * FROM gold.suspect WHERE signal_id = ? ORDER BY place", parameters=[found]
        )
    )
    if as_json:
        print_json(
            {
                "signal": row,
                "attribution": candidates,
                "suspects": suspects,
                "decisions": decisions,
                "feedback": quotes,
            }
        )
        return
    _print_signal(row, workspace.settings.timezone)
    _print_candidates(candidates, historic=row["historic"])
    _print_suspects(suspects)
    for decision in decisions:
        click.echo(f"\ndecided: {decision['action']} by rule '{safe(decision['rule'])}'")
        for reason in decision["reasons"] or []:
            click.echo(f"  {safe(reason)}")
    click.echo("\nwhat customers wrote")
    for quote in quotes:
        stars = "" if quote["rating"] is None else f" {quote['rating']:.0f}*"
        click.echo(
            f"  {quote['feedback_id'][:10]}{stars} {safe(quote['version'] or '')}: "
            f"{shorten(quote['text'], 160)}"
        )


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@backtest_option
@click.pass_context
def outcomes(ctx: click.Context, as_json: bool, backtest: str | None) -> None:
    """List what became of fixes: complaints a day before and after, and the verdict."""
    workspace = open_workspace(ctx, backtest=backtest)
    rows = records(
        workspace.query(
            "SELECT o.*, t.title FROM gold.outcome o LEFT JOIN gold.ticket t "
            "ON t.ticket_id = o.ticket_id ORDER BY o.measured_at DESC, o.ticket_id"
        )
    )
    if as_json:
        print_json(rows)
        return
    print_table(
        ("ticket", "title", "before/day", "after/day", "ratio (95%)", "verdict", "why"),
        [
            (
                row["ticket_id"],
                shorten(row["title"] or "", 50),
                f"{row['complaints_before'] / max(row['days_before'], 1e-9):.1f}",
                f"{row['complaints_after'] / max(row['days_after'], 1e-9):.1f}",
                "-"
                if row["rate_ratio"] is None
                else f"{row['rate_ratio']:.2f} ({row['ratio_low']:.2f} to {row['ratio_high']:.2f})",
                row["verdict"].replace("_", " "),
                shorten("; ".join(row["reasons"] or []), 80),
            )
            for row in rows
        ],
        empty="no outcomes yet: resolve a ticket, then run (closeloop tickets resolve ID)",
    )


def what(row: dict[str, Any] | Any) -> str:
    """Return what a signal is about, in a few words."""
    if row["kind"] == "release":
        return f"release {row['version']}"
    if row["kind"] == "theme":
        return f"theme: {row['theme_label'] or row['theme_id']}"
    if row["kind"] == "segment":
        return f"segment: {row['series_id']}"
    return str(row["category"] or row["series_id"])


def _one(workspace: Workspace, signal_id: str) -> Any:
    rows = records(
        workspace.query(
            SIGNALS + " WHERE starts_with(s.signal_id, ?) ORDER BY s.signal_id",
            parameters=[signal_id],
        )
    )
    if len(rows) != 1:
        problem = "no signal" if not rows else f"{len(rows)} signals"
        raise NotFoundError(
            f"{problem} with an id that starts with {signal_id!r}",
            hint="'closeloop signals' lists them",
        )
    return rows[0]


def quotations(
    workspace: Workspace, feedback_ids: list[str], *, order_by: str, limit: int
) -> list[Any]:
    """Return what customers wrote, the latest revision of each, in the order of a column list."""
    if not feedback_ids:
        return []
    marks = ", ".join("?" for _ in feedback_ids)
    return records(
        workspace.query(
            "SELECT feedback_id, event_time, rating, version, text FROM gold.feedback_latest "  # noqa: S608
            f"WHERE feedback_id IN ({marks}) ORDER BY {order_by} LIMIT {limit}",
            parameters=feedback_ids,
        )
    )


def _print_signal(row: Any, zone: str) -> None:
    click.echo(f"{row['signal_id']}  {safe(row['product'])}: {safe(what(row))}")
    click.echo(
        f"raised {local_time(row['detected_at'], zone)}; {row['count']} complaints between "
        f"{local_time(row['window_start'], zone)} and {local_time(row['window_end'], zone)}, "
        f"{figures.against(row['count'], row['baseline'])}"
    )
    click.echo(
        f"evidence {row['evidence']:.3g} (needed {row['threshold']:.3g}, {row['family_size']} series "
        f"tested, {row['detector']}); false discovery rate {'passed' if row['fdr_pass'] else 'not passed'}"
    )
    if row["share"] is not None:
        click.echo(
            f"{row['share']:.1%} of all feedback in the detector's window, {row['usual_share']:.1%} usual"
            + (
                ""
                if row["exposure_ratio"] is None
                else f"; users or orders {row['exposure_ratio']:.2f} times the usual"
            )
        )
    for oddity in row["oddities"] or []:
        click.echo(f"trust {row['trust']:.2f}: {safe(oddity)}")
    if row["state"]:
        click.echo(f"{row['state']} since {local_time(row['state_since'], zone)}")
    if row["parent_id"]:
        click.echo(f"part of the problem of signal {row['parent_id']}")
    if row["segment"]:
        click.echo(f"concentrated in {safe(row['segment'])}")
    click.echo(f"severity {row['severity'] or '-'}")
    for term in row["severity_terms"] or []:
        click.echo(f"  {term['points']:5.1f}  {safe(term['name'])}: {safe(term['reason'])}")


def _print_suspects(suspects: list[Any]) -> None:
    if not suspects:
        return
    click.echo(f"\nsuspects among its {suspects[0]['of']} notes ({suspects[0]['basis']})")
    for suspect in suspects:
        words = ", ".join(suspect["shared"] or [])
        click.echo(
            f"  {suspect['score']:.2f}  {safe(suspect['item_id'][:12])} "
            f"{shorten(suspect['text'], 100)}{f' (shares: {safe(words)})' if words else ''}"
        )


def _print_candidates(candidates: Sequence[Row], *, historic: bool) -> None:
    if not candidates:
        why = ": it is of backfilled history, which is never acted on" if historic else " yet"
        click.echo(f"\nblamed: {NOT_WEIGHED}{why}")
        return
    click.echo(f"\nblamed: {safe(blame(candidates))}\ncandidates")
    for candidate in candidates:
        effect = ""
        if candidate["effect"] is not None:
            effect = (
                f", odds ratio {candidate['effect']:.2f} "
                f"({candidate['effect_low']:.2f} to {candidate['effect_high']:.2f})"
            )
        mark = "  <- blamed" if candidate["blamed"] else ""
        click.echo(
            f"  {likelihood(candidate['posterior'])}  {safe(candidate_name(candidate))}{effect}{mark}"
        )
