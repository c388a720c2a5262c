"""Takes files into bronze: finds, opens, maps, reads, writes; every row in is accounted for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from closeloop.connectors.intake.bronze import RowReading, build_bronze
from closeloop.connectors.intake.fields import FEEDBACK_FIELDS
from closeloop.connectors.intake.files import find_files, open_reader
from closeloop.connectors.intake.known import KnownRows, Occurrences
from closeloop.connectors.intake.mapping import check_fields, resolve
from closeloop.connectors.intake.raw import BATCH_BYTES, BATCH_ROWS, FileReader
from closeloop.connectors.intake.request import (
    FileReport,
    IntakeReport,
    IntakeRequest,
    IntakeStep,
)
from closeloop.connectors.intake.times import TimeReading, day_comes_first
from closeloop.errors import UsageError
from closeloop.progress import shown
from closeloop.tables import BRONZE_FEEDBACK

MAPPING_STATE = "intake_mapping"
"""Under this name the step remembers a source's last mapping, for rows that are cured later."""


def take_in(step: IntakeStep, paths: Sequence[str | Path], request: IntakeRequest) -> IntakeReport:
    """Append the rows of files to bronze.feedback and report; rows in = new + already known.

    All files are opened and mapped before the first row is written. Raises InputFileError where
    a file can't be used at all; a row that can't be used never raises.
    """
    if not request.source.strip():
        raise UsageError("the source has no name", hint="--source NAME, for example play")
    check_fields(request.mapping, FEEDBACK_FIELDS, where="the mapping")
    profile = step.config.source(request.source)
    report = IntakeReport(source=request.source, timezone=profile.timezone)
    opened = [_prepare(step, path, request) for path in find_files(paths)]
    known = KnownRows(step, request.source)
    writer = _Writer(step)
    with shown(step.progress, "ingest", unit="rows"):
        for reader, file, reading in opened:
            report.files.append(file)
            _take_file(step, reader, file, reading, known=known, writer=writer)
        writer.flush()
    if opened and report.rows:
        mapping = opened[-1][2].mapping
        blob = json.dumps(dict(mapping), sort_keys=True, ensure_ascii=False).encode()
        step.put_state(MAPPING_STATE, blob, scope=request.source)
    step.count("rows_in", report.rows)
    step.count("bronze", report.new)
    step.count("already_known", report.already_known)
    return report


def _prepare(
    step: IntakeStep, path: Path, request: IntakeRequest
) -> tuple[FileReader, FileReport, RowReading]:
    profile = step.config.source(request.source)
    reader = open_reader(path, format_name=request.format, encoding=request.encoding)
    preview = reader.preview()
    reading = TimeReading(zone=profile.timezone, time_format=profile.time_format)
    mapping = resolve(
        preview, FEEDBACK_FIELDS, declared=request.mapping, file=str(path), reading=reading
    )
    time_column = mapping.column("event_time")
    if time_column is not None:
        first = day_comes_first(preview.column(time_column))
        reading = TimeReading(reading.zone, reading.time_format, first)
    return (
        reader,
        FileReport(file=path.name, format=reader.format, mapping=mapping),
        RowReading(
            source=request.source,
            mapping=mapping.as_dict(),
            time=reading,
            file=path.name,
            now=step.now,
            max_future=step.config.max_future,
            product=request.product,
        ),
    )


def _take_file(
    step: IntakeStep,
    reader: FileReader,
    file: FileReport,
    reading: RowReading,
    *,
    known: KnownRows,
    writer: _Writer,
) -> None:
    occurrences = Occurrences(reading.source)
    for batch in reader.batches(list(reading.mapping.values())):
        bronze = build_bronze(batch, reading, known=known, occurrences=occurrences)
        writer.add(bronze.rows)
        file.rows += batch.num_rows
        file.new += bronze.rows.num_rows
        file.cured += bronze.cured
        file.already_known += bronze.already_known
        file.zoneless += bronze.zoneless
        for reason, count in sorted(bronze.defects.items()):
            file.defects[reason] = file.defects.get(reason, 0) + count
        step.progress.advance(batch.num_rows)


class _Writer:
    """Appends in large pieces: a folder of small files must not become a table of small files."""

    def __init__(self, step: IntakeStep) -> None:
        self._step = step
        self._held: list[pa.Table] = []
        self._rows = 0
        self._bytes = 0

    def add(self, rows: pa.Table) -> None:
        """Take rows; write once there are enough."""
        if not rows.num_rows:
            return
        self._held.append(rows)
        self._rows += rows.num_rows
        self._bytes += rows.nbytes
        if self._rows >= BATCH_ROWS or self._bytes >= 2 * BATCH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what is held."""
        if self._held:
            self._step.append(BRONZE_FEEDBACK, pa.concat_tables(self._held))
        self._held, self._rows, self._bytes = [], 0, 0
