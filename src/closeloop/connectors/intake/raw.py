"""Rows as a file holds them: every field as delivered, the payload verbatim, defects beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from closeloop.domain.feedback import QuarantineReason
from closeloop.errors import redact

BATCH_ROWS = 50_000
BATCH_BYTES = 64_000_000
"""A batch ends at so many rows or bytes: Arrow text columns hold 2 GB, and memory stays flat."""

SAMPLE_ROWS = 1_000
"""Rows looked at to guess which column is which."""

HARD_CAP_BYTES = 16_000_000
"""No row is kept beyond this: bronze holds its first 16 MB and the defect payload_too_large."""

_NEEDS_ESCAPE = r'["\\\x00-\x1f]'
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class RawBatch:
    """Rows of a file, one entry a row in every array.

    `columns` hold text, or the file's own types where it has them; null where a row lacks the
    field. `nested` names columns that hold whole objects. `defect` is null or "reason: detail".
    """

    columns: dict[str, pa.Array]
    payload: pa.Array
    line: pa.Array
    defect: pa.Array
    nested: frozenset[str] = frozenset()
    sparse: bool = False
    """Each row has columns of its own (JSON): one may occur later that does not at first."""

    @property
    def num_rows(self) -> int:
        """Number of rows, broken ones included."""
        return len(self.payload)

    def column(self, name: str) -> pa.Array:
        """Return a column; nulls where the file has none of that name."""
        found = self.columns.get(name)
        return pa.nulls(self.num_rows, pa.string()) if found is None else found


class FileReader(Protocol):
    """Reads one file in batches; a broken row is a row with a defect, never an error."""

    @property
    def format(self) -> str:
        """csv, jsonl, json or parquet."""
        ...

    def preview(self) -> RawBatch:
        """Return the first rows with all their columns."""
        ...

    def batches(self, wanted: Sequence[str]) -> Iterator[RawBatch]:
        """Yield all rows; at least the wanted columns are filled."""
        ...


@dataclass(slots=True)
class RowsSoFar:
    """Collects the parts of a batch that every line-based reader needs."""

    payload: list[str] = field(default_factory=list)
    line: list[int] = field(default_factory=list)
    defect: list[str | None] = field(default_factory=list)
    size: int = 0

    def add(self, payload: str, line: int, defect: str | None = None) -> None:
        """Add one row; a payload beyond the hard cap is cut and says so."""
        if len(payload) > HARD_CAP_BYTES // 4 and len(payload.encode()) > HARD_CAP_BYTES:
            full = len(payload.encode())
            payload = payload.encode()[:HARD_CAP_BYTES].decode("utf-8", "ignore")
            defect = too_large(full)
        self.payload.append(payload)
        self.line.append(line)
        self.defect.append(defect)
        self.size += len(payload)

    def full(self) -> bool:
        """Tell whether the batch should be handed on."""
        return len(self.payload) >= BATCH_ROWS or self.size >= BATCH_BYTES


def too_large(size: int) -> str:
    """Return the defect of a row beyond the hard cap."""
    return (
        f"{QuarantineReason.PAYLOAD_TOO_LARGE}: {size:,} bytes, its first {HARD_CAP_BYTES:,} kept"
    )


def malformed(detail: str) -> str:
    """Return the defect of a row that can't be taken apart."""
    return f"{QuarantineReason.MALFORMED_ROW}: {detail}"


def not_utf8(encoding: str, shown: str) -> str:
    """Return the defect of a row whose bytes are not valid in the file's encoding."""
    return f"{QuarantineReason.INVALID_UTF8}: bytes that are not {encoding} in {redact(shown)}"


def text_array(values: Sequence[str | None]) -> pa.Array:
    """Return values as an Arrow text column; half a surrogate pair becomes U+FFFD."""
    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError:
        return pa.array(
            [None if v is None else _LONE_SURROGATE.sub("\ufffd", v) for v in values], pa.string()
        )


def value_text(value: Any) -> str | None:
    """Return one value out of a JSON row as text: objects and lists as JSON."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False, default=str)


def as_text(column: pa.Array) -> pa.Array:
    """Return a column of any type as text, null where it is null."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    kind = column.type
    if pa.types.is_string(kind):
        return column
    if pa.types.is_dictionary(kind):
        return as_text(column.dictionary_decode())
    if pa.types.is_nested(kind) or pa.types.is_duration(kind):
        return text_array([value_text(v) for v in column.to_pylist()])
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return text_array(
            [None if v is None else v.decode("utf-8", "backslashreplace") for v in _bytes(column)]
        )
    if pa.types.is_floating(kind):
        return column.cast(pa.float64()).cast(pa.string())
    return column.cast(pa.string())


def json_payload(columns: dict[str, pa.Array], rows: int) -> pa.Array:
    """Return one JSON object a row with every field as text (null where it is null).

    Vectorised: only values with quotes, backslashes or control characters are taken up one by one.
    """
    if not columns:
        return pa.array(["{}"] * rows, pa.string())
    pieces: list[pa.Array | str] = []
    for position, (name, column) in enumerate(columns.items()):
        lead = "{" if position == 0 else ", "
        lead += json.dumps(name, ensure_ascii=False) + ": "
        text = _escaped(as_text(column))
        quoted = pc.binary_join_element_wise(lead + '"', text, '"', "")
        pieces.append(pc.if_else(pc.is_valid(text), quoted, lead + "null"))
    pieces.append("}")
    return pc.binary_join_element_wise(*pieces, "")


def _escaped(text: pa.Array) -> pa.Array:
    special = pc.fill_null(pc.match_substring_regex(text, _NEEDS_ESCAPE), False)
    if not pc.any(special).as_py():
        return text
    picked = text.filter(special).to_pylist()
    escaped = pa.array([json.dumps(v, ensure_ascii=False)[1:-1] for v in picked], pa.string())
    return pc.replace_with_mask(text, special, escaped)


def _bytes(column: pa.Array) -> list[bytes | None]:
    return list(column.to_pylist())
