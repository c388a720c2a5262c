"""The entry point: finds the command, runs it, turns errors into messages and exit codes."""

from __future__ import annotations

import atexit
import importlib
import os
import sys
import traceback
from pathlib import Path

import click

from closeloop import __version__
from closeloop.errors import CloseloopError, redact

COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("closeloop.cli.init:init", "Make a workspace: commented configuration files."),
    "demo": ("closeloop.cli.demo:demo", "See the whole loop on a simulated shop."),
    "ingest": ("closeloop.cli.ingest:ingest", "Take in feedback from files."),
    "stream": ("closeloop.cli.stream:stream", "Take in what arrives on Kafka and in folders."),
    "changes": (
        "closeloop.cli.ingest:changes",
        "Add or import releases, flags, incidents, articles.",
    ),
    "exposure": ("closeloop.cli.ingest:exposure", "Import users, orders, installs."),
    "quarantine": ("closeloop.cli.ingest:quarantine", "See and cure rows that can't be used."),
    "sources": (
        "closeloop.cli.sources:sources",
        "See what sources deliver, and which verdicts wait.",
    ),
    "run": ("closeloop.cli.run:run", "Run the loop over all that is new."),
    "backtest": (
        "closeloop.cli.backtest:backtest",
        "Replay history: what would have been ticketed.",
    ),
    "policy": (
        "closeloop.cli.policy:policy",
        "Check the policy; try a changed one on the past.",
    ),
    "signals": ("closeloop.cli.signals:signals", "See what rises, and what is behind it."),
    "themes": ("closeloop.cli.themes:themes", "See what customers talk about."),
    "taxonomy": (
        "closeloop.cli.taxonomy:taxonomy",
        "See categories, and what a changed taxonomy would move.",
    ),
    "briefs": ("closeloop.cli.briefs:briefs", "Read the briefs."),
    "tickets": ("closeloop.cli.tickets:tickets", "See and move tickets."),
    "review": ("closeloop.cli.review:review", "Approve, reject, merge, split, label."),
    "digest": ("closeloop.cli.digest:digest", "Read today's digest."),
    "outcomes": ("closeloop.cli.signals:outcomes", "See whether fixes held."),
    "costs": ("closeloop.cli.costs:costs", "See what language models cost, and will cost."),
    "batches": ("closeloop.cli.batches:batches", "See and collect batches of a language model."),
    "query": ("closeloop.cli.query:query", "SQL over every table."),
    "erase": ("closeloop.cli.erase:erase", "Erase a person's feedback through every layer."),
    "simulate": ("closeloop.cli.simulate:simulate", "Make feedback with known truth."),
    "evaluate": ("closeloop.cli.evaluate:evaluate", "Measure closeloop on a labelled file."),
    "models": ("closeloop.cli.models:models", "See and install the embedding model."),
    "databricks": (
        "closeloop.cli.databricks:databricks",
        "Publish tables and gold views on Unity Catalog.",
    ),
    "doctor": (
        "closeloop.cli.doctor:doctor",
        "Check configuration, model, tables; say what to do.",
    ),
}
"""Commands in the order of the loop; each is imported only when it is asked for."""


class LazyGroup(click.Group):
    """Lists all commands without importing one, so that --help answers at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the names in the order of the loop."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command; a near miss gets a hint."""
        if cmd_name not in COMMANDS:
            import difflib

            close = difflib.get_close_matches(cmd_name, COMMANDS, n=1)
            hint = f" Did you mean '{close[0]}'?" if close else ""
            ctx.fail(f"No such command '{cmd_name}'.{hint}")
        module, attribute = COMMANDS[cmd_name][0].split(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands with one line each."""
        with formatter.section("Commands, in the order of the loop"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="closeloop")
@click.option(
    "-w",
    "--workspace",
    type=click.Path(file_okay=False),
    default=None,
    envvar="CLOSELOOP_WORKSPACE",
    help="The workspace's folder (default: this folder or one above it).",
)
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@click.pass_context
def cli(ctx: click.Context, workspace: str | None, quiet: bool) -> None:
    """Turn customer feedback into verified fixes.

    Exit codes: 0 ok, 1 a finding (such as a failed check), 2 wrong use, 3 a fault outside.
    """
    ctx.obj = {"workspace": workspace, "quiet": quiet}


def program() -> None:
    """Run the command line and end the process with its exit code, without taking Python apart.

    Threads of Arrow's may still be letting go of what they read when the interpreter is taken
    apart under them, and abort the process with all work done: "terminate called without an active
    exception", exit code 134 (apache/arrow#34314, #36980). A task on Databricks is a guest in a
    process that goes on, and must not end it.
    """
    if "DATABRICKS_RUNTIME_VERSION" in os.environ:
        main()
        return
    code = 0
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    atexit._run_exitfuncs()  # what libraries do at the end: databases closed, own files removed
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        pass  # as in main: the reader has gone
    except OSError as error:
        code = code or _failed(error)
    os._exit(code)


def _failed(error: OSError) -> int:
    where = f": {error.filename}" if error.filename else ""
    click.echo(f"closeloop: {error.strerror or error}{where}", err=True)
    return 3


def _unexpected(error: Exception) -> int:
    """Say what happened in which command, and how to see more; return the exit code."""
    command = next((a for a in sys.argv[1:] if a in COMMANDS), "")
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(place.filename).name}, line {place.lineno}"
    click.echo(
        f"closeloop: {f'closeloop {command}'.strip()!r} failed unexpectedly: "
        f"{type(error).__name__}: {redact(error, keep=200)} ({where})\n"
        "  this is a defect; nothing half-done is visible. Run it again with CLOSELOOP_DEBUG=1 to "
        "see the traceback, and report that",
        err=True,
    )
    return 3


def main() -> None:
    """Run the command line; never ends in a traceback unless CLOSELOOP_DEBUG is set."""
    try:
        # A bare --backtest means the latest: click would take the word after it for its value.
        arguments = ["--backtest=latest" if a == "--backtest" else a for a in sys.argv[1:]]
        # Outside its standalone mode click returns the code that a command exits with.
        code = cli(arguments, prog_name="closeloop", standalone_mode=False)
    except CloseloopError as error:
        if os.environ.get("CLOSELOOP_DEBUG"):
            raise
        click.echo(f"closeloop: {error}", err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("closeloop: stopped; nothing half-done is visible", err=True)
        sys.exit(130)
    except BrokenPipeError:
        # The reader has gone (a pager, head): that is no fault.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        # A full disk, a file that may not be written: what a command expects it says itself.
        if os.environ.get("CLOSELOOP_DEBUG"):
            raise
        sys.exit(_failed(error))
    except Exception as error:
        if os.environ.get("CLOSELOOP_DEBUG"):
            raise
        sys.exit(_unexpected(error))
    if isinstance(code, int) and code:
        sys.exit(code)
