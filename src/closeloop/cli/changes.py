"""`closeloop changes` and `closeloop exposure`: what may be behind a signal, and proportions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from closeloop.cli.columns import tell_mapping, tell_zone
from closeloop.cli.output import local_time, print_json, print_table, safe, shorten
from closeloop.cli.session import open_workspace
from closeloop.errors import NotFoundError, UsageError, redact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from closeloop.app import Workspace
    from closeloop.connectors.changes.reading import ImportReport, ImportRequest
    from closeloop.connectors.intake.fields import Field

FORMATS = ("csv", "jsonl", "json", "parquet")
STEP = "changes"
SOME_LEFT_OUT, NOTHING_USED = 1, 2
"""How an import ends that could not use some of the rows, or none."""
KINDS = ("release", "flag", "incident", "article", "config")


def reading_options(command: click.decorators.FC) -> click.decorators.FC:
    """Add the options that say how files of changes or exposure are read."""
    for option in reversed(
        (
            click.option(
                "--map",
                "maps",
                multiple=True,
                metavar="FIELD=COLUMN",
                help="Which column is which field (repeatable).",
            ),
            click.option("--format", "format_name", type=click.Choice(FORMATS), default=None),
            click.option("--encoding", default=None, help="Of text files."),
            click.option("--product", default=None, help="The product of all rows."),
            click.option("--timezone", default="UTC", help="Of times without a zone."),
            click.option("--time-format", default=None, help="For example %d/%m/%Y."),
            click.option("--json", "as_json", is_flag=True, help="Print JSON."),
        )
    ):
        command = option(command)
    return command


def _file_options(command: click.decorators.FC) -> click.decorators.FC:
    files = click.argument("paths", nargs=-1, required=True, metavar="FILE…")
    return files(reading_options(command))


@click.group()
def changes() -> None:
    """Add, import and list releases, flags, incidents, articles, configuration changes."""


@changes.command("import")
@click.option("--kind", type=click.Choice(KINDS), default=None, help="Of rows without a kind.")
@_file_options
@click.pass_context
def import_(
    ctx: click.Context,
    paths: tuple[str, ...],
    kind: str | None,
    maps: tuple[str, ...],
    format_name: str | None,
    encoding: str | None,
    product: str | None,
    timezone: str,
    time_format: str | None,
    as_json: bool,
) -> None:
    """Import changes from csv, jsonl, json or parquet; the same change again changes nothing.

    Exit 1 where a row was left out, 2 where all were and nothing was taken in.
    """
    from closeloop.connectors.changes.change_rows import import_changes

    workspace = open_workspace(ctx)
    request = file_request(maps, format_name, encoding, product, timezone, time_format)
    with workspace.step(STEP) as step:
        report = import_changes(step, paths, request, kind=kind)
    default = workspace.config.default_product
    _tell(report, what="changes", default=default, as_json=as_json)
    _warn_of_silent(workspace, report.products)
    _end(ctx, report)


@changes.command("add")
@click.option("--kind", type=click.Choice(KINDS), required=True)
@click.option("--product", default=None, help="Id or alias (default: the default product).")
@click.option("--version", default=None)
@click.option("--name", default=None, help="Default: the version.")
@click.option("--at", "started_at", default=None, metavar="TIME", help="Default: now.")
@click.option("--until", "ended_at", default=None, metavar="TIME", help="When it ended.")
@click.option("--platform", default=None)
@click.option("--region", default=None)
@click.option("--rollout", default=None, help='For example "0=10%, 24=50%, 72=100%".')
@click.option("--note", "notes", multiple=True, help="What it holds (repeatable).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def add(
    ctx: click.Context,
    kind: str,
    product: str | None,
    version: str | None,
    name: str | None,
    started_at: str | None,
    ended_at: str | None,
    platform: str | None,
    region: str | None,
    rollout: str | None,
    notes: tuple[str, ...],
    as_json: bool,
) -> None:
    """Add one change; adding the same again changes nothing."""
    from closeloop.cli.times import parse_time
    from closeloop.connectors.changes.change_rows import make_change, write_changes
    from closeloop.connectors.changes.reading import ImportReport

    workspace = open_workspace(ctx)
    report = ImportReport(rows=1)
    with workspace.step(STEP) as step:
        change = make_change(
            step.config,
            kind=kind,
            started_at=parse_time(started_at) or step.now,
            now=step.now,
            product=product,
            name=name,
            version=version,
            ended_at=parse_time(ended_at),
            platform=platform,
            region=region,
            rollout=rollout,
            notes=notes,
        )
        write_changes(step, [change], report)
    _warn_of_silent(workspace, (change["product"],))
    if as_json:
        print_json(change | {"new": bool(report.new), "changed": bool(report.changed)})
        return
    became = "added" if report.new else "brought up to date" if report.changed else "known already"
    at = local_time(change["started_at"], workspace.settings.timezone)
    click.echo(
        f"{became}: {kind} {safe(change['name'])} of {safe(change['product'])}, {at} "
        f"({change['change_id']})"
    )


@changes.command("list")
@click.option("--product", default=None, help="Id or alias.")
@click.option("--kind", type=click.Choice(KINDS), default=None)
@click.option("--since", default=None, metavar="TIME")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def list_(
    ctx: click.Context,
    product: str | None,
    kind: str | None,
    since: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List changes, the newest first."""
    from closeloop.cli.times import parse_time
    from closeloop.ports import Condition
    from closeloop.tables import CHANGE

    workspace = open_workspace(ctx)
    where: list[Condition] = []
    if product is not None:
        where.append(("product", "=", workspace.config.product_id(product)))
    if kind is not None:
        where.append(("kind", "=", kind))
    if since is not None:
        where.append(("started_at", ">=", parse_time(since)))
    found = workspace.committed(CHANGE, where=where).to_pylist()
    if not found and product is not None:
        _check_product(workspace, workspace.config.product_id(product))
    found.sort(key=lambda row: (row["started_at"], row["change_id"]), reverse=True)
    if as_json:
        print_json([{k: v for k, v in row.items() if k != "batch_id"} for row in found[:limit]])
        return
    zone = workspace.settings.timezone
    print_table(
        ("change", "kind", "product", "name", "version", "from", "to", "where"),
        [
            (
                row["change_id"],
                row["kind"],
                row["product"],
                shorten(row["name"], 40),
                row["version"],
                local_time(row["started_at"], zone),
                local_time(row["ended_at"], zone),
                " ".join(filter(None, (row["platform"], row["region"]))) or "-",
            )
            for row in found[:limit]
        ],
        empty="no change is like that; leave --product, --kind or --since out"
        if where
        else "no changes yet: closeloop changes import FILE --kind release",
    )
    if len(found) > limit:
        click.echo(f"({len(found) - limit:,} more; raise --limit)", err=True)


@click.group()
def exposure() -> None:
    """Import users, orders, installs: what counts of complaints are in proportion to."""


@exposure.command("import")
@click.option("--period", type=click.Choice(("hour", "day")), default=None)
@_file_options
@click.pass_context
def import_exposure_(
    ctx: click.Context,
    paths: tuple[str, ...],
    period: str | None,
    maps: tuple[str, ...],
    format_name: str | None,
    encoding: str | None,
    product: str | None,
    timezone: str,
    time_format: str | None,
    as_json: bool,
) -> None:
    """Import exposure per hour or day; the same figures again change nothing.

    Exit 1 where a row was left out, 2 where all were and nothing was taken in.
    """
    from closeloop.connectors.changes.exposure_rows import import_exposure
    from closeloop.connectors.intake.fields import EXPOSURE_FIELDS

    workspace = open_workspace(ctx)
    request = file_request(
        maps, format_name, encoding, product, timezone, time_format, fields=EXPOSURE_FIELDS
    )
    with workspace.step("exposure") as step:
        report = import_exposure(step, paths, request, period=period)
    default = workspace.config.default_product
    _tell(report, what="rows of exposure", default=default, as_json=as_json)
    _end(ctx, report)


def file_request(
    maps: tuple[str, ...],
    format_name: str | None,
    encoding: str | None,
    product: str | None,
    timezone: str,
    time_format: str | None,
    *,
    fields: tuple[Field, ...] | None = None,
) -> ImportRequest:
    """Return how files are to be read; `fields` are those of a change unless given.

    Raises UsageError for an unknown zone or field.
    """
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    from closeloop.connectors.changes.reading import ImportRequest
    from closeloop.connectors.intake.fields import CHANGE_FIELDS
    from closeloop.connectors.intake.mapping import parse_map_options

    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UsageError(
            f"no known time zone: {safe(timezone)}", hint="write it like Europe/Berlin or UTC"
        ) from error
    return ImportRequest(
        mapping=parse_map_options(maps, CHANGE_FIELDS if fields is None else fields),
        format=format_name,
        encoding=encoding,
        product=product,
        timezone=timezone,
        time_format=time_format,
    )


def _check_product(workspace: Workspace, product: str) -> None:
    """Raise NotFoundError for a product that has no changes, no feedback and no entry in a file."""
    from closeloop.tables import CHANGE

    changed = set(workspace.committed(CHANGE, columns=["product"]).column("product").to_pylist())
    declared = {p.product_id for p in workspace.config.products}
    known = changed | declared | _products_with_feedback(workspace)
    if product not in known:
        raise NotFoundError(
            f"no product {redact(product)!r}",
            hint=f"there are: {safe(', '.join(sorted(known)[:20])) or 'none; ingest first'}",
        )


def _products_with_feedback(workspace: Workspace) -> set[str]:
    import pyarrow.compute as pc

    from closeloop.tables import BRONZE_FEEDBACK

    names = workspace.committed(BRONZE_FEEDBACK, columns=["product"]).column("product")
    return {workspace.config.product_id(name) for name in pc.unique(names).to_pylist()}


def _warn_of_silent(workspace: Workspace, products: Sequence[str]) -> None:
    """Say on stderr which products have no feedback, where others have some: a misspelt name."""
    known = _products_with_feedback(workspace)
    # A product "*" means all of them.
    silent = [p for p in products if p not in known and p != "*"]
    if known and silent:
        click.echo(
            f"closeloop: warning: no feedback of {safe(', '.join(silent[:5]))}"
            f"{' …' if len(silent) > 5 else ''}: its changes can be behind nothing\n"
            f"  products with feedback: {safe(', '.join(sorted(known)[:20]))}; another name: "
            "--product, or aliases under products in closeloop.yaml",
            err=True,
        )


def _end(ctx: click.Context, report: ImportReport) -> None:
    """End with 2 where no row could be used, with 1 where some could not."""
    if report.all_left_out:
        click.echo(
            f"closeloop: nothing was taken in: none of the {report.rows:,} rows could be used\n"
            "  the first reasons are told; --map FIELD=COLUMN says which column is which",
            err=True,
        )
        ctx.exit(NOTHING_USED)
    if report.left_out:
        ctx.exit(SOME_LEFT_OUT)


def _tell(report: ImportReport, *, what: str, default: str, as_json: bool) -> None:
    if as_json:
        print_json(report.as_dict())
        return
    for file, mapping in report.mappings:
        click.echo(safe(file))
        tell_mapping(mapping)
    tell_zone(report.zoneless, report.timezone, setting="--timezone")
    if report.productless:
        click.echo(
            f"{report.productless:,} rows name no product: taken for {safe(default)!r} "
            "(change: --product, or --map product=COLUMN)"
        )
    parts = [f"{report.new:,} new", f"{report.changed:,} brought up to date"]
    parts.append(f"{report.unchanged:,} known already")
    if report.repeated:
        parts.append(f"{report.repeated:,} repeated in the file (the last counts)")
    if report.left_out:
        parts.append(f"{report.left_out:,} left out")
    click.echo(f"{report.rows:,} {what} read: {', '.join(parts)}")
    for problem in report.problems:
        click.echo(f"  left out: {safe(problem)}", err=True)
    if report.left_out > len(report.problems):
        click.echo(f"  and {report.left_out - len(report.problems):,} more", err=True)
