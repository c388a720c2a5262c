"""`closeloop tickets`: see tickets, and move them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from closeloop.app import Workspace
from closeloop.cli.output import local_time, print_json, print_table, safe, shorten
from closeloop.cli.person import by_option
from closeloop.cli.session import backtest_option, open_workspace
from closeloop.cli.times import parse_time
from closeloop.domain.outcome import Outcome
from closeloop.domain.review import AuditEntry
from closeloop.domain.ticket import OPEN_STATUSES, Ticket, TicketStatus
from closeloop.stages import resolve as moves

STEP = "tickets"


@click.group(invoke_without_command=True)
@click.option(
    "--status",
    type=click.Choice([s.value for s in TicketStatus]),
    default=None,
    help="Those with this status only.",
)
@click.option("--all", "everything", is_flag=True, help="Closed ones too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@backtest_option
@click.pass_context
def tickets(
    ctx: click.Context, status: str | None, everything: bool, as_json: bool, backtest: str | None
) -> None:
    """List open tickets, most severe first; `tickets show ID` tells all of one."""
    ctx.meta["backtest"] = backtest
    if ctx.invoked_subcommand is not None:
        return
    workspace = open_workspace(ctx, backtest=backtest)
    with workspace.database.reading() as ops:
        found = [t for t in ops.tickets() if _wanted(t, status=status, everything=everything)]
    found.sort(key=lambda t: (t.severity.rank, t.due_at, t.ticket_id))
    if as_json:
        print_json([asdict(t) for t in found])
        return
    zone = workspace.settings.timezone
    now = workspace.now()
    print_table(
        ("ticket", "key", "", "status", "product", "title", "owner", "release", "due"),
        [
            (
                t.ticket_id,
                t.external_key,
                t.severity.value,
                t.status.value.replace("_", " "),
                t.product,
                ("└ " if t.parent_id else "") + shorten(t.title, 60),
                t.owner,
                t.release,
                local_time(t.due_at, zone)
                + (" late" if t.due_at < now and t.status in OPEN_STATUSES else ""),
            )
            for t in found
        ],
        empty="no open tickets",
    )


def _wanted(ticket: Ticket, *, status: str | None, everything: bool) -> bool:
    if status is not None:
        return ticket.status.value == status
    return everything or ticket.status in OPEN_STATUSES


@tickets.command("show")
@click.argument("ticket_id")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def show_ticket(ctx: click.Context, ticket_id: str, as_json: bool) -> None:
    """Tell all of one ticket: why, who, when, what customers wrote, what became of it."""
    workspace = open_workspace(ctx, backtest=ctx.meta.get("backtest"))
    with workspace.database.reading() as ops:
        ticket = moves.find_ticket(ops, ticket_id)
        children = [t for t in ops.tickets() if t.parent_id == ticket.ticket_id]
        decision = next((d for d in ops.decisions() if d.decision_id == ticket.decision_id), None)
        outcome = next((o for o in ops.outcomes() if o.ticket_id == ticket.ticket_id), None)
        history = [e for e in ops.audit_entries() if e.subject == ticket.ticket_id]
    if as_json:
        told: dict[str, Any] = asdict(ticket)
        told["children"] = [c.ticket_id for c in children]
        told["decision"] = asdict(decision) if decision else None
        told["outcome"] = asdict(outcome) if outcome else None
        told["history"] = [asdict(e) for e in history]
        print_json(told)
        return
    zone = workspace.settings.timezone
    _print_ticket(ticket, zone)
    for child in children:
        click.echo(f"  └ {child.ticket_id} {safe(child.title)} ({safe(child.owner)})")
    if decision is not None:
        click.echo(f"\nopened by rule '{safe(decision.rule)}' ({safe(decision.policy_version)})")
        for reason in decision.reasons:
            click.echo(f"  {safe(reason)}")
    _print_course(history, outcome, zone)


def _print_ticket(ticket: Ticket, zone: str) -> None:
    key = f" ({ticket.external_key})" if ticket.external_key else ""
    click.echo(f"{ticket.ticket_id}{safe(key)}  {ticket.severity}  {safe(ticket.title)}")
    confidence = "" if ticket.confidence is None else f"; confidence {ticket.confidence:.2f}"
    click.echo(
        f"{ticket.status.value.replace('_', ' ')}; owner {safe(ticket.owner)}; "
        f"due {local_time(ticket.due_at, zone)}{confidence}"
    )
    click.echo(
        f"{safe(ticket.product)}; category {safe(ticket.category or '-')}; "
        f"release {safe(ticket.release or '-')}"
    )
    click.echo(
        f"first complaint {local_time(ticket.first_complaint_at, zone)}, "
        f"signal {local_time(ticket.detected_at, zone)}, "
        f"ticket {local_time(ticket.opened_at, zone)}, "
        f"resolved {local_time(ticket.resolved_at, zone)}"
    )
    click.echo("")
    for line in ticket.body.splitlines():
        click.echo(safe(line))
    if ticket.examples:
        click.echo("\nwhat customers wrote")
        for example in ticket.examples:
            click.echo(f"  {safe(example)}")


def _print_course(history: list[AuditEntry], outcome: Outcome | None, zone: str) -> None:
    if history:
        click.echo("\nhistory")
    for entry in history:
        detail = f": {safe(entry.detail)}" if entry.detail else ""
        click.echo(
            f"  {local_time(entry.made_at, zone)} {safe(entry.action.removeprefix('ticket.'))} "
            f"by {safe(entry.actor)}{detail}"
        )
    if outcome is not None:
        click.echo(f"\noutcome: {outcome.verdict.value.replace('_', ' ')}")
        for reason in outcome.reasons:
            click.echo(f"  {safe(reason)}")


@tickets.command("start")
@click.argument("ticket_id")
@by_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def start_ticket(ctx: click.Context, ticket_id: str, by: str, as_json: bool) -> None:
    """Say that work on a ticket has begun."""
    workspace = open_workspace(ctx)
    with workspace.step(STEP) as step:
        ticket = moves.start(step, ticket_id, by=by)
    _moved(workspace, ticket, as_json=as_json)


@tickets.command("resolve")
@click.argument("ticket_id")
@click.option("--version", default=None, help="The version that holds the fix.")
@click.option("--at", default=None, metavar="TIME", help="When it was fixed (default: now).")
@by_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def resolve_ticket(
    ctx: click.Context, ticket_id: str, version: str | None, at: str | None, by: str, as_json: bool
) -> None:
    """Say that a ticket is fixed; from then on it is measured whether the fix worked."""
    workspace = open_workspace(ctx)
    with workspace.step(STEP) as step:
        ticket = moves.resolve(
            step, ticket_id, by=by, at=parse_time(at) or step.now, version=version
        )
    _moved(workspace, ticket, as_json=as_json)


@tickets.command("reject")
@click.argument("ticket_id")
@click.option("--reason", required=True, help="Why it is no issue.")
@by_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def reject_ticket(ctx: click.Context, ticket_id: str, reason: str, by: str, as_json: bool) -> None:
    """Say that a ticket is no issue; closeloop learns from it."""
    workspace = open_workspace(ctx)
    with workspace.step(STEP) as step:
        ticket = moves.reject(step, ticket_id, by=by, reason=reason)
    _moved(workspace, ticket, as_json=as_json)


def _moved(workspace: Workspace, ticket: Ticket, *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(ticket))
        return
    click.echo(f"{ticket.ticket_id} is {ticket.status.value.replace('_', ' ')}")
    if ticket.status is TicketStatus.RESOLVED:
        at = local_time(ticket.resolved_at, workspace.settings.timezone)
        click.echo(f"measured from {at}: closeloop run, then closeloop outcomes")
