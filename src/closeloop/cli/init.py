"""`closeloop init`: makes a workspace."""

from __future__ import annotations

from pathlib import Path

import click

from closeloop.workspace_folder import initialise


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path())
def init(folder: Path) -> None:
    """Write commented configuration files into FOLDER (default: here); keep those that exist."""
    written = initialise(folder)
    for path in written:
        click.echo(f"wrote {path}")
    if not written:
        click.echo("all files are there already; nothing was changed")
    click.echo("next: closeloop ingest YOUR_FILE.csv --source NAME, then closeloop run")
