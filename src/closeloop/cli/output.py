"""What commands print: tables, JSON, times in the user's zone, hostile text disarmed."""

from __future__ import annotations

import csv
import io
import json
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import click

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet takes a cell that starts so for a formula; it is written with a leading quote."""


def safe(text: object) -> str:
    """Return text that can be printed: control characters and escape sequences shown, not sent."""
    shown = []
    for character in str(text):
        category = unicodedata.category(character)
        if character == "\u200d" or category not in ("Cc", "Cf", "Cs", "Zl", "Zp"):
            shown.append(character)
        elif character in "\n\t":
            shown.append(" ")
        else:
            shown.append(character.encode("unicode_escape", "backslashreplace").decode("ascii"))
    return "".join(shown)


def shorten(text: object, width: int) -> str:
    """Return printable text of at most `width` characters."""
    line = " ".join(safe(text).split())
    return line if len(line) <= width else line[: width - 1] + "…"


def local_time(value: datetime | None, zone: str, *, seconds: bool = False) -> str:
    """Return a time in the user's zone, or "-"."""
    if value is None:
        return "-"
    return value.astimezone(ZoneInfo(zone)).strftime(
        "%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M"
    )


def print_json(value: object) -> None:
    """Print JSON: times as ISO 8601 in UTC, no terminal escapes."""
    click.echo(json.dumps(value, default=_jsonable, ensure_ascii=not _utf8(), indent=2))


def print_table(
    headers: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str = "nothing to show"
) -> None:
    """Print a table that fits the terminal; text in cells is disarmed."""
    body = [[safe("-" if cell is None else cell) for cell in row] for row in rows]
    if not body:
        click.echo(empty)
        return
    if not sys.stdout.isatty():
        _plain_table(headers, body)
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for header in headers:
        table.add_column(header, overflow="fold")
    for row in body:
        table.add_row(*[Text(cell) for cell in row])
    Console().print(table)


def print_csv(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print CSV; a cell that a spreadsheet would take for a formula is quoted with an apostrophe."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(headers)
    for row in rows:
        writer.writerow([csv_cell(cell) for cell in row])
    click.echo(buffer.getvalue(), nl=False)


def csv_cell(value: object) -> object:
    """Return a cell that no spreadsheet takes for a formula."""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULA_STARTS) else value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, (list, dict)):
        return json.dumps(value, default=_jsonable, ensure_ascii=False)
    return "" if value is None else value


def records(rows: Any) -> list[dict[str, Any]]:
    """Return an Arrow table as a list of dictionaries."""
    return list(rows.to_pylist())


def _plain_table(headers: Sequence[str], body: list[list[str]]) -> None:
    widths = [max(len(header), *(len(row[i]) for row in body)) for i, header in enumerate(headers)]
    for row in ([str(h) for h in headers], *body):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        click.echo("  ".join(cells).rstrip())


def _jsonable(value: object) -> object:
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return str(value)


def _utf8() -> bool:
    return (getattr(sys.stdout, "encoding", "") or "").lower().replace("-", "") == "utf8"
