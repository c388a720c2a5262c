"""Reads Parquet by row groups, with the file's own types; nested fields are dotted columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from closeloop.connectors.intake.raw import (
    BATCH_BYTES,
    BATCH_ROWS,
    HARD_CAP_BYTES,
    SAMPLE_ROWS,
    RawBatch,
    json_payload,
    not_utf8,
    too_large,
)
from closeloop.errors import InputFileError, redact


class ParquetFile:
    """One Parquet file. A file broken in the middle is refused whole, not taken in half."""

    format = "parquet"

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = pq.ParquetFile(path)
        except (pa.ArrowException, OSError) as error:
            raise self._broken(error) from error

    @property
    def num_rows(self) -> int:
        """Rows as the file's footer states them."""
        return int(self._file.metadata.num_rows)

    def preview(self) -> RawBatch:
        """Return the first rows with all columns, structs taken apart as well."""
        return next(self._batches(SAMPLE_ROWS))

    def batches(self, wanted: Sequence[str]) -> Iterator[RawBatch]:  # noqa: ARG002
        """Yield all rows with all columns. Raises InputFileError where the file is broken."""
        return self._batches(None)

    def _batches(self, limit: int | None) -> Iterator[RawBatch]:
        line = 1
        try:
            for whole in self._file.iter_batches(batch_size=limit or BATCH_ROWS):
                for part in _bounded(whole):
                    yield _raw(part, first_line=line)
                    line += part.num_rows
            if line == 1:
                yield _raw(_empty(self._file.schema_arrow), first_line=1)
        except (pa.ArrowException, OSError) as error:
            raise self._broken(error) from error

    def _broken(self, error: Exception) -> InputFileError:
        return InputFileError(
            f"{redact(self._path, keep=200)} can't be read as Parquet ({redact(error, keep=120)})",
            hint="check that it was written whole; other forms need --format csv, jsonl or json",
        )


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([], schema=schema)


def _bounded(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Yield slices of at most BATCH_BYTES, as evenly filled rows allow."""
    pieces = max(1, -(-batch.nbytes // BATCH_BYTES))
    step = max(1, -(-batch.num_rows // pieces))
    for start in range(0, batch.num_rows, step):
        yield batch.slice(start, step)


def _raw(batch: pa.RecordBatch, *, first_line: int) -> RawBatch:
    rows = batch.num_rows
    delivered: dict[str, pa.Array] = {}
    defect = pa.nulls(rows, pa.string())
    for position, name in enumerate(batch.schema.names):
        column, bad = _readable(batch.column(position))
        if bad:
            defect = pc.coalesce(defect, pa.array([bad.get(i) for i in range(rows)], pa.string()))
        delivered[_free_name(name, delivered)] = column
    payload = json_payload(delivered, rows)
    payload, defect = _capped(payload, defect)
    columns = dict(delivered)
    nested: set[str] = set()
    for name, column in delivered.items():
        _flatten(name, column, columns, nested)
    return RawBatch(
        columns=columns,
        payload=payload,
        line=pa.array(np.arange(first_line, first_line + rows, dtype=np.int64)),
        defect=defect,
        nested=frozenset(nested),
    )


def _free_name(name: str, taken: dict[str, pa.Array]) -> str:
    again, chosen = 2, name
    while chosen in taken:
        chosen, again = f"{name}_{again}", again + 1
    return chosen


def _readable(column: pa.Array) -> tuple[pa.Array, dict[int, str]]:
    """Return the column with bytes that are no UTF-8 shown as \\xNN, and which rows had them."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.dictionary_decode(), kind.value_type
    if not _is_text(kind):
        return column, {}
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        pass
    else:
        return column.cast(pa.string()), {}
    raw = column.cast(pa.large_binary() if pa.types.is_large_string(kind) else pa.binary())
    bad: dict[int, str] = {}
    texts: list[str | None] = []
    for position, value in enumerate(raw.to_pylist()):
        if value is None:
            texts.append(None)
            continue
        try:
            texts.append(value.decode())
        except UnicodeDecodeError as error:
            shown = value.decode("utf-8", "backslashreplace")
            bad[position] = not_utf8("utf-8", shown[max(error.start - 10, 0) :])
            texts.append(shown)
    return pa.array(texts, pa.string()), bad


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _flatten(name: str, column: pa.Array, into: dict[str, pa.Array], nested: set[str]) -> None:
    if not pa.types.is_struct(column.type):
        return
    nested.add(name)
    for child, values in zip(column.type, column.flatten(), strict=True):
        path = f"{name}.{child.name}"
        into.setdefault(path, _readable(values)[0])
        _flatten(path, values, into, nested)


def _capped(payload: pa.Array, defect: pa.Array) -> tuple[pa.Array, pa.Array]:
    sizes = pc.binary_length(payload)
    over = pc.greater(sizes, HARD_CAP_BYTES)
    if not pc.any(over).as_py():
        return payload, defect
    texts, defects = payload.to_pylist(), defect.to_pylist()
    for position in np.flatnonzero(np.asarray(over)):
        defects[position] = too_large(sizes[int(position)].as_py())
        data = texts[position].encode()[:HARD_CAP_BYTES]
        texts[position] = data.decode("utf-8", "ignore")
    return pa.array(texts, pa.string()), pa.array(defects, pa.string())
