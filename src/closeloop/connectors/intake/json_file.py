"""Reads JSON lines and JSON arrays row by row; one bad row is one row with a defect."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from closeloop.connectors.intake.lines import open_bytes, read_lines
from closeloop.connectors.intake.raw import (
    SAMPLE_ROWS,
    RawBatch,
    RowsSoFar,
    malformed,
    not_utf8,
    text_array,
    too_large,
    value_text,
)
from closeloop.errors import InputFileError, redact

LIST_KEYS = ("items", "reviews", "data", "results", "feedback", "records", "rows", "changes")
"""Where a JSON object keeps its rows: the first of these keys that holds a list."""

MAX_PREVIEW_COLUMNS = 300
MAX_DEPTH = 5
_NEXT_OBJECT = re.compile(r"\}\s*,\s*(?=\{)")
_SPACE = re.compile(r"[\s\ufeff]*")

# Numbers stay as they are written: an id of 20 digits or 4.50 must not be rounded.
_DECODER = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=str, strict=False)

Row = dict[str, Any]


def parse_row(text: str) -> tuple[Row, str | None]:
    """Return a JSON object and no problem, or an empty one and why it can't be read."""
    try:
        value = _DECODER.decode(text.strip().lstrip("\ufeff"))
    except json.JSONDecodeError as error:
        return {}, malformed(f"no JSON ({error.msg} at character {error.pos + 1})")
    except (RecursionError, ValueError):
        return {}, malformed("no JSON that can be read (nested too deep)")
    return _as_row(value)


def _as_row(value: Any) -> tuple[Row, str | None]:
    if isinstance(value, dict):
        return value, None
    kind = {list: "a list", str: "a text", bool: "a truth value"}.get(type(value), "a null")
    return {}, malformed(f"no object with fields but {kind}")


def pick(row: Row, path: str) -> Any:
    """Return the value under a name or a dotted path, or None."""
    if path in row:
        return row[path]
    value: Any = row
    for part in path.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(part)
    return value


def paths_of(rows: Sequence[Row]) -> tuple[list[str], frozenset[str]]:
    """Return the names in the rows, nested ones as dotted paths, and those that hold objects.

    A column counts as one of objects when more than half of its values are.
    """
    values: Counter[str] = Counter()
    objects: Counter[str] = Counter()

    def walk(row: Row, lead: str, depth: int) -> None:
        for key, value in row.items():
            name = f"{lead}{key}"
            if value is None or (name not in values and len(values) >= MAX_PREVIEW_COLUMNS):
                values.update({name: 0} if len(values) < MAX_PREVIEW_COLUMNS else {})
                continue
            values[name] += 1
            if isinstance(value, dict):
                objects[name] += 1
                if depth < MAX_DEPTH:
                    walk(value, f"{name}.", depth + 1)

    for row in rows:
        walk(row, "", 1)
    return list(values), frozenset(n for n, count in objects.items() if 2 * count > values[n])


def batch_of(rows: list[Row], parts: RowsSoFar, wanted: Sequence[str] | None) -> RawBatch:
    """Return rows as a batch with the wanted columns (None: all that occur)."""
    names, nested = paths_of(rows) if wanted is None else (list(wanted), frozenset[str]())
    columns = {name: text_array([value_text(pick(row, name)) for row in rows]) for name in names}
    return RawBatch(
        columns=columns,
        payload=text_array(parts.payload),
        line=pa.array(parts.line, pa.int64()),
        defect=pa.array(parts.defect, pa.string()),
        nested=nested,
        sparse=True,
    )


Parsed = tuple[Row, str, int, str | None]
"""A row, its text verbatim, its line or position, its defect."""


def _batches(
    parsed: Iterator[Parsed], wanted: Sequence[str] | None, limit: int | None
) -> Iterator[RawBatch]:
    rows: list[Row] = []
    parts = RowsSoFar()
    given = False
    for row, text, line, defect in parsed:
        rows.append(row)
        parts.add(text, line, defect)
        if parts.full() or len(rows) == limit:
            yield batch_of(rows, parts, wanted)
            given = True
            rows, parts = [], RowsSoFar()
    if rows or not given:
        yield batch_of(rows, parts, wanted)


class _JsonFile:
    format: str
    _parsed: Callable[[], Iterator[Parsed]]

    def preview(self) -> RawBatch:
        """Return the first rows with all columns that occur in them."""
        return next(_batches(self._parsed(), None, SAMPLE_ROWS))

    def batches(self, wanted: Sequence[str]) -> Iterator[RawBatch]:
        """Yield all rows with the wanted columns (names or dotted paths)."""
        return _batches(self._parsed(), wanted, None)


class JsonLinesFile(_JsonFile):
    """One JSON object a line; blank lines are no rows."""

    format = "jsonl"

    def __init__(self, path: Path, *, encoding: str = "utf-8") -> None:
        self._path = path
        self._encoding = encoding
        self._parsed = self._rows

    def _rows(self) -> Iterator[Parsed]:
        for line in read_lines(self._path, encoding=self._encoding):
            text = line.text.rstrip("\r")
            if not text.strip():
                continue
            row, defect = parse_row(text)
            if line.invalid:
                # The other fields (an id, above all) are still of use; \xNN is no JSON escape.
                row, _ = parse_row(text.replace("\\x", "\\\\x"))
                defect = not_utf8(self._encoding, text[max(text.find("\\x") - 10, 0) :])
            if line.cut_from is not None:
                defect = too_large(line.cut_from)
            yield row, text, line.number, defect


class JsonFile(_JsonFile):
    """One JSON array, or an object that keeps its rows in a list (see LIST_KEYS).

    The text is held in memory whole (a gigabyte takes one to four); rows are taken apart one by
    one, so that a bad one costs itself only. `line` is a row's position in the list, from 1.
    """

    format = "json"

    def __init__(self, path: Path, *, encoding: str = "utf-8") -> None:
        self._path = path
        self._encoding = encoding
        self._text: str | None = None
        self._parsed = self._rows

    def _rows(self) -> Iterator[Parsed]:
        text = self._whole()
        position = self._start(text)
        number = 0
        while True:
            position = _skip(text, position, ",")
            if position >= len(text) or text[position] == "]":
                return
            number += 1
            row, end, defect = _element(text, position)
            raw = text[position:end].strip()
            position = end
            if not raw.isascii() and _has_escaped_bytes(raw):
                raw = raw.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
                defect = not_utf8(self._encoding, raw[max(raw.find("\\x") - 10, 0) :])
            yield row, raw, number, defect

    def _whole(self) -> str:
        if self._text is None:
            with open_bytes(self._path) as file:
                data = file.read()
            encoding = "utf-8-sig" if self._encoding == "utf-8" else self._encoding
            if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
                encoding = "utf-16"
            errors = "surrogateescape" if encoding.startswith("utf-8") else "backslashreplace"
            self._text = data.decode(encoding, errors)
        return self._text

    def _start(self, text: str) -> int:
        position = _skip(text, 0, "")
        if text[position : position + 1] == "[":
            return position + 1
        found = _find_list(text, position) if text[position : position + 1] == "{" else None
        if found is None:
            keys = _top_keys(text, position)
            raise InputFileError(
                f"{redact(self._path, keep=200)} holds no list of rows"
                + (f"; its keys: {', '.join(redact(k) for k in keys)}" if keys else ""),
                hint=f"give an array, an object with one of {', '.join(LIST_KEYS)}, or JSON lines "
                "(--format jsonl)",
            )
        return found


def _element(text: str, position: int) -> tuple[Row, int, str | None]:
    """Return (row, where it ends, defect); after a bad one reading goes on at the next "}, {"."""
    try:
        value, end = _DECODER.raw_decode(text, position)
    except (ValueError, RecursionError) as error:
        ahead = _NEXT_OBJECT.search(text, position)
        end = ahead.start() + 1 if ahead else _end_of_list(text, position)
        why = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deep"
        return {}, end, malformed(f"no JSON ({why})")
    row, defect = _as_row(value)
    return row, end, defect


def _end_of_list(text: str, position: int) -> int:
    last = text.rfind("]", position)
    return last if last > position else len(text)


def _skip(text: str, position: int, also: str) -> int:
    while True:
        found = _SPACE.match(text, position)
        position = found.end() if found else position
        if also and text[position : position + 1] == also:
            position += 1
            continue
        return position


def _pairs(text: str, position: int) -> Iterator[tuple[str, int]]:
    """Yield (key, where its value starts) of the object at `position`, as far as it can be read."""
    position += 1
    while True:
        position = _skip(text, position, ",")
        try:
            key, position = _DECODER.raw_decode(text, position)
            position = _skip(text, position, ":")
            if not isinstance(key, str):
                return
            yield key, position
            _, position = _DECODER.raw_decode(text, position)
        except (ValueError, RecursionError):
            return


def _find_list(text: str, position: int) -> int | None:
    for key, start in _pairs(text, position):
        if key in LIST_KEYS and text[start : start + 1] == "[":
            return start + 1
    return None


def _top_keys(text: str, position: int) -> list[str]:
    if text[position : position + 1] != "{":
        return []
    return [key for key, _ in _pairs(text, position)][:20]


def _has_escaped_bytes(text: str) -> bool:
    return any("\udc80" <= c <= "\udcff" for c in text)
