"""`closeloop briefs`: read what was written of each signal, with the evidence it rests on."""

from __future__ import annotations

import json
from typing import Any

import click

from closeloop.app import Workspace
from closeloop.cli.output import local_time, print_json, print_table, records, safe, shorten
from closeloop.cli.session import backtest_option, open_workspace
from closeloop.errors import NotFoundError

NEWEST_FIRST = "SELECT * FROM gold.brief ORDER BY made_at DESC, brief_id"


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@backtest_option
@click.pass_context
def briefs(ctx: click.Context, as_json: bool, backtest: str | None) -> None:
    """List briefs, newest first; `briefs show ID` reads one."""
    ctx.meta["backtest"] = backtest
    if ctx.invoked_subcommand is not None:
        return
    workspace = open_workspace(ctx, backtest=backtest)
    rows = records(workspace.query(NEWEST_FIRST))
    if as_json:
        print_json(rows)
        return
    print_table(
        ("brief", "made", "title", "owner", "checked"),
        [
            (
                row["brief_id"][:10],
                local_time(row["made_at"], workspace.settings.timezone),
                shorten(row["title"], 90),
                row["recommended_owner"],
                "yes"
                if row["verified"]
                else "no: " + shorten("; ".join(row["problems"] or []), 60),
            )
            for row in rows
        ],
        empty="no briefs: one is written for each signal that is not history",
    )


@briefs.command("show")
@click.argument("brief_id")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def show(ctx: click.Context, brief_id: str, as_json: bool) -> None:
    """Read one brief: all texts, each sentence with the facts and reviews it rests on."""
    workspace = open_workspace(ctx, backtest=ctx.meta.get("backtest"))
    row = _one(workspace, brief_id)
    if as_json:
        print_json(row)
        return
    click.echo(safe(row["title"]))
    for part in row["summary"] or []:
        click.echo(f"  {safe(part['sentence'])}  [{', '.join(safe(i)[:10] for i in part['ids'])}]")
    for name, title in (
        ("impacted_area", "impacted"),
        ("likely_cause", "likely cause"),
        ("urgency", "urgency"),
        ("recommended_owner", "owner"),
    ):
        click.echo(f"\n{title}: {safe(row[name])}")
    for name, title in (("routing_hints", "routing"), ("next_actions", "next")):
        for line in row[name] or []:
            click.echo(f"{title}: {safe(line)}")
    for name, title in (
        ("engineering", "for engineering"),
        ("support", "for support"),
        ("product_text", "for product"),
        ("leadership", "for leadership"),
    ):
        click.echo(f"\n{title}\n  {safe(row[name])}")
    _show_sheet(json.loads(row["facts"]))


def _show_sheet(sheet: Any) -> None:
    if not isinstance(sheet, dict):
        return
    click.echo("\nfacts")
    for fact in sheet.get("facts", []):
        click.echo(f"  {safe(fact.get('fact_id'))}  {safe(fact.get('statement'))}")
    click.echo("\nwhat customers wrote")
    for quotation in sheet.get("quotations", []):
        click.echo(f'  {safe(quotation.get("feedback_id"))[:10]}  "{safe(quotation.get("text"))}"')


def _one(workspace: Workspace, brief_id: str) -> Any:
    rows = records(
        workspace.query(
            "SELECT * FROM gold.brief WHERE starts_with(brief_id, ?) ORDER BY brief_id",
            parameters=[brief_id],
        )
    )
    if len(rows) != 1:
        problem = "no brief" if not rows else f"{len(rows)} briefs"
        raise NotFoundError(
            f"{problem} with an id that starts with {brief_id!r}",
            hint="'closeloop briefs' lists them",
        )
    return rows[0]
