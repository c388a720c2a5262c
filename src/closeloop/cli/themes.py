"""`closeloop themes`: look at what customers talk about, and where each theme came from."""

from __future__ import annotations

from typing import Any

import click

from closeloop.app import Workspace
from closeloop.cli.output import local_time, print_json, print_table, records, safe, shorten
from closeloop.cli.session import backtest_option, open_workspace
from closeloop.cli.signals import quotations
from closeloop.errors import NotFoundError
from closeloop.stages.theme_emerging import DROPPED, EMERGED, KEPT

QUOTATIONS = 12
LANGUAGES = 3
"""A list names so many of a theme's languages; `--json` has all."""

THEMES = """
SELECT t.*, s.confidence, s.model, coalesce(l.languages, []) AS languages
FROM silver.theme t
LEFT JOIN (
    SELECT theme_id, avg(theme_confidence) AS confidence, max_by(model, event_time) AS model
    FROM silver.assignment WHERE theme_id IS NOT NULL GROUP BY theme_id
) s ON s.theme_id = t.theme_id
LEFT JOIN (
    SELECT theme_id, list({'language': language, 'texts': texts} ORDER BY texts DESC, language)
        AS languages
    FROM (
        SELECT a.theme_id, coalesce(f.language, 'unknown') AS language, count(*) AS texts
        FROM silver.assignment a
        JOIN silver.feedback f ON f.feedback_id = a.feedback_id AND f.revision = a.revision
        WHERE a.theme_id IS NOT NULL
        GROUP BY ALL
    ) GROUP BY theme_id
) l ON l.theme_id = t.theme_id
"""


@click.group(invoke_without_command=True)
@click.option("--product", default=None, help="Of this product only.")
@click.option("--limit", type=click.IntRange(min=1), default=40, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@backtest_option
@click.pass_context
def themes(
    ctx: click.Context, product: str | None, limit: int, as_json: bool, backtest: str | None
) -> None:
    """List themes by size, with their own words; `themes show ID` tells all of one.

    The confidence is the mean of the texts'; "?" marks one that no judged pairs have calibrated.
    """
    ctx.meta["backtest"] = backtest
    if ctx.invoked_subcommand is not None:
        return
    workspace = open_workspace(ctx, backtest=backtest)
    sql = THEMES + " WHERE t.merged_into IS NULL"
    parameters: list[Any] = []
    if product is not None:
        sql += " AND t.product = ?"
        parameters.append(workspace.config.product_id(product))
    rows = records(workspace.query(sql + " ORDER BY size DESC, t.theme_id", parameters=parameters))
    if as_json:
        print_json(rows)
        return
    zone = workspace.settings.timezone
    print_table(
        ("theme", "product", "label", "texts", "sure", "languages", "came from", "last seen"),
        [
            (
                row["theme_id"][:10],
                row["product"],
                row["label"],
                row["size"],
                sure(row),
                spoken(row["languages"]),
                origin(row),
                local_time(row["last_seen"], zone),
            )
            for row in rows[:limit]
        ],
        empty="no themes yet: a product needs "
        f"{workspace.config.theme_min_texts} usable texts (themes.min_texts)",
    )


@themes.command("show")
@click.argument("theme_id")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def show_theme(ctx: click.Context, theme_id: str, as_json: bool) -> None:
    """Tell all of one theme: what customers wrote, its languages, where it came from."""
    workspace = open_workspace(ctx, backtest=ctx.meta.get("backtest"))
    row = _one(workspace, theme_id)
    family = _family(workspace, row)
    history = _history(workspace, row["theme_id"])
    quotes = quotations(
        workspace,
        list(row["representative_ids"] or []),
        order_by="event_time DESC",
        limit=QUOTATIONS,
    )
    if as_json:
        print_json({"theme": row, "family": family, "history": history, "feedback": quotes})
        return
    zone = workspace.settings.timezone
    namer = "a person" if row["named_by_person"] else row["named_by"]
    named = f", named by {safe(namer)}; its words: {safe(row['words'] or '-')}" if namer else ""
    click.echo(f"{row['theme_id']}  {safe(row['product'])}: {safe(row['label'] or '-')}{named}")
    click.echo(
        f"{row['size']} texts, {local_time(row['first_seen'], zone)} to "
        f"{local_time(row['last_seen'], zone)}; sure {sure(row)}; {origin(row)}"
    )
    click.echo(f"languages: {spoken(row['languages'], most=None)}")
    for other in family:
        click.echo(f"{other['relation']}: {other['theme_id']} {safe(other['label'] or '-')}")
    for entry in history:
        click.echo(f"{local_time(entry['at'], zone)} {entry['action']}: {safe(entry['detail'])}")
    click.echo("\nwhat customers wrote")
    for quote in quotes:
        click.echo(f"  {quote['feedback_id'][:10]}: {shorten(quote['text'], 160)}")


def sure(row: Any) -> str:
    """Return the mean confidence of a theme's texts, with "?" where it is not calibrated."""
    if row["confidence"] is None:
        return "-"
    return f"{row['confidence']:.2f}" + ("" if "pairs" in (row["model"] or "") else "?")


def spoken(languages: Any, *, most: int | None = LANGUAGES) -> str:
    """Return the languages of a theme's texts with their shares, the most frequent first."""
    texts = sum(entry["texts"] for entry in languages)
    return (
        ", ".join(
            f"{safe(entry['language'])} {entry['texts'] / texts:.0%}" for entry in languages[:most]
        )
        or "-"
    )


def origin(row: Any) -> str:
    """Return where a theme came from, or went to, in a few words."""
    if row["merged_into"]:
        return f"merged into {row['merged_into'][:10]}"
    if row["split_from"]:
        how = "emerging in" if row["emerging"] else "split from"
        return f"{how} {row['split_from'][:10]}"
    return "found by itself"


def _one(workspace: Workspace, theme_id: str) -> Any:
    rows = records(
        workspace.query(
            THEMES + " WHERE starts_with(t.theme_id, ?) ORDER BY t.theme_id",
            parameters=[theme_id],
        )
    )
    if len(rows) != 1:
        problem = "no theme" if not rows else f"{len(rows)} themes"
        raise NotFoundError(
            f"{problem} with an id that starts with {theme_id!r}",
            hint="'closeloop themes' lists them",
        )
    return rows[0]


def _family(workspace: Workspace, row: Any) -> list[Any]:
    """Return the themes that this one came from or went to, and those that came from it."""
    return records(
        workspace.query(
            "SELECT theme_id, label, CASE WHEN theme_id = ? THEN 'split from' "
            "WHEN theme_id = ? THEN 'merged into' WHEN merged_into = ? THEN 'took over' "
            "ELSE 'split off' END AS relation FROM silver.theme "
            "WHERE theme_id IN (?, ?) OR merged_into = ? OR split_from = ? ORDER BY relation, theme_id",
            parameters=[
                row["split_from"] or "",
                row["merged_into"] or "",
                row["theme_id"],
                row["split_from"] or "",
                row["merged_into"] or "",
                row["theme_id"],
                row["theme_id"],
            ],
        )
    )


def _history(workspace: Workspace, theme_id: str) -> list[dict[str, Any]]:
    """Return what closeloop did with the theme by itself, from the audit log."""
    own = (EMERGED, KEPT, DROPPED)
    with workspace.database.reading() as ops:
        entries = [e for e in ops.audit_entries() if e.subject == theme_id and e.action in own]
    return [
        {"at": e.made_at, "action": e.action.removeprefix("theme."), "detail": e.detail}
        for e in entries
    ]
