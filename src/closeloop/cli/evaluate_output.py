"""How `closeloop evaluate` tells what it found: tables for people, files for a closer look."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from closeloop.cli.output import print_table, safe, shorten
from closeloop.errors import TerminalError

if TYPE_CHECKING:
    from closeloop.evaluation.report import Confusion, Figure, Report

WIDEST_MATRIX = 8
"""More labels than this are told as a list of what is most often taken for what."""
CONFUSIONS_SHOWN = 15
NAME_WIDTH = 36


def tell(report: Report, *, workspace: str | None, sampled: int | None) -> None:
    """Print the report; `sampled` is how many rows were drawn, None where all were taken."""
    place = f"the workspace {safe(workspace)}" if workspace else "the defaults (no workspace here)"
    drawn = f" ({sampled:,} were drawn)" if sampled is not None else ""
    click.echo(
        f"{report.what}: {report.used:,} of {report.rows:,} rows of {safe(report.file)} judged"
        f"{drawn}, with {place}"
    )
    if report.left_out:
        reasons = ", ".join(f"{k} {v:,}" for k, v in sorted(report.left_out.items()))
        click.echo(f"left out: {reasons}")
    for note in report.notes:
        click.echo(safe(note))
    click.echo("")
    print_table(
        ("figure", "value", "95% interval", "of", "what it says"),
        [(f.name, _value(f), _interval(f), _count(f.of), f.meaning) for f in report.figures],
    )
    for listing in report.listings:
        if not listing.rows:
            continue
        more = len(listing.rows) - listing.most
        tail = f" ({listing.most} of {len(listing.rows)}; all with --json)" if more > 0 else ""
        click.echo(f"\n{listing.title}{tail}")
        print_table(
            listing.headers, [[_cell(cell) for cell in row] for row in listing.rows[: listing.most]]
        )
    if report.confusion is not None and report.confusion.told:
        _tell_confusion(report.confusion)
    if report.made_with:
        click.echo(
            "\nmade with " + "; ".join(f"{k} {safe(v)}" for k, v in report.made_with.items())
        )


def write_predictions(path: Path, report: Report) -> None:
    """Write a row for each judged item. Raises TerminalError where the disk refuses."""
    import pyarrow.parquet as pq

    try:
        pq.write_table(report.predictions, path)
    except OSError as error:
        raise _unwritable(path, error) from error
    click.echo(f"wrote {report.predictions.num_rows:,} rows to {safe(path)}", err=True)


def write_picture(path: Path, report: Report) -> None:
    """Write the picture as .svg or .html. Raises TerminalError where the disk refuses."""
    from closeloop.evaluation.picture import as_html, as_svg

    text = as_html(report) if path.suffix.lower() == ".html" else as_svg(report)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise _unwritable(path, error) from error
    click.echo(f"wrote {safe(path)}", err=True)


def _unwritable(path: Path, error: OSError) -> TerminalError:
    return TerminalError(
        f"{safe(path)} can't be written ({error.strerror})", hint="check the folder and its room"
    )


def _tell_confusion(matrix: Confusion) -> None:
    if len(matrix.labels) <= WIDEST_MATRIX and _width(matrix) <= _room():
        click.echo("\nLabel (rows) and answer (columns)")
        print_table(
            ("", *(shorten(name, NAME_WIDTH) for name in matrix.answers)),
            [
                [shorten(label, NAME_WIDTH), *(f"{n:,}" for n in counts)]
                for label, counts in zip(matrix.labels, matrix.counts.tolist(), strict=True)
            ],
        )
        return
    worst = matrix.worst(CONFUSIONS_SHOWN)
    if worst:
        click.echo("\nMost often taken for something else")
        print_table(
            ("label", "answered as", "texts", "of the label"),
            [
                (shorten(a, NAME_WIDTH), shorten(b, NAME_WIDTH), f"{n:,}", f"{share:.1%}")
                for a, b, n, share in worst
            ],
        )


def _width(matrix: Confusion) -> int:
    return NAME_WIDTH // 2 + sum(min(len(name), NAME_WIDTH) + 2 for name in matrix.answers)


def _room() -> int:
    return shutil.get_terminal_size((100, 24)).columns


def _value(figure: Figure) -> str:
    if figure.value is None:
        return "-"
    return f"{figure.value:,.0f}" if figure.whole else f"{figure.value:.3f}"


def _interval(figure: Figure) -> str:
    if figure.interval is None or figure.value is None:
        return ""
    return f"{figure.interval.low:.3f} to {figure.interval.high:.3f}"


def _count(of: int | None) -> str:
    return "" if of is None else f"{of:,}"


def _cell(cell: Any) -> str:
    if isinstance(cell, float):
        return "-" if cell != cell else f"{cell:.3f}"
    return f"{cell:,}" if isinstance(cell, int) else shorten(cell, NAME_WIDTH)
