"""What is left of a text when feedback in it must go: pure rules of erasure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from closeloop.domain.review import Label, OutboxMessage, ReviewItem, ThemeCorrection
from closeloop.domain.ticket import Ticket

REMOVED = "[removed on request]"
"""Stands where a customer's words stood."""

SHORTEST_TEXT = 4
"""Shorter texts ("ok", "bad") are nobody's own words; replacing them would garble others."""

SHOWN_ID = 8
"""People are shown at least this many characters of a feedback id, so a line may name one so."""


def without(text: str, *, feedback_ids: Collection[str], texts: Collection[str]) -> str:
    """Return text with lines that name an id cut, and every occurrence of the texts removed.

    A text counts whole, and as each of its lines: a quotation may be set over several.
    """
    wanted = {part.strip() for t in texts for part in (t, *t.splitlines())}
    for part in sorted((w for w in wanted if len(w) >= SHORTEST_TEXT), key=len, reverse=True):
        text = text.replace(part, REMOVED)
    marks = {i[:SHOWN_ID] for i in feedback_ids}
    if not marks:
        return text
    return "\n".join(line for line in text.split("\n") if not any(mark in line for mark in marks))


def ticket_without(
    ticket: Ticket, *, feedback_ids: Collection[str], texts: Collection[str]
) -> Ticket:
    """Return the ticket without examples, lines and words that come from the feedback."""

    def cut(text: str) -> str:
        return without(text, feedback_ids=feedback_ids, texts=texts)

    examples = tuple(e for e in ticket.examples if cut(e) == e)
    return replace(
        ticket, title=cut(ticket.title) or REMOVED, body=cut(ticket.body), examples=examples
    )


def review_without(
    item: ReviewItem, *, feedback_ids: Collection[str], texts: Collection[str]
) -> ReviewItem:
    """Return the review item without words that come from the feedback."""

    def cut(text: str) -> str:
        return without(text, feedback_ids=feedback_ids, texts=texts)

    return replace(
        item,
        title=cut(item.title) or REMOVED,
        reasons=tuple(r for r in map(cut, item.reasons) if r),
        answer_reason=None if item.answer_reason is None else cut(item.answer_reason),
    )


def message_without(
    message: OutboxMessage, *, feedback_ids: Collection[str], texts: Collection[str]
) -> OutboxMessage:
    """Return the message with the texts removed from its payload and error.

    A payload holds ids of tickets and figures by design; an error may quote what was sent.
    """
    error = message.last_error
    if error is not None:
        error = without(error, feedback_ids=feedback_ids, texts=texts)
    payload = message.payload
    for text in sorted({t for t in texts if len(t) >= SHORTEST_TEXT}, key=len, reverse=True):
        payload = payload.replace(text, REMOVED)
    return replace(message, payload=payload, last_error=error)


def correction_without(
    correction: ThemeCorrection, *, feedback_ids: Collection[str]
) -> ThemeCorrection:
    """Return the correction without the ids; what is left of a split still holds."""
    gone = set(feedback_ids)
    return replace(
        correction, feedback_ids=tuple(i for i in correction.feedback_ids if i not in gone)
    )


def concerns(label: Label, *, feedback_ids: Collection[str]) -> bool:
    """Say whether a label judges the feedback."""
    return not set(feedback_ids).isdisjoint(label.subject)
