"""Feedback: who says what, when it was known, and why a row can't be used."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


def feedback_id(source: str, source_id: str) -> str:
    """Return the stable id of one piece of feedback: 32 hex digits of BLAKE2b over both parts."""
    return _digest(source, source_id)


def anonymous_source_id(source: str, payload: str, occurrence: int) -> str:
    """Return a source id for a row without one, from its payload and how often it came before."""
    return "row:" + _digest(source, payload, str(occurrence))


def bronze_id(source: str, source_id: str, payload: str) -> str:
    """Return the id of one delivered payload; the same payload delivered again has the same id."""
    return _digest(source, source_id, payload)


def _digest(*parts: str) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


class QuarantineReason(StrEnum):
    """Why a row can't be used; each has a cure."""

    NO_TEXT = "no_text"
    NO_TIME = "no_time"
    UNREADABLE_TIME = "unreadable_time"
    FUTURE_TIME = "future_time"
    UNREADABLE_NUMBER = "unreadable_number"
    INVALID_UTF8 = "invalid_utf8"
    MALFORMED_ROW = "malformed_row"
    PAYLOAD_TOO_LARGE = "payload_too_large"
    MASKING_FAILED = "masking_failed"

    @property
    def cure(self) -> str:
        """Say what a person can do so that the row can be taken in."""
        return _CURES[self]

    def cure_of(self, detail: str | None) -> str:
        """Say the same of a row of which is known what was wrong: broken JSON has no fields to count."""
        if self is QuarantineReason.MALFORMED_ROW and (detail or "").startswith(NO_JSON):
            return JSON_CURE
        return self.cure


NO_JSON = ("no JSON", "no object")
"""So begins what is wrong with a malformed row of JSON."""
JSON_CURE = "correct the row's JSON: one whole object, {…}, of one line in JSON lines"

_CURES = {
    QuarantineReason.NO_TEXT: "map the column that holds the text (--map text=COLUMN), or leave it: a rating without words is not used",
    QuarantineReason.NO_TIME: "map the column that holds the time (--map event_time=COLUMN)",
    QuarantineReason.UNREADABLE_TIME: "give the time as ISO 8601 or seconds since 1970, or declare the source's time_format",
    QuarantineReason.FUTURE_TIME: "check the source's time zone (sources.NAME.timezone) and clock",
    QuarantineReason.UNREADABLE_NUMBER: "correct the number, or map another column",
    QuarantineReason.INVALID_UTF8: "declare the file's encoding (--encoding), or correct the bytes",
    QuarantineReason.MALFORMED_ROW: "correct the quoting or the number of fields in this row",
    QuarantineReason.PAYLOAD_TOO_LARGE: "shorten the row, or raise ingest.max_payload_bytes",
    QuarantineReason.MASKING_FAILED: "report the rule that failed; the text stays out until it can be masked",
}


@dataclass(frozen=True, slots=True)
class SourceProfile:
    """What is declared of one source: how late it delivers, what counts as backfill, its trust."""

    name: str
    timezone: str = "UTC"
    lag: timedelta = timedelta(0)
    backfill_after: timedelta = timedelta(days=3)
    trust: float = 1.0
    channel: str = "review"
    time_format: str | None = None


def known_at(
    *, event_time: datetime, updated_at: datetime | None, ingested_at: datetime, lag: timedelta
) -> datetime:
    """Return when a row could first have been known: at ingestion, or when it was new plus the lag.

    min(ingested_at, max(event_time, updated_at) + lag): so a history taken in today can be
    replayed as it would have arrived.
    """
    newest = event_time if updated_at is None else max(event_time, updated_at)
    return min(ingested_at, newest + lag)
