"""Reads quarantined rows once more under today's mapping, and takes in those that can be read now."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from closeloop.connectors.intake.bronze import RowReading, build_bronze
from closeloop.connectors.intake.fields import FEEDBACK_FIELDS
from closeloop.connectors.intake.json_file import batch_of, parse_row
from closeloop.connectors.intake.known import KnownRows, Occurrences
from closeloop.connectors.intake.mapping import IGNORED, check_fields
from closeloop.connectors.intake.raw import RawBatch, RowsSoFar, text_array
from closeloop.connectors.intake.request import IntakeStep
from closeloop.connectors.intake.take_in import MAPPING_STATE
from closeloop.connectors.intake.times import TimeReading, day_comes_first
from closeloop.domain.feedback import QuarantineReason
from closeloop.ports import Condition
from closeloop.tables import BRONZE_FEEDBACK, QUARANTINE

READ_AGAIN = (
    QuarantineReason.NO_TEXT,
    QuarantineReason.NO_TIME,
    QuarantineReason.UNREADABLE_TIME,
    QuarantineReason.UNREADABLE_NUMBER,
)
"""Reasons that another mapping, time format or zone can cure."""

REFINE_AGAIN = (
    QuarantineReason.FUTURE_TIME,
    QuarantineReason.PAYLOAD_TOO_LARGE,
    QuarantineReason.MASKING_FAILED,
)
"""Reasons that time, a raised limit or a mended rule can cure: refining looks at them again."""

SOURCE_ID = "source_id"


@dataclass(slots=True)
class RetryReport:
    """What became of quarantined rows that were read again."""

    looked_at: int = 0
    cured: int = 0
    still: dict[str, int] = field(default_factory=dict)
    """Reason to number of rows that stay in quarantine."""


def read_again(
    step: IntakeStep,
    *,
    sources: Sequence[str] = (),
    reasons: Sequence[str] = (),
    mappings: Mapping[str, Mapping[str, str]],
) -> RetryReport:
    """Append to bronze what can be read now, under ids of their own; the rest stays as it is.

    A source's mapping is the one of its last intake, overlaid by `mappings` (source: field:
    column). A row keeps its source id, so that refining sees that it cures the quarantined one.
    """
    wanted = [r.value for r in READ_AGAIN if not reasons or r.value in reasons]
    where: list[Condition] = [("reason", "in", wanted)]
    if sources:
        where.append(("source", "in", sorted(set(sources))))
    rows = step.rows(QUARANTINE, where=where).sort_by([("source", "ascending")])
    report = RetryReport(looked_at=rows.num_rows)
    still: Counter[str] = Counter()
    for source in sorted(set(rows.column("source").to_pylist())):
        part = rows.filter(pa.compute.equal(rows.column("source"), source))
        cured = _source_again(step, source, part, mappings.get(source, {}))
        report.cured += len(cured)
        reason_of = part.select(["bronze_id", "reason"]).to_pylist()
        still.update(r["reason"] for r in reason_of if r["bronze_id"] not in cured)
    report.still = dict(sorted(still.items()))
    step.count("bronze", report.cured)
    return report


def _source_again(
    step: IntakeStep, source: str, rows: pa.Table, declared: Mapping[str, str]
) -> set[str]:
    check_fields(declared, FEEDBACK_FIELDS, where="the mapping")
    mapping = _mapping(step, source, declared)
    batch = _as_batch(rows, list(mapping.values()))
    mapping[SOURCE_ID] = SOURCE_ID
    profile = step.config.source(source)
    time_column = mapping.get("event_time", "")
    reading = RowReading(
        source=source,
        mapping=mapping,
        time=TimeReading(
            profile.timezone, profile.time_format, day_comes_first(batch.column(time_column))
        ),
        file="",
        now=step.now,
        max_future=step.config.max_future,
    )
    known = KnownRows(step, source)
    bronze = build_bronze(batch, reading, known=known, occurrences=Occurrences(source))
    if not bronze.rows.num_rows:
        return set()
    taken = bronze.rows
    position = BRONZE_FEEDBACK.schema.get_field_index("file")
    by_id = dict(
        zip(rows.column("feedback_id").to_pylist(), rows.column("file").to_pylist(), strict=True)
    )
    files = [by_id.get(i) for i in taken.column("feedback_id").to_pylist()]
    step.append(
        BRONZE_FEEDBACK,
        taken.set_column(
            position, BRONZE_FEEDBACK.schema.field("file"), pa.array(files, pa.string())
        ),
    )
    cured = set(taken.column("feedback_id").to_pylist())
    pairs = rows.select(["bronze_id", "feedback_id"]).to_pylist()
    return {pair["bronze_id"] for pair in pairs if pair["feedback_id"] in cured}


def _mapping(step: IntakeStep, source: str, declared: Mapping[str, str]) -> dict[str, str]:
    remembered = step.state(MAPPING_STATE, scope=source)
    mapping: dict[str, str] = json.loads(remembered) if remembered else {}
    mapping.update(declared)
    return {f: c for f, c in mapping.items() if c != IGNORED and f != SOURCE_ID}


def _as_batch(rows: pa.Table, columns: Sequence[str]) -> RawBatch:
    """Return the payloads taken apart again; the source id is the one the row has."""
    parts = RowsSoFar()
    parsed = []
    for row in rows.select(["payload", "line"]).to_pylist():
        fields, defect = parse_row(row["payload"])
        parsed.append(fields)
        parts.add(row["payload"], row["line"], defect)
    batch = batch_of(parsed, parts, columns)
    batch.columns[SOURCE_ID] = text_array(rows.column("source_id").to_pylist())
    return batch
