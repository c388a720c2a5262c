"""Turns raw rows into bronze rows: mapped columns read, defects named, ids given, known ones left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.connectors.intake.known import KnownRows, Occurrences
from closeloop.connectors.intake.numbers import read_numbers
from closeloop.connectors.intake.raw import RawBatch, as_text
from closeloop.connectors.intake.times import TimeReading, Times, read_times
from closeloop.domain.feedback import QuarantineReason, bronze_id, feedback_id
from closeloop.errors import redact
from closeloop.tables import BRONZE_FEEDBACK, TIME

NUMBER_FIELDS = ("rating", "order_value")
TIME_FIELDS = ("event_time", "updated_at")
LABEL_FIELDS = (
    "author",
    "locale",
    "product",
    "version",
    "platform",
    "device",
    "channel",
    "order_ref",
    "sku",
    "region",
    "fulfilment_centre",
    "customer_tier",
    "flag_states",
)

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class RowReading:
    """How rows of one file become bronze rows."""

    source: str
    mapping: Mapping[str, str]
    time: TimeReading
    file: str
    now: datetime
    max_future: timedelta
    product: str | None = None


@dataclass(frozen=True, slots=True)
class BronzeRows:
    """Bronze rows that are new, and figures on all that were looked at."""

    rows: pa.Table
    cured: int
    already_known: int
    zoneless: int
    defects: Counter[str]


def build_bronze(
    batch: RawBatch, reading: RowReading, *, known: KnownRows, occurrences: Occurrences
) -> BronzeRows:
    """Return the new rows of a batch as BRONZE_FEEDBACK, in the order of the file.

    A time or number that can't be read is null, and the row's defect says why; a broken row has
    its payload and its defect only. The same id and payload a second time is already known.
    """
    columns, zoneless = _mapped_columns(batch, reading)
    identities = _identify(batch, columns, reading, known, occurrences)
    keep = pa.array(identities.kept)
    columns = {name: column.filter(keep) for name, column in columns.items()}
    count = len(identities.bronze_ids)
    columns["bronze_id"] = pa.array(identities.bronze_ids, pa.string())
    columns["feedback_id"] = pa.array(identities.feedback_ids, pa.string())
    columns["source_id"] = pa.array(identities.source_ids, pa.string())
    columns["source"] = _constant(reading.source, count)
    columns["file"] = _constant(reading.file, count)
    columns["ingested_at"] = pa.repeat(pa.scalar(reading.now, TIME), count)
    reasons = pc.split_pattern(columns["defect"].drop_null(), ":", max_splits=1)
    return BronzeRows(
        rows=BRONZE_FEEDBACK.conform(pa.table(columns)),
        cured=identities.cured,
        already_known=batch.num_rows - count,
        zoneless=zoneless,
        defects=Counter(parts[0] for parts in reasons.to_pylist()),
    )


def _mapped_columns(batch: RawBatch, reading: RowReading) -> tuple[dict[str, pa.Array], int]:
    rows = batch.num_rows

    def delivered(field: str) -> pa.Array:
        column = reading.mapping.get(field)
        return pa.nulls(rows, pa.string()) if column is None else batch.column(column)

    columns: dict[str, pa.Array] = {"payload": batch.payload, "line": batch.line}
    columns["text"] = _without_blank(as_text(delivered("text")))
    columns["source_id"] = _without_blank(as_text(delivered("source_id")))
    for field in LABEL_FIELDS:
        columns[field] = _without_blank(as_text(delivered(field)))
    if reading.product is not None:
        columns["product"] = _constant(reading.product, rows)
    defects = [batch.defect]
    zoneless = 0
    for field in TIME_FIELDS:
        times: Times = read_times(delivered(field), reading.time)
        columns[field] = times.utc
        zoneless = max(zoneless, times.zoneless)
        defects.append(
            _explained(
                QuarantineReason.UNREADABLE_TIME, field, as_text(delivered(field)), times.unreadable
            )
        )
    columns["event_time_raw"] = as_text(delivered("event_time"))
    for field in NUMBER_FIELDS:
        numbers = read_numbers(delivered(field))
        columns[field] = numbers.values
        defects.append(
            _explained(
                QuarantineReason.UNREADABLE_NUMBER,
                field,
                as_text(delivered(field)),
                numbers.unreadable,
            )
        )
    columns["defect"] = pc.coalesce(*defects)
    return columns, zoneless


@dataclass(frozen=True, slots=True)
class _Identities:
    kept: Flags
    bronze_ids: list[str]
    feedback_ids: list[str]
    source_ids: list[str]
    cured: int


def _identify(
    batch: RawBatch,
    columns: Mapping[str, pa.Array],
    reading: RowReading,
    known: KnownRows,
    occurrences: Occurrences,
) -> _Identities:
    source = reading.source
    readable = _readable(columns)
    due = _due(columns["event_time"], reading.now + reading.max_future)
    kept = np.zeros(batch.num_rows, np.bool_)
    bronze_ids: list[str] = []
    feedback_ids: list[str] = []
    source_ids: list[str] = []
    cured = 0
    given: Sequence[str | None] = columns["source_id"].to_pylist()
    for row, (payload, delivered) in enumerate(zip(batch.payload.to_pylist(), given, strict=True)):
        source_id = delivered if delivered is not None else occurrences.next_id(payload)
        admitted = known.admit(
            bronze_id(source, source_id, payload),
            source=source,
            source_id=source_id,
            payload=payload,
            readable=bool(readable[row]),
            due=bool(due[row]),
        )
        if admitted is None:
            continue
        kept[row] = True
        cured += admitted[1]
        bronze_ids.append(admitted[0])
        feedback_ids.append(feedback_id(source, source_id))
        source_ids.append(source_id)
    return _Identities(kept, bronze_ids, feedback_ids, source_ids, cured)


def _readable(columns: Mapping[str, pa.Array]) -> Flags:
    parts = (
        pc.is_null(columns["defect"]),
        pc.is_valid(columns["text"]),
        pc.is_valid(columns["event_time"]),
    )
    return np.asarray(pc.and_(pc.and_(parts[0], parts[1]), parts[2]))


def _due(times: pa.Array, latest: datetime) -> Flags:
    return np.asarray(pc.fill_null(pc.less_equal(times, pa.scalar(latest, TIME)), False))


def _without_blank(texts: pa.Array) -> pa.Array:
    """Return texts with null for what holds nothing but blanks (a text without is left as it is)."""
    blank = pc.fill_null(pc.match_substring_regex(texts, r"^\s*$"), False)
    if not pc.any(blank).as_py():
        return texts
    return pc.if_else(blank, pa.scalar(None, pa.string()), texts)


def _explained(
    reason: QuarantineReason, field: str, values: pa.Array, unreadable: Flags
) -> pa.Array:
    rows = np.flatnonzero(unreadable)
    if not rows.size:
        return pa.nulls(len(values), pa.string())
    shown = values.take(pa.array(rows)).to_pylist()
    return _sparse(
        {int(i): f"{reason}: {field} {redact(v)!r}" for i, v in zip(rows, shown, strict=True)},
        len(values),
    )


def _sparse(entries: Mapping[int, str], size: int) -> pa.Array:
    if not entries:
        return pa.nulls(size, pa.string())
    return pa.array([entries.get(i) for i in range(size)], pa.string())


def _constant(value: str, count: int) -> pa.Array:
    return pa.repeat(pa.scalar(value, pa.string()), count)
