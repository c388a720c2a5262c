"""`closeloop review`: what waits for a person, and a person's answers."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from closeloop.cli.labelling import label
from closeloop.cli.output import local_time, print_json, print_table, safe, shorten
from closeloop.cli.person import by_option
from closeloop.cli.session import open_workspace
from closeloop.domain.review import ReviewItem, ReviewKind, ReviewStatus, ThemeCorrection
from closeloop.domain.signal import Severity
from closeloop.stages import answer

STEP = "review"

SEVERITY = click.Choice([s.value for s in Severity])


@click.group(invoke_without_command=True)
@click.option("--all", "everything", is_flag=True, help="Answered ones too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def review(ctx: click.Context, everything: bool, as_json: bool) -> None:
    """List what waits for a person, oldest first."""
    if ctx.invoked_subcommand is not None:
        return
    workspace = open_workspace(ctx)
    with workspace.database.reading() as ops:
        items = [r for r in ops.reviews() if everything or r.status is ReviewStatus.OPEN]
    if as_json:
        print_json([asdict(i) for i in items])
        return
    zone = workspace.settings.timezone
    print_table(
        ("review", "since", "kind", "product", "title", "status", "why"),
        [
            (
                i.review_id[:10],
                local_time(i.created_at, zone),
                i.kind.value,
                i.product,
                shorten(i.title, 60),
                i.status.value,
                shorten(i.reasons[0] if i.reasons else "", 70),
            )
            for i in items
        ],
        empty="nothing waits for a person",
    )
    if items:
        click.echo("\ncloseloop review show|approve|reject ID")


@review.command("show")
@click.argument("review_id")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def show_review(ctx: click.Context, review_id: str, as_json: bool) -> None:
    """Tell all of one question: why it is asked, the brief, what customers wrote."""
    workspace = open_workspace(ctx)
    with workspace.database.reading() as ops:
        item = answer.find_review(ops, review_id)
    briefs = workspace.query(
        "SELECT title, engineering, likely_cause, impacted_area, recommended_owner FROM gold.brief "
        "WHERE signal_id = ? ORDER BY made_at DESC LIMIT 1",
        parameters=[item.signal_id],
    ).to_pylist()
    if as_json:
        print_json({**asdict(item), "brief": briefs[0] if briefs else None})
        return
    _print_item(item, workspace.settings.timezone)
    for name, text in (briefs[0] if briefs else {}).items():
        if text:
            click.echo(f"\n{name.replace('_', ' ')}")
            for line in str(text).splitlines():
                click.echo(f"  {safe(line)}")
    if item.kind is ReviewKind.CATEGORY:
        click.echo("\ncloseloop taxonomy proposals has the texts, and what to write")
    else:
        click.echo(f"\ncloseloop signals show {item.signal_id[:10]} has the figures and the texts")


def _print_item(item: ReviewItem, zone: str) -> None:
    click.echo(f"{item.review_id}  {safe(item.product)}: {safe(item.title)}")
    click.echo(f"{item.kind.value}, {item.status.value}, since {local_time(item.created_at, zone)}")
    for reason in item.reasons:
        click.echo(f"  {safe(reason)}")
    if item.decided_by:
        why = f": {safe(item.answer_reason)}" if item.answer_reason else ""
        at = local_time(item.decided_at, zone)
        click.echo(f"{item.status.value} by {safe(item.decided_by)} at {at}{why}")


@review.command("approve")
@click.argument("review_id")
@click.option("--severity", type=SEVERITY, default=None, help="In place of the computed one.")
@click.option("--owner", default=None, help="In place of the recommended one.")
@click.option("--title", default=None, help="In place of the brief's.")
@by_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def approve_review(
    ctx: click.Context,
    review_id: str,
    severity: str | None,
    owner: str | None,
    title: str | None,
    by: str,
    as_json: bool,
) -> None:
    """Say yes: the ticket opens now."""
    workspace = open_workspace(ctx)
    with workspace.step(STEP) as step:
        ticket = answer.approve(
            step, review_id, by=by, severity=_severity(severity), owner=owner, title=title
        )
    if as_json:
        print_json(asdict(ticket) if ticket else None)
    elif ticket is None:
        click.echo("approved")
    else:
        click.echo(
            f"{ticket.ticket_id} {ticket.severity} {safe(ticket.title)}\n"
            f"owner {safe(ticket.owner)}; the tracker is told at the next run"
        )


@review.command("reject")
@click.argument("review_id")
@click.option("--reason", required=True, help="Why it is no issue.")
@by_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def reject_review(ctx: click.Context, review_id: str, reason: str, by: str, as_json: bool) -> None:
    """Say no: it is not asked again, and closeloop learns from it."""
    workspace = open_workspace(ctx)
    with workspace.step(STEP) as step:
        item = answer.reject(step, review_id, by=by, reason=reason)
    _answered(item, as_json=as_json)


@review.command("edit")
@click.argument("review_id")
@click.option("--severity", type=SEVERITY, default=None)
@click.option("--owner", default=None)
@click.option("--title", default=None)
@by_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def edit_review(
    ctx: click.Context,
    review_id: str,
    severity: str | None,
    owner: str | None,
    title: str | None,
    by: str,
    as_json: bool,
) -> None:
    """Correct what the ticket would say, without answering yet."""
    workspace = open_workspace(ctx)
    with workspace.step(STEP) as step:
        item = answer.edit(
            step, review_id, by=by, severity=_severity(severity), owner=owner, title=title
        )
    _answered(item, as_json=as_json)


@review.command("merge")
@click.argument("theme_id")
@click.argument("into")
@by_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def merge(ctx: click.Context, theme_id: str, into: str, by: str, as_json: bool) -> None:
    """Say that theme THEME_ID is the same issue as theme INTO."""
    with open_workspace(ctx).step(STEP) as step:
        correction = answer.merge_themes(step, theme_id, into=into, by=by)
    _corrected(correction, as_json=as_json)


@review.command("split")
@click.argument("theme_id")
@click.argument("feedback_ids", nargs=-1, required=True)
@by_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def split(
    ctx: click.Context, theme_id: str, feedback_ids: tuple[str, ...], by: str, as_json: bool
) -> None:
    """Say that these texts are another issue than the theme they are in."""
    with open_workspace(ctx).step(STEP) as step:
        correction = answer.split_theme(step, theme_id, feedback_ids=feedback_ids, by=by)
    _corrected(correction, as_json=as_json)


@review.command("name")
@click.argument("theme_id")
@click.argument("name")
@by_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def name_theme(ctx: click.Context, theme_id: str, name: str, by: str, as_json: bool) -> None:
    """Give a theme a name of your own; it stays across refits."""
    with open_workspace(ctx).step(STEP) as step:
        correction = answer.name_theme(step, theme_id, name=name, by=by)
    _corrected(correction, as_json=as_json)


review.add_command(label)


def _severity(value: str | None) -> Severity | None:
    return None if value is None else Severity(value)


def _answered(item: ReviewItem, *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(item))
        return
    edited: list[Any] = [item.severity, item.owner]
    changes = ", ".join(str(e) for e in edited if e)
    click.echo(f"{item.review_id[:10]} is {item.status.value}: {safe(item.title)}")
    if changes:
        click.echo(f"a ticket would say: {safe(changes)}")


def _corrected(correction: ThemeCorrection, *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(correction))
        return
    click.echo(f"{correction.kind.value} kept; it holds from the next run on")
