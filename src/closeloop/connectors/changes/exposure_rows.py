"""Imports users, orders and installs per hour or day into silver.exposure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from closeloop.connectors.changes.reading import ImportReport, ImportRequest, ReadRow, read_rows
from closeloop.connectors.intake.fields import EXPOSURE_FIELDS
from closeloop.connectors.intake.request import IntakeStep
from closeloop.errors import InputFileError, UsageError, redact
from closeloop.tables import EXPOSURE
from closeloop.text.normalise import normalise_version

PERIODS = ("hour", "day")
FIGURES = ("users", "orders", "installs")

Row = dict[str, Any]


def import_exposure(
    step: IntakeStep,
    paths: Sequence[str | Path],
    request: ImportRequest,
    *,
    period: str | None = None,
) -> ImportReport:
    """Merge the exposure of files into silver.exposure; the same figures again change nothing.

    Without `period` and without such a column, rows are days where every time is a midnight (in
    the declared zone), else hours. An hour starts on the hour in UTC; a day is the date in the
    declared zone, kept as that date's midnight in UTC. Versions take the form that feedback's have,
    and the builds of one are added up. Raises InputFileError where a file has none of users, orders
    and installs.
    """
    if period is not None and period not in PERIODS:
        raise UsageError(f"no period {redact(period)!r}", hint=f"one of {', '.join(PERIODS)}")
    report = ImportReport()
    rows = read_rows(paths, EXPOSURE_FIELDS, request, report)
    _check_figures(report)
    chosen = period or _period(rows, ZoneInfo(request.timezone))
    made = [
        (row.values.get("version") or "", exposure)
        for row in rows
        if (exposure := _exposure(row, step, request, chosen, report))
    ]
    _write(step, _added_up(made, report), report)
    return report


def _check_figures(report: ImportReport) -> None:
    for file, mapping in report.mappings:
        if not any(mapping.column(name) for name in FIGURES):
            columns = [f.column for f in mapping.fields] + list(mapping.left_over)
            raise InputFileError(
                f"{redact(file, keep=80)}: no column found for users, orders or installs; "
                f"its columns: {', '.join(redact(c) for c in columns)}",
                hint="give --map users=COLUMN, --map orders=COLUMN or --map installs=COLUMN",
            )


def _period(rows: Sequence[ReadRow], zone: ZoneInfo) -> str:
    starts = [row.values["start"].astimezone(zone) for row in rows if row.values.get("start")]
    return "hour" if any(s.hour or s.minute or s.second for s in starts) else "day"


def _start(given: datetime, period: str, zone: ZoneInfo) -> datetime:
    """Return the start of the hour in UTC, or of the day that the declared zone's calendar says."""
    if period == "hour":
        return given.replace(minute=0, second=0, microsecond=0)
    day = given.astimezone(zone).date()
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _exposure(
    row: ReadRow, step: IntakeStep, request: ImportRequest, period: str, report: ImportReport
) -> Row | None:
    values = row.values
    start = values.get("start")
    said = str(values.get("period") or period).lower()
    figures = {name: values.get(name) for name in FIGURES}
    problem = row.problem
    if problem is None and start is None:
        problem = "no time of start"
    if problem is None and said not in PERIODS:
        problem = f"no period: {redact(said)!r}"
    if problem is None and all(value is None for value in figures.values()):
        problem = "neither users nor orders nor installs"
    if problem is None and any(value is not None and value < 0 for value in figures.values()):
        problem = "a figure below zero"
    if problem is not None or start is None:
        report.leave_out(row.file, row.line, problem or "no time of start")
        return None
    version = values.get("version") or ""
    product = request.product or values.get("product")
    report.productless += product is None
    return {
        "product": step.config.product_id(product),
        "version": normalise_version(version) or version,
        "platform": (values.get("platform") or "").lower(),
        "region": values.get("region") or "",
        "start": _start(start, said, ZoneInfo(request.timezone)),
        "period": said,
        **figures,
    }


def _added_up(made: Iterable[tuple[str, Row]], report: ImportReport) -> list[Row]:
    """Return one row a key: `2.0 (412)` and `2.0 (413)` are parts of 2.0, and have its users together.

    `made` are (version as it was given, row). What is given twice in the same words is a repeat,
    and the later figures count.
    """
    parts: dict[tuple[Any, ...], dict[str, Row]] = {}
    for given, row in made:
        builds = parts.setdefault(_key(row), {})
        report.repeated += given in builds
        builds[given] = row
    return [_sum_of(list(builds.values())) for builds in parts.values()]


def _sum_of(rows: Sequence[Row]) -> Row:
    told = {name: [row[name] for row in rows if row[name] is not None] for name in FIGURES}
    return {**rows[0], **{name: sum(held) if held else None for name, held in told.items()}}


def _write(step: IntakeStep, made: Sequence[Row], report: ImportReport) -> None:
    products = sorted({row["product"] for row in made})
    held = {
        _key(row): row
        for row in step.rows(EXPOSURE, where=[("product", "in", products)]).to_pylist()
    }
    fresh: list[Row] = []
    for row in made:
        before = held.get(_key(row))
        if before is not None and all(before[name] == row[name] for name in FIGURES):
            report.unchanged += 1
            continue
        if before is None:
            report.new += 1
        else:
            report.changed += 1
        fresh.append(row)
    if fresh:
        schema = pa.schema([f for f in EXPOSURE.schema if f.name != "batch_id"])
        step.merge(EXPOSURE, pa.Table.from_pylist(fresh, schema=schema))
    step.count("exposure", len(fresh))


def _key(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in EXPOSURE.key)
