"""Reads files of changes or exposure into columns, with the lines that had to be left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from closeloop.connectors.intake.fields import Field
from closeloop.connectors.intake.files import find_files, open_reader
from closeloop.connectors.intake.mapping import ColumnMapping, check_fields, resolve
from closeloop.connectors.intake.numbers import read_numbers
from closeloop.connectors.intake.raw import RawBatch, as_text
from closeloop.connectors.intake.times import TimeReading, day_comes_first, read_times
from closeloop.errors import redact

MAX_PROBLEMS_SHOWN = 10

Beginning = tuple[str, str, str, str | None, str | None]
"""Kind, product, version as given, platform and region of a change."""


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What is declared of the files: field: column, format, encoding, product, zone."""

    mapping: Mapping[str, str] = field(default_factory=dict)
    format: str | None = None
    encoding: str | None = None
    product: str | None = None
    timezone: str = "UTC"
    time_format: str | None = None


@dataclass(slots=True)
class ImportReport:
    """What an import came to: rows = new + changed + unchanged + repeated + left out."""

    rows: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    repeated: int = 0
    left_out: int = 0
    zoneless: int = 0
    timezone: str = "UTC"
    productless: int = 0
    """Rows that were taken in and name no product: they went to the default one."""
    products: tuple[str, ...] = ()
    """Whose rows they were."""
    problems: list[str] = field(default_factory=list)
    """The first lines that were left out, with the reason."""
    mappings: list[tuple[str, ColumnMapping]] = field(default_factory=list)

    starts: dict[Beginning, set[datetime]] = field(default_factory=dict)
    """When each version began."""

    def begins(self, change: Mapping[str, Any], *, version: str | None) -> None:
        """Note when a version, as it was given (with its build), began."""
        if version is not None:
            where = (change["platform"], change["region"])
            key = (change["kind"], change["product"], version, *where)
            self.starts.setdefault(key, set()).add(change["started_at"])

    def leave_out(self, file: str, line: int, why: str) -> None:
        """Note a row that can't be used."""
        self.left_out += 1
        if len(self.problems) < MAX_PROBLEMS_SHOWN:
            self.problems.append(f"{redact(file, keep=80)}:{line}: {why}")

    @property
    def all_left_out(self) -> bool:
        """Whether there were rows and not one could be used."""
        return 0 < self.rows == self.left_out

    def as_dict(self) -> dict[str, Any]:
        """Return the report for programs."""
        return {
            "rows": self.rows,
            "new": self.new,
            "changed": self.changed,
            "unchanged": self.unchanged,
            "repeated": self.repeated,
            "left_out": self.left_out,
            "without_product": self.productless,
            "problems": self.problems,
            "files": [
                {"file": file, "columns": m.as_dict(), "left_over": list(m.left_over)}
                for file, m in self.mappings
            ],
        }


@dataclass(frozen=True, slots=True)
class ReadRow:
    """One row: its fields (times as datetime, numbers as float, others as text), what was wrong."""

    file: str
    line: int
    values: dict[str, Any]
    problem: str | None


def read_rows(
    paths: Sequence[str | Path],
    fields: Sequence[Field],
    request: ImportRequest,
    report: ImportReport,
) -> list[ReadRow]:
    """Return all rows of the files, and note files and zones in the report.

    Raises InputFileError where a file can't be used at all.
    """
    check_fields(request.mapping, fields, where="--map")
    report.timezone = request.timezone
    rows: list[ReadRow] = []
    for path in find_files(paths):
        reader = open_reader(path, format_name=request.format, encoding=request.encoding)
        preview = reader.preview()
        reading = TimeReading(zone=request.timezone, time_format=request.time_format)
        mapping = resolve(
            preview, fields, declared=request.mapping, file=str(path), reading=reading
        )
        report.mappings.append((path.name, mapping))
        for batch in reader.batches(list(mapping.as_dict().values())):
            rows += _rows(batch, fields, mapping, preview, path.name, reading, report)
    report.rows = len(rows)
    return rows


def _rows(
    batch: RawBatch,
    fields: Sequence[Field],
    mapping: ColumnMapping,
    preview: RawBatch,
    file: str,
    reading: TimeReading,
    report: ImportReport,
) -> list[ReadRow]:
    columns: dict[str, list[Any]] = {}
    problems: list[str | None] = batch.defect.to_pylist()
    for one in fields:
        column = mapping.column(one.name)
        if column is None:
            continue
        values = batch.column(column)
        if one.kind == "time":
            first = day_comes_first(preview.column(column))
            times = read_times(values, TimeReading(reading.zone, reading.time_format, first))
            report.zoneless += times.zoneless
            columns[one.name] = times.utc.to_pylist()
            _note(problems, one.name, "no time", values, times.unreadable)
        elif one.kind == "number":
            numbers = read_numbers(values)
            columns[one.name] = numbers.values.to_pylist()
            _note(problems, one.name, "no number", values, numbers.unreadable)
        else:
            texts = (None if v is None else v.strip() for v in as_text(values).to_pylist())
            columns[one.name] = [text or None for text in texts]
    lines = batch.line.to_pylist()
    return [
        ReadRow(
            file=file,
            line=lines[i],
            values={name: values[i] for name, values in columns.items()},
            problem=problems[i],
        )
        for i in range(batch.num_rows)
    ]


def _note(
    problems: list[str | None], field_name: str, what: str, values: pa.Array, unreadable: Any
) -> None:
    for row in unreadable.nonzero()[0].tolist():
        shown = as_text(values)[row].as_py()
        problems[row] = problems[row] or f"{field_name} is {what}: {redact(shown)!r}"
