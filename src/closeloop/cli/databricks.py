"""`closeloop databricks`: what a workspace on Databricks has to be told, as SQL and as calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

import click

from closeloop.cli.output import print_json
from closeloop.errors import UsageError, redact

if TYPE_CHECKING:
    from closeloop.engines.unity_lineage import External, Request
    from closeloop.engines.unity_sql import Audience, Statement

PARTS = ("tables", "views", "tags", "masks", "filters", "grants")
"""Written out, so that --help need not load the tables; a test holds them to the engine's."""


@click.group()
def databricks() -> None:
    """Publish the tables and gold views on Unity Catalog: SQL, masks, filters, lineage."""


def audience_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say which catalog, and who may see what in it."""
    options = (
        click.option("--catalog", required=True, help="The catalog with bronze, silver and gold."),
        click.option(
            "--loop",
            required=True,
            metavar="APPLICATION_ID",
            help="The service principal that runs the loop: exempt from masks and filters.",
        ),
        click.option(
            "--readers",
            default="closeloop-readers",
            show_default=True,
            help="The group that may read the gold views.",
        ),
        click.option(
            "--see-personal",
            default="closeloop-personal",
            show_default=True,
            help="The group that sees personal data and every product.",
        ),
        click.option(
            "--product",
            "products",
            multiple=True,
            metavar="ID=GROUP",
            help="Whose rows a group may see; repeat. Without any, readers see all products.",
        ),
        click.option(
            "--part",
            "parts",
            multiple=True,
            type=click.Choice(PARTS),
            help="Only this part; repeat. Without any, all of them.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@databricks.command()
@audience_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def sql(as_json: bool, **chosen: Any) -> None:
    """Print the SQL that makes tables, views, tags, masks, row filters and grants.

    It may be run again and again, as a whole, by an owner of the catalog. The two governed tags must
    be there first: see docs/databricks.md.
    """
    found = _statements(**chosen)
    if as_json:
        print_json([{"part": s.part, "about": s.about, "sql": s.sql} for s in found])
        return
    click.echo("\n".join(f"-- {s.part}: {s.about}\n{s.sql};\n" for s in found))


@databricks.command()
@audience_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def publish(as_json: bool, **chosen: Any) -> None:
    """Run what 'sql' prints, in a job or notebook on Databricks; again and again does no harm."""
    from closeloop.engines.unity_publish import publish as run_statements
    from closeloop.engines.unity_publish import session_here

    found = _statements(**chosen)
    session = session_here()
    done = run_statements(
        session,
        found,
        on_statement=lambda s: click.echo(f"{s.part}: {s.about}", err=True),
    )
    if as_json:
        print_json({"ran": done})
    else:
        click.echo(", ".join(f"{part} {count}" for part, count in done.items()))


@databricks.command()
@click.option("--catalog", required=True, help="The catalog with bronze, silver and gold.")
@click.option(
    "--source",
    "sources",
    multiple=True,
    metavar="NAME[=SYSTEM]",
    help="A source, and what system it is (KAFKA, SALESFORCE, …; OTHER where left out); repeat. "
    "Without any, those of closeloop.yaml.",
)
@click.option(
    "--tracker",
    "trackers",
    multiple=True,
    metavar="NAME[=SYSTEM]",
    help="A tracker that tickets go to (jira, servicenow=SERVICENOW, …); repeat.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def lineage(
    ctx: click.Context,
    catalog: str,
    sources: tuple[str, ...],
    trackers: tuple[str, ...],
    as_json: bool,
) -> None:
    """Print the calls that draw the lines source -> bronze.feedback and gold.ticket -> tracker."""
    from closeloop.engines.unity_lineage import lineage_of_source, lineage_of_tracker

    requests: list[Request] = []
    for source in _sources(ctx, sources):
        requests += lineage_of_source(source, catalog=catalog)
    for tracker in trackers:
        requests += lineage_of_tracker(_external(tracker, entity="tickets"), catalog=catalog)
    if as_json:
        print_json([r.as_dict() for r in requests])
        return
    import json
    import shlex

    for request in requests:
        body = shlex.quote(json.dumps(request.body))
        click.echo(f"databricks api {request.method.lower()} {request.path} --json {body}")


def _statements(
    *,
    catalog: str,
    loop: str,
    readers: str,
    see_personal: str,
    products: Sequence[str],
    parts: Sequence[str],
) -> list[Statement]:
    from closeloop.engines.unity_sql import PARTS as ALL
    from closeloop.engines.unity_sql import Audience, Part, statements

    audience: Audience = Audience(
        catalog=catalog,
        loop=loop,
        readers=readers,
        see_personal=see_personal,
        products=dict(_pair(text, option="--product") for text in products),
    )
    return statements(audience, parts=cast("tuple[Part, ...]", tuple(parts) or ALL))


def _pair(text: str, *, option: str) -> tuple[str, str]:
    left, mark, right = text.partition("=")
    if not (left and mark and right):
        raise UsageError(
            f"{option} {redact(text)}: give two names with = between them",
            hint=f"for example {option} shop-app=closeloop-shop",
        )
    return left, right


def _sources(ctx: click.Context, named: Sequence[str]) -> list[External]:
    from closeloop.engines.unity_lineage import External

    if named:
        return [_external(text, entity="feedback") for text in named]
    from closeloop.cli.session import open_workspace

    declared = open_workspace(ctx).settings.sources
    return [
        External(
            name,
            system="KAFKA" if getattr(source, "kafka", None) is not None else "OTHER",
            columns=source.columns,
        )
        for name, source in sorted(declared.items())
    ]


def _external(text: str, *, entity: str) -> External:
    from closeloop.engines.unity_lineage import SYSTEM_TYPES, External

    name, _, system = text.partition("=")
    system = (system or "OTHER").upper()
    if not name or system not in SYSTEM_TYPES:
        raise UsageError(
            f"{redact(text)}: {redact(system)} is no system that Unity Catalog knows",
            hint=f"one of {', '.join(sorted(SYSTEM_TYPES))}",
        )
    return External(name, system=system, entity=entity)
