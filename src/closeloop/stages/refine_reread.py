"""Finds quarantined rows that were read with the wrong encoding and have come again, read rightly."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.domain.feedback import QuarantineReason
from closeloop.ports import StepContext
from closeloop.tables import QUARANTINE

_COLUMNS = ("bronze_id", "feedback_id", "source", "file", "line", "payload", "ingested_at")
_PLACE = ("source", "file", "line")
_BYTE = re.compile(r"(?:\\x[0-9a-f]{2}|[^\x00-\x7f])[0-9A-Za-z]?")
"""A byte as it is shown, or some that were a character by chance; in some encodings the letter
behind it is the other half of a character."""
_WORD = re.compile(r"[0-9A-Za-z]+")


def reread_rows(context: StepContext, bronze: pa.Table, good: npt.NDArray[np.int64]) -> pa.Table:
    """Return (bronze_id, feedback_id) of quarantined rows that good rows are, in another encoding.

    A row that is not in its file's encoding can't be taken apart, so it never had its id: it is
    known by file and line, and by the words that any encoding leaves as they are. An export of the
    same name with other rows cures nothing.
    """
    waiting = context.rows(
        QUARANTINE,
        columns=list(_COLUMNS),
        where=[("reason", "=", QuarantineReason.INVALID_UTF8.value)],
    )
    none = waiting.select(["bronze_id", "feedback_id"]).slice(0, 0)
    if waiting.num_rows == 0 or len(good) == 0:
        return none
    places = bronze.select(list(_PLACE)).take(pa.array(good))
    near = np.ones(len(good), dtype=np.bool_)
    for name in _PLACE:
        held = pc.is_in(places[name], value_set=pc.unique(waiting[name]).drop_null())
        near &= held.to_numpy(zero_copy_only=False)
    rows = bronze.select([c for c in _COLUMNS if c != "feedback_id"]).take(pa.array(good[near]))
    came: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows.to_pylist():
        came.setdefault(tuple(row[name] for name in _PLACE), []).append(row)
    cured = [
        any(_is(row, again) for again in came.get(tuple(row[name] for name in _PLACE), ()))
        for row in waiting.to_pylist()
    ]
    return waiting.select(["bronze_id", "feedback_id"]).filter(pa.array(cured, pa.bool_()))


def _is(bad: dict[str, Any], good: dict[str, Any]) -> bool:
    """Whether the good row came later and has the bad one's words, in their order."""
    if good["ingested_at"] <= bad["ingested_at"]:
        return False
    words = _WORD.findall(_BYTE.sub(" ", bad["payload"]))
    place = 0
    for word in words:
        place = good["payload"].find(word, place)
        if place < 0:
            return False
        place += len(word)
    return bool(words)
