"""Reads rows of gold.signal as signals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from closeloop.domain.signal import Severity, SeverityTerm, Signal, SignalKind
from closeloop.ports import StepContext, only_if_in
from closeloop.tables import SIGNAL


def signal_of(row: Mapping[str, Any]) -> Signal:
    """Return one row of gold.signal as a signal; what attribution has not filled yet is P4."""
    return Signal(
        signal_id=row["signal_id"],
        product=row["product"],
        kind=SignalKind(row["kind"]),
        series_id=row["series_id"] or "",
        window_start=row["window_start"],
        window_end=row["window_end"],
        count=row["count"] or 0,
        baseline=row["baseline"] or 0.0,
        count_6h=row["count_6h"] or 0,
        baseline_6h=row["baseline_6h"] or 0.0,
        detector=row["detector"] or "",
        evidence=row["evidence"] or 0.0,
        threshold=row["threshold"] or 0.0,
        family_size=row["family_size"] or 0,
        fdr_pass=bool(row["fdr_pass"]),
        detected_at=row["detected_at"],
        feedback_ids=tuple(row["feedback_ids"] or ()),
        theme_id=row["theme_id"],
        category=row["category"],
        version=row["version"],
        confidence=row["confidence"],
        confidence_calibrated=bool(row["confidence_calibrated"]),
        authors=row["authors"] or 0,
        severity=Severity(row["severity"] or Severity.P4),
        severity_terms=tuple(
            SeverityTerm(t["name"], t["value"], t["weight"], t["reason"])
            for t in row["severity_terms"] or ()
        ),
        segment=row["segment"],
        parent_id=row["parent_id"],
        historic=bool(row["historic"]),
        reviews_exposed=row["reviews_exposed"],
        reviews_unexposed=row["reviews_unexposed"],
        trust=1.0 if row["trust"] is None else row["trust"],
        oddities=tuple(row["oddities"] or ()),
        order_value=row["order_value"] or 0.0,
        tiers=tuple((t["tier"], t["authors"]) for t in row["tiers"] or ()),
        segments=tuple(row["segments"] or ()),
    )


def signals_by_id(context: StepContext, signal_ids: Iterable[str]) -> dict[str, Signal]:
    """Return the committed signals with these ids."""
    wanted = set(signal_ids)
    if not wanted:
        return {}
    rows = context.rows(SIGNAL, where=[only_if_in("signal_id", wanted)]).to_pylist()
    return {row["signal_id"]: signal_of(row) for row in rows}
