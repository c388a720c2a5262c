"""Requests for briefs of the frozen sheets, and a door, for tests of what writes them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from closeloop.domain.brief import FactSheet
from closeloop.domain.signal import Severity, Signal, SignalKind
from closeloop.models.outgoing import Door
from closeloop.ports import BriefRequest
from closeloop.testing.context import TEST_KEY
from closeloop.text.pii import Masker

NOW = datetime(2024, 4, 9, tzinfo=UTC)


def door() -> Door:
    return Door(Masker.of(key=TEST_KEY))


def value_of(sheet: FactSheet, topic: str) -> str:
    return next(f.values[0] for f in sheet.facts if f.topic == topic)


def request(sheet: FactSheet, *hints: str) -> BriefRequest:
    signal = Signal(
        signal_id=sheet.signal_id,
        product="shop-app",
        kind=SignalKind.CATEGORY,
        series_id="payment failure",
        window_start=NOW - timedelta(hours=12),
        window_end=NOW,
        count=1,
        baseline=1.0,
        count_6h=1,
        baseline_6h=1.0,
        detector="d",
        evidence=1.0,
        threshold=1.0,
        family_size=1,
        fdr_pass=True,
        detected_at=NOW,
        feedback_ids=(),
        severity=Severity(value_of(sheet, "severity")),
    )
    return BriefRequest(signal, (), sheet, "", value_of(sheet, "owner"), hints, NOW)


def quoting(sheet: FactSheet, *texts: str) -> FactSheet:
    """Return the sheet with other texts in its first quotations."""
    changed = [replace(q, text=t) for q, t in zip(sheet.quotations, texts, strict=False)]
    return replace(sheet, quotations=(*changed, *sheet.quotations[len(changed) :]))
