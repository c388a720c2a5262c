"""`closeloop stream`: takes in what arrives at the declared sources, and shows how far it is behind."""

from __future__ import annotations

from typing import Any

import click

from closeloop.app import Workspace
from closeloop.cli.output import local_time, print_json, print_table, safe
from closeloop.cli.session import open_workspace


@click.command()
@click.argument("sources", nargs=-1, metavar="[SOURCE]…")
@click.option("--status", is_flag=True, help="Show lag and freshness; take in nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def stream(ctx: click.Context, sources: tuple[str, ...], status: bool, as_json: bool) -> None:
    """Take in the files and messages that have arrived, then end.

    Sources with files: or kafka: in closeloop.yaml; all of them where none is named. Each message
    and each file is taken in once, whatever is killed in between. 'closeloop run --watch' does this
    before every pass.
    """
    from closeloop.streaming import lag_of, streams_of, take_in_stream

    workspace = open_workspace(ctx)
    found = []
    for name, source in streams_of(workspace, sources).items():
        work = lag_of if status else take_in_stream
        found.append(work(workspace, name, source))
        if not as_json and not status:
            tell(found[-1])
    if as_json:
        print_json({"streams": found})
    elif status:
        _tell_status(workspace, found)


def tell(found: dict[str, Any]) -> None:
    """Print what was taken in from one source."""
    name = safe(found["source"])
    if "messages" in found:
        click.echo(
            f"{name}: {found['messages']:,} messages, {found['new']:,} new in bronze, "
            f"{found['delivered_again']:,} delivered again and left out, lag {found['lag']:,}"
        )
        if found["expired"]:
            click.echo(
                f"  {found['expired']:,} messages had expired before they were read: "
                "lengthen the topic's retention"
            )
        for reason, count in found["defects"].items():
            click.echo(f"  {reason} {count:,}: to the quarantine")
    if "files" in found:
        click.echo(f"{name}: {found['files']:,} files, {found['new']:,} new rows in bronze")
        for file, why in found["set_aside"].items():
            click.echo(f"  set aside: {safe(file)}: {safe(why)}")


def _tell_status(workspace: Workspace, found: list[dict[str, Any]]) -> None:
    zone = workspace.settings.timezone
    print_table(
        ("source", "rows", "lag", "newest taken in", "newest written"),
        [
            (
                row["source"],
                f"{row['rows']:,}",
                f"{row['lag']:,}" if "lag" in row else "-",
                local_time(row["newest_ingested_at"], zone) if row["newest_ingested_at"] else "-",
                local_time(row["newest_event_at"], zone) if row["newest_event_at"] else "-",
            )
            for row in found
        ],
    )
