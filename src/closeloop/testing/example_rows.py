"""Rows of gold tables as tests need them: a payment failure that rises after a release."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

AT = datetime(2024, 3, 1, 12, tzinfo=UTC)


def signal_row(signal_id: str = "s1", **changes: Any) -> dict[str, Any]:
    """Return a row of gold.signal that passes every bound of the default ticket rule."""
    row: dict[str, Any] = {
        "signal_id": signal_id,
        "product": "shop-app",
        "kind": "category",
        "series_id": "payment failure",
        "theme_id": None,
        "category": "payment failure",
        "version": None,
        "segment": None,
        "parent_id": None,
        "window_start": AT - timedelta(hours=5),
        "window_end": AT,
        "count": 14,
        "baseline": 3.3,
        "ratio": 4.24,
        "count_6h": 14,
        "baseline_6h": 3.3,
        "detector": "shiryaev-roberts",
        "evidence": 41.0,
        "threshold": 1.0,
        "family_size": 12,
        "fdr_pass": True,
        "confidence": 0.93,
        "confidence_calibrated": True,
        "authors": 13,
        "severity": "P1",
        "severity_terms": [
            {"name": "impact", "value": 0.9, "weight": 25.0, "points": 22.5, "reason": "money"}
        ],
        "reviews_exposed": None,
        "reviews_unexposed": None,
        "trust": 1.0,
        "oddities": [],
        "order_value": 0.0,
        "tiers": [],
        "segments": [],
        "feedback_ids": ["aaaaaaaa11112222", "bbbbbbbb11112222"],
        "historic": False,
        "detected_at": AT,
    }
    return {**row, **changes}


def release_row(signal_id: str = "r1", **changes: Any) -> dict[str, Any]:
    """Return a row of gold.signal by the release watch."""
    return signal_row(
        signal_id,
        **{
            "kind": "release",
            "series_id": "2.8.5",
            "category": None,
            "version": "2.8.5",
            "detector": "release-watch",
            "evidence": 55.0,
            "threshold": 20.0,
            "confidence": None,
            "confidence_calibrated": False,
            "reviews_exposed": 65,
            "reviews_unexposed": 400,
            "count_6h": 0,
            "baseline_6h": 0.0,
            **changes,
        },
    )


def brief_row(signal_id: str = "s1", **changes: Any) -> dict[str, Any]:
    """Return a row of gold.brief with two quotations on its fact sheet."""
    quotations = [
        {
            "feedback_id": "aaaaaaaa11112222",
            "text": "money is gone and payment failed",
            "rating": 1.0,
            "event_time": AT.isoformat(),
            "version": "2.8.5",
        },
        {
            "feedback_id": "bbbbbbbb11112222",
            "text": "upi does not work since the update",
            "rating": None,
            "event_time": AT.isoformat(),
            "version": None,
        },
    ]
    quotations = changes.pop("quotations", quotations)
    row: dict[str, Any] = {
        "brief_id": f"brief-{signal_id}",
        "signal_id": signal_id,
        "title": "Payments fail in Shop App since 2.8.5",
        "summary": [{"sentence": "14 complaints in six hours.", "ids": ["F1"]}],
        "impacted_area": "checkout",
        "likely_cause": "release 2.8.5",
        "urgency": "money is at stake",
        "recommended_owner": "payments-team",
        "routing_hints": ["payments"],
        "next_actions": ["Look at the payment provider's errors"],
        "engineering": "Payments fail on 2.8.5: “money is gone and payment failed”",
        "support": "Tell customers that money comes back.",
        "product_text": "Payments fail.",
        "leadership": "Payments fail.",
        "citations": [q["feedback_id"] for q in quotations],
        "facts": json.dumps(
            {"signal_id": signal_id, "facts": [], "quotations": quotations, "names": []}
        ),
        "writer": "deterministic",
        "prompt_version": "1",
        "verified": True,
        "problems": [],
        "made_at": AT,
    }
    return {**row, **changes}


def attribution_row(signal_id: str = "s1", **changes: Any) -> dict[str, Any]:
    """Return a row of gold.attribution that blames release 2.8.5."""
    row: dict[str, Any] = {
        "signal_id": signal_id,
        "change_id": "change-285",
        "kind": "release",
        "name": "2.8.5",
        "effect": 6.1,
        "effect_low": 2.9,
        "effect_high": 12.8,
        "exposed": 60,
        "unexposed": 300,
        "posterior": 0.93,
        "blamed": True,
        "reasons": [],
    }
    return {**row, **changes}
