"""Refines feedback: each new bronze row becomes a revision, is quarantined, or is superseded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.domain.configuration import Configuration
from closeloop.domain.feedback import QuarantineReason
from closeloop.errors import redact
from closeloop.ports import StepContext
from closeloop.progress import shown
from closeloop.stages.refine_links import DuplicateLinks
from closeloop.stages.refine_reread import reread_rows
from closeloop.stages.refine_revisions import CURED, EXISTING, assign_revisions
from closeloop.stages.refine_rows import RowRefiner
from closeloop.tables import BRONZE_FEEDBACK, FEEDBACK, QUARANTINE, SUPERSEDED, Table
from closeloop.text.language_gate import LanguageGate

NAME = "refine"

GATE_STATE = "language_gate"

_MANY_IDS = 5_000
"""From so many ids on, reading a column whole is cheaper than asking for them."""
_SLICE = 150_000
"""Rows refined at a time: bounds the memory of a first run over years of history."""
_REASONS = frozenset(reason.value for reason in QuarantineReason)


def run(context: StepContext) -> None:
    """Refine the bronze rows that are new; each ends in exactly one of three tables."""
    # Copies are linked to earlier ones: a long history goes in the order of its events.
    portion = context.portion(BRONZE_FEEDBACK, by="event_time", rows=_SLICE)
    bronze = context.new_rows(BRONZE_FEEDBACK, where=portion)
    if bronze.num_rows == 0:
        return
    with shown(context.progress, NAME, total=bronze.num_rows):
        links = DuplicateLinks(context)
        for rows in _slices(bronze):
            _refine(context, rows, links)
            context.progress.advance(rows.num_rows)
        links.remember()


def _slices(bronze: pa.Table) -> Iterator[pa.Table]:
    """Yield the rows in parts; a long history in the order of its events.

    Copies are linked to earlier ones, hence the order. Rows without a time come first, so that a
    later delivery of the same feedback cures them.
    """
    if bronze.num_rows <= _SLICE:
        yield bronze
        return
    first = pa.scalar(0, pa.timestamp("us", tz="UTC"))
    order = pc.sort_indices(pc.fill_null(bronze["event_time"], first))
    for start in range(0, bronze.num_rows, _SLICE):
        yield bronze.take(order.slice(start, _SLICE))


def retry_quarantine(context: StepContext, reasons: Sequence[str] = ()) -> int:
    """Refine quarantined rows again under today's configuration; return how many got out.

    `reasons` are values of QuarantineReason, none for all. A row that still can't be used stays,
    with today's reason. What the reader of the file could not read stays: that row has to be
    delivered again.
    """
    where = (("reason", "in", sorted(set(reasons))),) if reasons else ()
    waiting = context.rows(QUARANTINE, columns=["bronze_id"], where=where)["bronze_id"]
    if len(waiting) == 0:
        return 0
    bronze = _rows_of_ids(context, BRONZE_FEEDBACK, None, "bronze_id", waiting)
    if bronze.num_rows == 0:
        return 0
    context.delete(QUARANTINE, (("bronze_id", "in", bronze["bronze_id"].to_pylist()),))
    links = DuplicateLinks(context)
    left = _refine(context, bronze, links)
    links.remember()
    return int(bronze.num_rows) - left


def _refine(context: StepContext, bronze: pa.Table, links: DuplicateLinks) -> int:
    """Put each row where it belongs; return how many were quarantined."""
    faults = row_faults(bronze, config=context.config, now=context.now)
    usable = pc.is_null(faults)
    asked = bronze.drop_columns(["payload"])
    if faults.null_count < len(faults):
        asked = asked.filter(usable)
    refiner = RowRefiner(context.config, context.token_key, context.recogniser)
    refined = context.map_batches(refiner, asked)
    del asked
    positions = np.flatnonzero(usable.to_numpy(zero_copy_only=False))
    late_faults = refined["fault"].combine_chunks()
    faults = pc.replace_with_mask(faults, usable, late_faults)
    good = pc.is_null(late_faults)
    positions = positions[good.to_numpy(zero_copy_only=False)]
    if late_faults.null_count < len(late_faults):
        refined = refined.filter(good)
    written = _write_revisions(context, refined, links)
    cured = _cured_now(bronze, faults, positions)
    quarantined = _quarantine(context, bronze, faults, cured)
    _release_cured(context, bronze, positions, cured)
    _release(context, reread_rows(context, bronze, positions))
    context.count("refined", written)
    context.count("quarantined", quarantined)
    return quarantined


def row_faults(bronze: pa.Table, *, config: Configuration, now: datetime) -> pa.Array:
    """Return "reason: detail" of bronze rows that can't be used, null for the others.

    What the reader recorded comes first, then size, then time. An event may lie `max_future`
    ahead (clock skew), and no text is found later, once texts are clean.
    """
    none = pa.scalar(None, pa.string())
    limit = pa.scalar(now + config.max_future, pa.timestamp("us", tz="UTC"))
    payload_bytes = pc.binary_length(bronze["payload"])
    too_large = pc.fill_null(pc.greater(payload_bytes, config.max_payload_bytes), False)
    event, updated = bronze["event_time"], bronze["updated_at"]
    future = pc.or_kleene(pc.greater(event, limit), pc.greater(updated, limit))
    future = pc.fill_null(future, False)
    faults = pc.coalesce(
        bronze["defect"],
        pc.if_else(
            too_large,
            f"{QuarantineReason.PAYLOAD_TOO_LARGE}: over {config.max_payload_bytes} bytes",
            none,
        ),
        pc.if_else(pc.is_null(event), f"{QuarantineReason.NO_TIME}: the row has no time", none),
    )
    faults = faults.combine_chunks()
    rows = np.flatnonzero(pc.and_(future, pc.is_null(faults)).to_numpy(zero_copy_only=False))
    if len(rows):
        late = bronze.select(["event_time", "event_time_raw"]).take(pa.array(rows)).to_pylist()
        described = [
            f"{QuarantineReason.FUTURE_TIME}: {redact(row['event_time_raw'] or row['event_time'])}"
            f" (or its update) is after {now:%Y-%m-%d %H:%M} UTC"
            for row in late
        ]
        mask = np.zeros(len(faults), dtype=np.bool_)
        mask[rows] = True
        faults = pc.replace_with_mask(faults, pa.array(mask), pa.array(described, pa.string()))
    return faults


def _write_revisions(context: StepContext, refined: pa.Table, links: DuplicateLinks) -> int:
    """Append what is new as revisions, note what is superseded; return the revisions written."""
    if refined.num_rows == 0:
        return 0
    ids = refined["feedback_id"]
    existing = _rows_of_ids(context, FEEDBACK, EXISTING, "feedback_id", ids)
    revisions = assign_revisions(refined, existing)
    rows = refined.append_column("revision", pa.array(revisions.numbers))
    fresh = revisions.numbers > 0
    if not fresh.all():
        old = refined.filter(pa.array(~fresh)).select(["bronze_id", "feedback_id"])
        reasons = [reason for reason in revisions.reasons if reason is not None]
        _supersede(context, old.append_column("reason", pa.array(reasons, pa.string())))
        rows = rows.filter(pa.array(fresh))
    if rows.num_rows == 0:
        return 0
    rows = _with_language(context, rows)
    rows = links.link(rows)
    # Later steps ask for ranges of ids.
    rows = rows.sort_by([("feedback_id", "ascending"), ("revision", "ascending")])
    context.append(FEEDBACK, FEEDBACK.conform(rows))
    return int(rows.num_rows)


def _with_language(context: StepContext, rows: pa.Table) -> pa.Table:
    """Return the rows with the languages that their sources do not bear out set to unknown."""
    gate = LanguageGate.from_bytes(context.state(GATE_STATE))
    columns = {
        "sources": rows["source"].combine_chunks(),
        "languages": rows["language"].combine_chunks(),
        "confidences": rows["language_confidence"].combine_chunks(),
        "words": rows["words"].combine_chunks(),
    }
    after = gate.after(**columns)
    if after != gate:
        context.put_state(GATE_STATE, after.to_bytes())
    languages = after.apply(**columns, gated=rows["gated"].combine_chunks())
    return rows.set_column(rows.schema.get_field_index("language"), "language", languages)


@dataclass(frozen=True, slots=True)
class _Fault:
    reason: str
    detail: str


def _fault(text: str) -> _Fault:
    reason, _, detail = text.partition(":")
    if reason.strip() in _REASONS:
        return _Fault(reason.strip(), detail.strip())
    return _Fault(QuarantineReason.MALFORMED_ROW.value, text)


def _cured_now(bronze: pa.Table, faults: pa.Array, good: npt.NDArray[np.int64]) -> set[int]:
    """Return the faulty rows of this pass that a good row of the same feedback follows."""
    bad = np.flatnonzero(pc.is_valid(faults).to_numpy(zero_copy_only=False))
    if len(bad) == 0 or len(good) == 0:
        return set()
    ids = bronze["feedback_id"].combine_chunks()
    bad_ids = ids.take(pa.array(bad))
    good_ids = ids.take(pa.array(good))
    shared = pc.is_in(good_ids, value_set=bad_ids).to_numpy(zero_copy_only=False)
    shared_ids = good_ids.filter(pa.array(shared)).to_pylist()
    last_good = dict(zip(shared_ids, good[shared].tolist(), strict=True))
    return {
        position
        for position, feedback_id in zip(bad.tolist(), bad_ids.to_pylist(), strict=True)
        if last_good.get(feedback_id, -1) > position
    }


def _quarantine(context: StepContext, bronze: pa.Table, faults: pa.Array, cured: set[int]) -> int:
    rows = np.flatnonzero(pc.is_valid(faults).to_numpy(zero_copy_only=False))
    rows = np.array([row for row in rows.tolist() if row not in cured], dtype=np.int64)
    if len(rows) == 0:
        return 0
    picked = pa.array(rows)
    described = [_fault(text) for text in faults.take(picked).to_pylist()]
    kept = bronze.take(picked).select(
        [
            "bronze_id",
            "feedback_id",
            "source",
            "source_id",
            "payload",
            "file",
            "line",
            "ingested_at",
        ]
    )
    kept = kept.append_column("reason", pa.array([f.reason for f in described], pa.string()))
    kept = kept.append_column("detail", pa.array([f.detail for f in described], pa.string()))
    context.merge(QUARANTINE, QUARANTINE.conform(kept))
    return len(rows)


def _release_cured(
    context: StepContext, bronze: pa.Table, good: npt.NDArray[np.int64], cured_now: set[int]
) -> None:
    """Move quarantined rows that a good row corrects, of this pass or an earlier one."""
    if cured_now:
        rows = bronze.take(pa.array(sorted(cured_now))).select(["bronze_id", "feedback_id"])
        _supersede(context, _with_reason(rows, CURED))
    if len(good) == 0:
        return
    corrected = bronze["feedback_id"].take(pa.array(good))
    waiting = _rows_of_ids(
        context, QUARANTINE, ("bronze_id", "feedback_id", "ingested_at"), "feedback_id", corrected
    )
    if waiting.num_rows == 0:
        return
    # A row that was delivered after the good one is no mistake that the good one corrects.
    own = pa.table({"feedback_id": corrected, "at": bronze["ingested_at"].take(pa.array(good))})
    newest = own.group_by("feedback_id").aggregate([("at", "max")])
    at = dict(zip(newest["feedback_id"].to_pylist(), newest["at_max"].to_pylist(), strict=True))
    now_bad = set(bronze["bronze_id"].to_pylist()) if waiting.num_rows else set()
    released = [
        row
        for row in waiting.to_pylist()
        if row["bronze_id"] not in now_bad and row["ingested_at"] <= at[row["feedback_id"]]
    ]
    if released:
        _release(context, pa.Table.from_pylist(released).select(["bronze_id", "feedback_id"]))


def _release(context: StepContext, rows: pa.Table) -> None:
    """Move rows out of quarantine, as cured."""
    if rows.num_rows:
        _supersede(context, _with_reason(rows, CURED))
        context.delete(QUARANTINE, (("bronze_id", "in", rows["bronze_id"].to_pylist()),))


def _with_reason(rows: pa.Table, reason: str) -> pa.Table:
    return rows.append_column("reason", pa.array([reason] * rows.num_rows, pa.string()))


def _supersede(context: StepContext, rows: pa.Table) -> None:
    context.merge(SUPERSEDED, SUPERSEDED.conform(rows))
    context.count("superseded", rows.num_rows)


def _rows_of_ids(
    context: StepContext,
    table: Table,
    columns: Sequence[str] | None,
    key: str,
    ids: pa.ChunkedArray,
) -> pa.Table:
    """Return the rows of a table whose key is among the ids."""
    wanted = pc.unique(ids)
    if len(wanted) <= _MANY_IDS:
        return context.rows(table, columns=columns, where=((key, "in", wanted.to_pylist()),))
    # Most are new: only where some are known is more read than the keys.
    known = context.rows(table, columns=[key])[key]
    known = pc.unique(known.filter(pc.is_in(known, value_set=wanted)))
    if len(known) <= _MANY_IDS:
        return context.rows(table, columns=columns, where=((key, "in", known.to_pylist()),))
    rows = context.rows(table, columns=columns)
    return rows.filter(pc.is_in(rows[key], value_set=known))
