"""Opens the workspace that a command works on."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from closeloop import tracing
from closeloop.app import Workspace
from closeloop.cli.memory import keep_memory_low
from closeloop.cli.progress import make_progress
from closeloop.errors import UsageError
from closeloop.workspace_folder import LATEST, find_folder


def open_workspace(ctx: click.Context, *, backtest: str | None = None) -> Workspace:
    """Return the workspace named by --workspace, or the one around this folder.

    `backtest` opens that backtest's tables ("latest": the newest). The workspace is closed when
    the command ends. Raises UsageError where there is no workspace.
    """
    keep_memory_low()
    options = ctx.find_root().obj or {}
    named = options.get("workspace")
    start = Path(named) if named else Path.cwd()
    if named and not start.is_dir():
        raise UsageError(f"no such folder: {start}", hint="make a workspace with 'closeloop init'")
    quiet = bool(options.get("quiet")) or not sys.stderr.isatty()
    progress = make_progress(quiet=quiet)
    workspace = Workspace(find_folder(start), progress=progress, backtest=backtest)
    ctx.call_on_close(workspace.close)
    chosen = workspace.settings.tracing
    if chosen.exporter != "none":
        tracing.stop()
        tracing.start(chosen.exporter, endpoint=chosen.endpoint, include_texts=chosen.include_texts)
        ctx.call_on_close(tracing.stop)
    return workspace


def backtest_option(command: click.decorators.FC) -> click.decorators.FC:
    """Add --backtest[=NAME], which reads a backtest's tables instead of the live ones."""
    return click.option(
        "--backtest",
        is_flag=False,
        flag_value=LATEST,
        default=None,
        metavar="[NAME]",
        help="Read a backtest's tables (the latest, or by name) instead of the live ones.",
    )(command)
