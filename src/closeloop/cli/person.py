"""Who gives a command: the name that answers and the audit log carry."""

from __future__ import annotations

import getpass

import click


def person() -> str:
    """Return the name of the user of this machine, or "unknown" where it has none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        # A container may run under a number without a name.
        return "unknown"


def by_option(command: click.decorators.FC) -> click.decorators.FC:
    """Add --by NAME: who answers, by default the user of this machine."""
    return click.option(
        "--by",
        default=person,
        show_default="your user name",
        envvar="CLOSELOOP_USER",
        metavar="NAME",
        help="Who answers; kept with the answer.",
    )(command)
