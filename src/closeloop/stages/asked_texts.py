"""Reads the words of feedback that a judge, a person or a model, may be asked about."""

from __future__ import annotations

from collections.abc import Collection

from closeloop.ports import StepContext, only_if_in
from closeloop.tables import FEEDBACK
from closeloop.text.customer_words import LONGEST, customer_words


def asked_words(text: str) -> str:
    """Return what a judge is shown of a masked text: the customer's words, up to LONGEST."""
    return customer_words(text)[:LONGEST]


def asked_texts(context: StepContext, feedback_ids: Collection[str]) -> dict[str, str]:
    """Return those words of each feedback's latest revision; what was not masked is not shown."""
    if not feedback_ids:
        return {}
    rows = context.rows(
        FEEDBACK,
        columns=["feedback_id", "revision", "text", "masker"],
        where=[only_if_in("feedback_id", feedback_ids)],
    ).sort_by("revision")
    newest = {row["feedback_id"]: row for row in rows.to_pylist()}
    return {i: asked_words(r["text"]) for i, r in newest.items() if r["text"] and r["masker"]}
