"""Orders the revisions of a piece of feedback, and tells which rows bring nothing new."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.tables import SEGMENTS

SAME_CONTENT = "same_content"
OLDER_REVISION = "older_revision"
CURED = "cured"

CONTENT = (
    "product",
    "version",
    "event_time",
    "text_hash",
    "rating",
    "locale",
    "author_key",
    *(column.name for column in SEGMENTS),
)
"""What makes a revision another one. A changed update time alone does not."""

EXISTING = ("feedback_id", "revision", "updated_at", "ingested_at", *CONTENT)
"""Columns of silver.feedback that are needed of the ids that come again."""


@dataclass(slots=True)
class _Latest:
    """The newest revision of an id, and the contents it has had."""

    revision: int
    order: Any
    content: tuple[Any, ...]
    contents: set[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Revisions:
    """For each row its revision; 0 where it is superseded, for the reason beside it."""

    numbers: npt.NDArray[np.int64]
    reasons: list[str | None]


def assign_revisions(new: pa.Table, existing: pa.Table) -> Revisions:
    """Number the revisions of new rows, given all existing revisions of their ids.

    Order is that of the source's update time (the event's where there is none), then ingestion,
    then the rows' own order. A row with the content of the latest revision brings nothing new; a
    row older than the latest revision comes too late to be one.
    """
    numbers = np.ones(new.num_rows, dtype=np.int64)
    reasons: list[str | None] = [None] * new.num_rows
    again = _come_again(new, existing)
    if len(again) == 0:
        return Revisions(numbers, reasons)
    latest = _latest(existing)
    columns = ["feedback_id", "updated_at", "ingested_at", *CONTENT]
    rows = new.select(columns).take(pa.array(again)).to_pylist()
    ordered = sorted(
        zip(again.tolist(), rows, strict=True),
        key=lambda pair: (_order(pair[1]), pair[1]["ingested_at"], pair[0]),
    )
    for position, row in ordered:
        numbers[position], reasons[position] = _place(row, latest)
    return Revisions(numbers, reasons)


def _come_again(new: pa.Table, existing: pa.Table) -> npt.NDArray[np.int64]:
    encoded = pc.dictionary_encode(new["feedback_id"].combine_chunks())
    indices = encoded.indices.to_numpy()
    repeated = np.bincount(indices, minlength=len(encoded.dictionary))[indices] > 1
    if existing.num_rows:
        known = pc.is_in(encoded.dictionary, value_set=existing["feedback_id"].combine_chunks())
        repeated |= known.to_numpy(zero_copy_only=False)[indices]
    return np.flatnonzero(repeated)


def _order(row: dict[str, Any]) -> Any:
    return row["updated_at"] or row["event_time"]


def _content(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in CONTENT)


def _latest(existing: pa.Table) -> dict[str, _Latest]:
    latest: dict[str, _Latest] = {}
    for row in sorted(existing.to_pylist(), key=lambda r: (r["feedback_id"], r["revision"])):
        content = _content(row)
        before = latest.get(row["feedback_id"])
        contents = {content} if before is None else before.contents | {content}
        latest[row["feedback_id"]] = _Latest(row["revision"], _order(row), content, contents)
    return latest


def _place(row: dict[str, Any], latest: dict[str, _Latest]) -> tuple[int, str | None]:
    content, order = _content(row), _order(row)
    before = latest.get(row["feedback_id"])
    if before is None:
        latest[row["feedback_id"]] = _Latest(1, order, content, {content})
        return 1, None
    if order < before.order:
        return 0, SAME_CONTENT if content in before.contents else OLDER_REVISION
    if content == before.content:
        return 0, SAME_CONTENT
    latest[row["feedback_id"]] = _Latest(
        before.revision + 1, order, content, before.contents | {content}
    )
    return before.revision + 1, None
