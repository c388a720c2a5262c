"""`closeloop query`: SQL over every table."""

from __future__ import annotations

import click

from closeloop.cli.output import print_csv, print_json, print_table, records, shorten
from closeloop.cli.session import backtest_option, open_workspace
from closeloop.errors import UsageError

CELL_WIDTH = 80


@click.command()
@click.argument("sql", required=False)
@click.option("--tables", is_flag=True, help="List tables, views and columns.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@click.option("--limit", type=click.IntRange(min=1), default=1000, show_default=True)
@backtest_option
@click.pass_context
def query(
    ctx: click.Context,
    sql: str | None,
    tables: bool,
    as_json: bool,
    as_csv: bool,
    limit: int,
    backtest: str | None,
) -> None:
    """Run SQL over every table, as committed runs left them; times are in UTC.

    The query can only read. Example: closeloop query "SELECT * FROM gold.support_queue LIMIT 5"
    """
    if tables:
        _list_tables(as_json=as_json)
        return
    if not sql:
        raise UsageError("no SQL given", hint='closeloop query "SELECT …", or --tables')
    workspace = open_workspace(ctx, backtest=backtest)
    result = workspace.query(sql)
    rows = records(result.slice(0, limit))
    names = result.column_names
    if as_json:
        print_json(rows)
    elif as_csv:
        print_csv(names, [[row[n] for n in names] for row in rows])
    else:
        print_table(names, [[shorten(row[n], CELL_WIDTH) for n in names] for row in rows])
    if result.num_rows > limit:
        click.echo(f"({result.num_rows - limit:,} more rows; raise --limit)", err=True)


def _list_tables(*, as_json: bool) -> None:
    from closeloop.stages.views import VIEWS
    from closeloop.tables import TABLES

    if as_json:
        print_json(
            [
                {
                    "table": t.full_name,
                    "doc": t.doc,
                    "columns": {c.name: str(c.type) for c in t.columns},
                }
                for t in TABLES
            ]
            + [{"view": v.name, "doc": v.doc} for v in VIEWS]
        )
        return
    rows = [(t.full_name, t.doc, ", ".join(c.name for c in t.columns)) for t in TABLES]
    rows += [(v.name, v.doc, "(view)") for v in VIEWS]
    print_table(("table", "what it holds", "columns"), rows)
