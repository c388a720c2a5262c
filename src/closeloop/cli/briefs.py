"""`closeloop briefs`: read what was found, for one of four readers, with the words of customers."""

from __future__ import annotations

import json
from typing import Any

import click

from closeloop.app import Workspace
from closeloop.cli.briefs_eval import evaluate_briefs
from closeloop.cli.output import local_time, print_json, print_table, records, safe, shorten
from closeloop.cli.session import backtest_option, open_workspace
from closeloop.errors import NotFoundError, redact

READERS = {
    "engineering": "engineering",
    "support": "support",
    "product": "product_text",
    "leadership": "leadership",
}
WIDTH = 96


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@backtest_option
@click.pass_context
def briefs(ctx: click.Context, as_json: bool, backtest: str | None) -> None:
    """List the newest brief of each signal; `briefs show ID` prints one."""
    ctx.meta["backtest"] = backtest
    if ctx.invoked_subcommand is not None:
        return
    workspace = open_workspace(ctx, backtest=backtest)
    rows = records(
        workspace.query(
            "SELECT * FROM gold.brief QUALIFY row_number() OVER "
            "(PARTITION BY signal_id ORDER BY made_at DESC, brief_id) = 1 "
            "ORDER BY made_at DESC, brief_id"
        )
    )
    if as_json:
        print_json([_told(row) for row in rows])
        return
    zone = workspace.settings.timezone
    print_table(
        ("brief", "signal", "written", "title", "owner", "checked"),
        [
            (
                row["brief_id"][:10],
                row["signal_id"][:10],
                local_time(row["made_at"], zone),
                shorten(row["title"], 70),
                row["recommended_owner"],
                "yes" if row["verified"] else f"{len(row['problems'] or [])} problems",
            )
            for row in rows
        ],
        empty="no briefs yet: one is written for each new signal",
    )


briefs.add_command(evaluate_briefs)


@briefs.command("show")
@click.argument("id_", metavar="ID")
@click.option("--for", "reader", type=click.Choice(list(READERS)), default=None, help="One reader.")
@click.option("--facts", is_flag=True, help="The fact sheet too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def show_brief(
    ctx: click.Context, id_: str, reader: str | None, facts: bool, as_json: bool
) -> None:
    """Print a brief by its id or its signal's (or a beginning): the newest one that fits."""
    workspace = open_workspace(ctx, backtest=ctx.meta.get("backtest"))
    row = _find(workspace, id_)
    if as_json:
        print_json(_told(row))
        return
    sheet = json.loads(row["facts"])
    click.echo(safe(row["title"]))
    click.echo(
        f"brief {row['brief_id'][:10]} of signal {row['signal_id'][:10]}, "
        f"{local_time(row['made_at'], workspace.settings.timezone)}, by {safe(row['writer'])}"
        f"{_how(row)}"
    )
    if reader is not None:
        _paragraph(row[READERS[reader]])
    else:
        _whole(row)
    _evidence(sheet)
    if facts or reader is not None:
        _facts(sheet)
    for problem in row["problems"] or []:
        click.echo(f"not grounded: {safe(problem)}")


def _how(row: dict[str, Any]) -> str:
    """Say what a model's tries came to, where there were any."""
    attempts = row.get("attempts") or []
    if not attempts:
        return ""
    came = "; ".join(
        f"{a['purpose']}: {str(a['state']).replace('_', ' ')}"
        + (f", {len(a['problems'])} problems" if a["problems"] else "")
        for a in attempts
    )
    return f" ({safe(str(row['outcome']).replace('_', ' '))}; {safe(came)})"


def _find(workspace: Workspace, id_: str) -> dict[str, Any]:
    rows = records(
        workspace.query(
            "SELECT * FROM gold.brief WHERE starts_with(brief_id, ?) OR starts_with(signal_id, ?) "
            "ORDER BY made_at DESC, brief_id",
            parameters=[id_, id_],
        )
    )
    if not rows or not id_:
        raise NotFoundError(
            f"no brief or signal with an id that starts with {redact(id_)!r}",
            hint="'closeloop briefs' lists them",
        )
    signals = {row["signal_id"] for row in rows}
    if len(signals) > 1:
        raise NotFoundError(
            f"{redact(id_)!r} is the beginning of {len(signals)} ids", hint="give more of it"
        )
    return dict(rows[0])


def _whole(row: dict[str, Any]) -> None:
    click.echo()
    for sentence in row["summary"] or []:
        ids = ", ".join(i if len(i) < 8 else f"review {i[:8]}" for i in sentence["ids"])
        click.echo(click.wrap_text(f"{safe(sentence['sentence'])} [{ids}]", WIDTH, "  ", "    "))
    for label, field in (
        ("Impacted", "impacted_area"),
        ("Likely cause", "likely_cause"),
        ("Urgency", "urgency"),
        ("Owner", "recommended_owner"),
    ):
        _paragraph(f"{label}: {row[field]}")
    for hint in row["routing_hints"] or []:
        click.echo(f"  {safe(hint)}")
    click.echo("\nNext")
    for action in row["next_actions"] or []:
        click.echo(click.wrap_text(safe(action), WIDTH, "  - ", "    "))


def _evidence(sheet: dict[str, Any]) -> None:
    click.echo("\nIn the customers' words")
    for number, quotation in enumerate(sheet["quotations"], start=1):
        notes = [quotation["role"], f"review {quotation['feedback_id']}"]
        if quotation["rating"] is not None:
            notes.append(f"{quotation['rating']:.0f} of 5 stars")
        if quotation["version"]:
            notes.append(f"version {safe(quotation['version'])}")
        text = f"Q{number} “{safe(quotation['text'])}” ({', '.join(notes)})"
        click.echo(click.wrap_text(text, WIDTH, "  ", "     "))


def _facts(sheet: dict[str, Any]) -> None:
    click.echo("\nFacts")
    for fact in sheet["facts"]:
        text = f"{fact['fact_id']} {safe(fact['statement'])}"
        click.echo(click.wrap_text(text, WIDTH, "  ", "     "))


def _paragraph(text: str) -> None:
    click.echo("\n" + click.wrap_text(safe(text), WIDTH, "", "  "))


def _told(row: dict[str, Any]) -> dict[str, Any]:
    told = {k: v for k, v in row.items() if k not in ("batch_id", "facts")}
    return told | {"facts": json.loads(row["facts"])}
