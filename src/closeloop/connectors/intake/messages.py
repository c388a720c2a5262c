"""Takes messages of a log (Kafka, Event Hubs) into bronze, each exactly once: offsets commit with rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.connectors.intake.bronze import RowReading, build_bronze
from closeloop.connectors.intake.fields import FEEDBACK_FIELDS
from closeloop.connectors.intake.json_file import Row, batch_of, parse_row
from closeloop.connectors.intake.known import KnownRows, Occurrences
from closeloop.connectors.intake.mapping import IGNORED, check_fields, resolve
from closeloop.connectors.intake.raw import (
    SAMPLE_ROWS,
    RawBatch,
    RowsSoFar,
    as_text,
    malformed,
    not_utf8,
    text_array,
)
from closeloop.connectors.intake.request import IntakeRequest, IntakeStep
from closeloop.connectors.intake.take_in import MAPPING_STATE
from closeloop.connectors.intake.times import TimeReading, day_comes_first
from closeloop.tables import BRONZE_FEEDBACK, TIME

MESSAGES = pa.schema(
    [
        ("topic", pa.string()),
        ("partition", pa.int64()),
        ("offset", pa.int64()),
        ("timestamp", TIME),
        ("value", pa.binary()),
    ]
)
"""Messages as every reader hands them over; a value is null where a log was asked to forget it."""

OFFSETS_STATE = "intake_offsets"
"""Under this name the step remembers, per source, the next offset of each topic and partition."""

POSITION, SENT_AT = "source_id", "message_sent_at"
"""Columns that a message has beside its fields: where it lies in the log, when the log got it."""


@dataclass(frozen=True, slots=True)
class Offsets:
    """The next offset of each (topic, partition) that is not in bronze yet."""

    next_of: Mapping[tuple[str, int], int] = field(default_factory=dict)

    @staticmethod
    def from_bytes(blob: bytes | None) -> Offsets:
        """Return what `to_bytes` wrote; none where nothing was taken in yet."""
        held = json.loads(blob) if blob else []
        return Offsets({(topic, partition): offset for topic, partition, offset in held})

    def to_bytes(self) -> bytes:
        """Return the offsets as JSON, in order."""
        held = [[topic, partition, n] for (topic, partition), n in sorted(self.next_of.items())]
        return json.dumps(held).encode()

    def fresh(self, messages: pa.Table) -> pa.Table:
        """Return the messages that were not taken in before, by topic, partition and offset."""
        messages = messages.sort_by([(n, "ascending") for n in MESSAGES.names[:3]])
        least = [
            self.next_of.get((topic, partition), 0)
            for topic, partition in zip(
                messages.column("topic").to_pylist(),
                messages.column("partition").to_pylist(),
                strict=True,
            )
        ]
        return messages.filter(
            pc.greater_equal(messages.column("offset"), pa.array(least, pa.int64()))
        )

    def after(self, messages: pa.Table) -> Offsets:
        """Return the offsets once these messages are in."""
        newest = (
            messages.group_by(["topic", "partition"]).aggregate([("offset", "max")]).to_pylist()
        )
        moved = {(row["topic"], int(row["partition"])): row["offset_max"] + 1 for row in newest}
        return Offsets(dict(self.next_of) | moved)


@dataclass(slots=True)
class MessageReport:
    """What became of messages: messages = again + rows; rows = new + already known."""

    messages: int = 0
    again: int = 0
    """Delivered once more, below the committed offset: left out."""
    rows: int = 0
    new: int = 0
    already_known: int = 0
    defects: dict[str, int] = field(default_factory=dict)
    newest_sent_at: datetime | None = None

    def add(self, other: MessageReport) -> None:
        """Add the figures of another batch."""
        self.messages += other.messages
        self.again += other.again
        self.rows += other.rows
        self.new += other.new
        self.already_known += other.already_known
        for reason, count in other.defects.items():
            self.defects[reason] = self.defects.get(reason, 0) + count
        times = [t for t in (self.newest_sent_at, other.newest_sent_at) if t is not None]
        self.newest_sent_at = max(times, default=None)

    def as_dict(self) -> dict[str, Any]:
        """Return the figures for programs."""
        return {
            "messages": self.messages,
            "delivered_again": self.again,
            "new": self.new,
            "already_known": self.already_known,
            "defects": dict(sorted(self.defects.items())),
        }


def offsets_of(step: IntakeStep, source: str) -> Offsets:
    """Return the offsets that a source's committed rows end at."""
    return Offsets.from_bytes(step.state(OFFSETS_STATE, scope=source))


def take_in_messages(step: IntakeStep, messages: pa.Table, request: IntakeRequest) -> MessageReport:
    """Append the fresh messages to bronze.feedback and remember the offsets, in one step.

    The step commits both or neither, so what a reader delivers again after a kill is left out. A
    message that can't be read is a row with a defect: refining puts it into quarantine with its
    reason. A message without an id of its own is named by its place in the log. The columns are
    those declared, else those of the source's first messages. Raises InputFileError where the first
    readable messages hold no text.
    """
    check_fields(request.mapping, FEEDBACK_FIELDS, where=f"sources.{request.source}.columns")
    offsets = offsets_of(step, request.source)
    fresh = offsets.fresh(messages)
    report = MessageReport(messages=messages.num_rows, again=messages.num_rows - fresh.num_rows)
    if not fresh.num_rows:
        return report
    _append(step, fresh, request, report)
    step.put_state(OFFSETS_STATE, offsets.after(fresh).to_bytes(), scope=request.source)
    step.count("messages", report.messages)
    step.count("bronze", report.new)
    return report


def _append(
    step: IntakeStep, messages: pa.Table, request: IntakeRequest, report: MessageReport
) -> None:
    rows, parts = _parsed(messages)
    profile = step.config.source(request.source)
    mapping = _mapping(step, rows, parts, messages, request)
    batch = _with_place(batch_of(rows, parts, list(mapping.values())), messages, mapping)
    mapping["source_id"] = POSITION
    time = TimeReading(profile.timezone, profile.time_format)
    reading = RowReading(
        source=request.source,
        mapping=mapping,
        time=TimeReading(
            time.zone, time.time_format, day_comes_first(batch.column(mapping["event_time"]))
        ),
        file=messages.column("topic")[0].as_py(),
        now=step.now,
        max_future=step.config.max_future,
        product=request.product,
    )
    known = KnownRows(step, request.source)
    bronze = build_bronze(batch, reading, known=known, occurrences=Occurrences(request.source))
    step.append(BRONZE_FEEDBACK, bronze.rows)
    report.rows, report.new = messages.num_rows, bronze.rows.num_rows
    report.already_known = bronze.already_known
    report.defects = dict(bronze.defects)
    report.newest_sent_at = pc.max(messages.column("timestamp")).as_py()


def _parsed(messages: pa.Table) -> tuple[list[Row], RowsSoFar]:
    rows: list[Row] = []
    parts = RowsSoFar()
    offsets = messages.column("offset").to_pylist()
    for value, offset in zip(messages.column("value").to_pylist(), offsets, strict=True):
        row, text, defect = _read(value)
        rows.append(row)
        parts.add(text, offset, defect)
    return rows, parts


def _read(value: bytes | None) -> tuple[Row, str, str | None]:
    if value is None:
        return {}, "", malformed("a message without a value")
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError as error:
        text = value.decode("utf-8", "backslashreplace")
        return {}, text, not_utf8("utf-8", text[max(error.start - 10, 0) :])
    row, defect = parse_row(text)
    return row, text, defect


def _mapping(
    step: IntakeStep,
    rows: Sequence[Row],
    parts: RowsSoFar,
    messages: pa.Table,
    request: IntakeRequest,
) -> dict[str, str]:
    """Return field: column. What the first messages showed is remembered: later ones may differ."""
    blob = step.state(MAPPING_STATE, scope=request.source)
    if blob is not None:
        found: dict[str, str] = json.loads(blob) | dict(request.mapping)
        return {f: c for f, c in found.items() if c != IGNORED} | _sent(found)
    readable = [i for i, defect in enumerate(parts.defect) if defect is None][:SAMPLE_ROWS]
    if not readable:
        return dict(request.mapping) | _sent(request.mapping)
    some = RowsSoFar()
    for i in readable:
        some.add(parts.payload[i], parts.line[i])
    preview = batch_of([rows[i] for i in readable], some, None)
    preview.columns[SENT_AT] = _sent_at(messages).take(pa.array(readable))
    profile = step.config.source(request.source)
    mapping = resolve(
        preview,
        FEEDBACK_FIELDS,
        declared=request.mapping,
        file=f"topic {messages.column('topic')[0].as_py()}",
        reading=TimeReading(profile.timezone, profile.time_format),
    ).as_dict()
    blob = json.dumps(mapping, sort_keys=True, ensure_ascii=False).encode()
    step.put_state(MAPPING_STATE, blob, scope=request.source)
    return mapping | _sent(mapping)


def _sent(mapping: Mapping[str, str]) -> dict[str, str]:
    """Return the time at which the log got a message where no column holds a time."""
    return {} if mapping.get("event_time", IGNORED) != IGNORED else {"event_time": SENT_AT}


def _with_place(batch: RawBatch, messages: pa.Table, mapping: Mapping[str, str]) -> RawBatch:
    place = pc.binary_join_element_wise(
        messages.column("topic"),
        messages.column("partition").cast(pa.string()),
        messages.column("offset").cast(pa.string()),
        "/",
    ).combine_chunks()
    batch.columns[SENT_AT] = _sent_at(messages)
    own = mapping.get("source_id")
    if own is not None:
        given = as_text(batch.column(own))
        blank = np.asarray(pc.fill_null(pc.match_substring_regex(given, r"^\s*$"), True))
        place = pc.if_else(pa.array(blank), place, given)
    batch.columns[POSITION] = place
    return batch


def _sent_at(messages: pa.Table) -> pa.Array:
    times = messages.column("timestamp").to_pylist()
    return text_array([None if t is None else t.isoformat() for t in times])
