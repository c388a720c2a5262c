"""Shows which column was taken for which field, and in which zone times were read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from closeloop.cli.output import print_table, safe, shorten

if TYPE_CHECKING:
    from closeloop.connectors.intake.mapping import ColumnMapping

EXAMPLE_WIDTH = 44


def tell_mapping(mapping: ColumnMapping) -> None:
    """Print which column is which field, with an example; personal values are shortened."""
    print_table(
        ("field", "column", "found", "example"),
        [(f.field, f.column, f.how, _example(f.example, f.private)) for f in mapping.fields],
        empty="no columns",
    )
    if mapping.left_over:
        shown = ", ".join(shorten(n, 40) for n in mapping.left_over[:20])
        more = len(mapping.left_over) - 20
        click.echo(f"left over: {shown}" + (f" and {more} more" if more > 0 else ""))


def tell_zone(count: int, timezone: str, *, setting: str) -> None:
    """Say in which zone times without one were read."""
    if count:
        click.echo(f"{count:,} times carry no zone: taken as {safe(timezone)} (change: {setting})")


def _example(value: str | None, private: bool) -> str:
    if value is None:
        return "(no value in the first rows)"
    return f"{shorten(value, 3)}…" if private else shorten(value, EXAMPLE_WIDTH)
