"""Reads CSV so that a broken row costs that row only: quotes are resynchronised line by line."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from closeloop.connectors.intake.lines import Line, read_lines
from closeloop.connectors.intake.raw import (
    HARD_CAP_BYTES,
    SAMPLE_ROWS,
    RawBatch,
    RowsSoFar,
    json_payload,
    malformed,
    not_utf8,
    text_array,
    too_large,
)
from closeloop.errors import InputFileError, redact

MAX_RECORD_LINES = 1_000
"""A quoted field that runs over more lines than this counts as a quote that was never closed."""

DELIMITERS = ",;\t|"


class _RecordTooLongError(csv.Error):
    """An open quote has swallowed more than one record can hold."""


class _Feeder:
    """Hands lines to the csv parser and can go back to the line after a record's first."""

    def __init__(self, lines: Iterator[Line]) -> None:
        self.lines = lines
        self._again: deque[Line] = deque()
        self.record: list[Line] = []
        self._size = 0

    def __iter__(self) -> _Feeder:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self.lines)
        self.record.append(line)
        self._size += len(line.text)
        if len(self.record) > MAX_RECORD_LINES or (
            self._size > HARD_CAP_BYTES and len(self.record) > 1
        ):
            raise _RecordTooLongError("a quote that is never closed")
        return line.text + "\n"

    def next_record(self) -> None:
        """Forget the lines of the record that was read."""
        self.record = []
        self._size = 0

    def give_up_first(self) -> Line:
        """Return the first line of the record; the others will be read again."""
        first, *others = self.record
        self._again.extendleft(reversed(others))
        self.next_record()
        return first


class CsvFile:
    """One CSV file with a header line. Rows must have as many fields as the header.

    The delimiter is the one of , ; tab | that the header holds most. Blank lines are no rows.
    """

    format = "csv"

    def __init__(self, path: Path, *, encoding: str = "utf-8") -> None:
        self._path = path
        self._encoding = encoding
        self.blank_lines = 0
        # The parser's own limit would end a file over one huge field.
        csv.field_size_limit(HARD_CAP_BYTES * 2)

    def preview(self) -> RawBatch:
        """Return the first rows. Raises InputFileError where the file holds no header."""
        return next(self._batches(SAMPLE_ROWS))

    def batches(self, wanted: Sequence[str]) -> Iterator[RawBatch]:  # noqa: ARG002
        """Yield all rows with all columns."""
        return self._batches(None)

    def _batches(self, limit: int | None) -> Iterator[RawBatch]:
        feeder = _Feeder(read_lines(self._path, encoding=self._encoding))
        names, delimiter = self._header(feeder)
        batch = _CsvRows(names, self._encoding)
        self.blank_lines = 0
        given = False
        for fields, lines, problem in _records(feeder, delimiter):
            if not fields and problem is None:
                self.blank_lines += 1
                continue
            batch.add(fields, lines, problem)
            if batch.rows.full() or len(batch.rows.payload) == limit:
                yield batch.finish()
                given = True
                batch = _CsvRows(names, self._encoding)
        if batch.rows.payload or not given:
            yield batch.finish()

    def _header(self, feeder: _Feeder) -> tuple[list[str], str]:
        for line in feeder.lines:
            if line.text.strip("\r\ufeff "):
                break
        else:
            raise InputFileError(
                f"{redact(self._path, keep=200)} is empty",
                hint="a CSV file starts with a line of column names",
            )
        header = line.text.rstrip("\r")
        delimiter = max(DELIMITERS, key=header.count)
        try:
            fields = next(csv.reader([header], delimiter=delimiter, skipinitialspace=True))
        except csv.Error:
            fields = header.split(delimiter)
        return _distinct(fields), delimiter


class _CsvRows:
    def __init__(self, names: list[str], encoding: str) -> None:
        self._names = names
        self._encoding = encoding
        self._fields: list[list[str]] = []
        self._empty = [""] * len(names)
        self._broken: list[int] = []
        self.rows = RowsSoFar()

    def add(self, fields: list[str], lines: list[Line], problem: str | None) -> None:
        """Add one record. Broken ones keep their raw text as payload."""
        width = len(self._names)
        first = lines[0]
        if problem is None and len(fields) != width:
            problem = malformed(f"expected {width} fields, found {len(fields)}")
        if any(line.invalid for line in lines):
            shown = next(line.text for line in lines if line.invalid)
            problem = not_utf8(self._encoding, _around(shown))
        if first.cut_from is not None:
            problem = too_large(first.cut_from)
        if problem is None:
            self._fields.append(fields)
            self.rows.payload.append("")
            self.rows.line.append(first.number)
            self.rows.defect.append(None)
            self.rows.size += sum(map(len, fields))
            return
        self._broken.append(len(self._fields))
        self._fields.append(self._empty)
        self.rows.add("\n".join(line.text for line in lines), first.number, problem)

    def finish(self) -> RawBatch:
        """Return the batch; whole rows get a JSON payload of all their fields."""
        values = zip(*self._fields, strict=True) if self._fields else ([] for _ in self._names)
        columns = {
            name: text_array(list(column)) for name, column in zip(self._names, values, strict=True)
        }
        count = len(self._fields)
        if self._broken:
            mask = [False] * count
            for position in self._broken:
                mask[position] = True
            where = pa.array(mask)
            columns = {
                name: pa.compute.if_else(where, pa.scalar(None, pa.string()), column)
                for name, column in columns.items()
            }
            raw = text_array([self.rows.payload[i] for i in self._broken])
            payload = pa.compute.replace_with_mask(json_payload(columns, count), where, raw)
        else:
            payload = json_payload(columns, count)
        return RawBatch(
            columns=columns,
            payload=payload,
            line=pa.array(self.rows.line, pa.int64()),
            defect=pa.array(self.rows.defect, pa.string()),
        )


def _records(feeder: _Feeder, delimiter: str) -> Iterator[tuple[list[str], list[Line], str | None]]:
    """Yield (fields, physical lines, defect) of each record.

    A record that breaks the rules of quoting, or runs over lines and then has the wrong end, gives
    up its first line as malformed; reading goes on with the line after it.
    """
    while True:
        reader = csv.reader(feeder, delimiter=delimiter, strict=True)
        try:
            for fields in reader:
                yield fields, feeder.record, None
                feeder.next_record()
        except csv.Error as error:
            if feeder.record:
                yield [], [feeder.give_up_first()], malformed(str(error))
                continue
        return


def _distinct(fields: list[str]) -> list[str]:
    names: list[str] = []
    for position, name in enumerate(fields, start=1):
        wanted = name.strip().lstrip("\ufeff") or f"column_{position}"
        chosen, again = wanted, 2
        while chosen in names:
            chosen, again = f"{wanted}_{again}", again + 1
        names.append(chosen)
    return names


def _around(text: str) -> str:
    """Return the part of a line where its first undecodable byte is shown."""
    position = max(text.find("\\x") - 10, 0)
    return text[position : position + 40]
