"""Finds past tickets that are like a signal: of its theme or category, or by what customers wrote."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from closeloop.domain.signal import Signal
from closeloop.domain.ticket import Ticket
from closeloop.ports import StepContext, of_model, only_if_in
from closeloop.stages.theme_recall import recall
from closeloop.stages.theme_rows import ThemeBook
from closeloop.stages.vectors import matrix
from closeloop.stats.themes import MERGE_AT, Frame
from closeloop.tables import EMBEDDING, SIGNAL

SHOWN = 3
LOOKED_AT = 200
"""Newest tickets of the product that are compared."""
TEXTS_A_SIGNAL = 50
"""Newest texts of a signal that stand for it."""

Floats = npt.NDArray[np.float64]


def past_tickets(context: StepContext, signal: Signal) -> tuple[Ticket, ...]:
    """Return up to three past tickets of the product, the most alike first.

    Of the signal's theme first; then those whose texts are, in the mean, as close to the signal's as
    two themes that the loop would propose to merge, and those of its category, by closeness. Where
    no vectors can be compared the newest come first.
    """
    tickets = [
        t
        for t in context.ops.tickets()
        if t.product == signal.product and t.signal_id != signal.signal_id
    ]
    tickets = sorted(tickets, key=lambda t: (t.opened_at, t.ticket_id))[-LOOKED_AT:]
    if not tickets:
        return ()
    close = _closeness(context, signal, {t.signal_id for t in tickets})
    found = []
    for ticket in tickets:
        same_theme = signal.theme_id is not None and ticket.theme_id == signal.theme_id
        same_category = signal.category is not None and ticket.category == signal.category
        score = close.get(ticket.signal_id)
        if same_theme or same_category or (score is not None and score >= MERGE_AT):
            rank = (same_theme, -np.inf if score is None else score, ticket.opened_at)
            found.append((rank, ticket.ticket_id, ticket))
    return tuple(ticket for *_, ticket in sorted(found, reverse=True)[:SHOWN])


def _closeness(
    context: StepContext, signal: Signal, signal_ids: Iterable[str]
) -> Mapping[str, float]:
    """Return the mean similarity of other signals' texts to this one's, in standard scores."""
    memory = recall(context, ThemeBook(context, signal.product))
    if memory is None:
        return {}
    rows = context.rows(
        SIGNAL,
        columns=["signal_id", "feedback_ids"],
        where=[only_if_in("signal_id", set(signal_ids))],
    ).to_pylist()
    texts = {r["signal_id"]: list(r["feedback_ids"] or ())[-TEXTS_A_SIGNAL:] for r in rows}
    own = list(signal.feedback_ids)[-TEXTS_A_SIGNAL:]
    vectors = _vectors(context, memory.frame, {*own, *(i for ids in texts.values() for i in ids)})
    mine = _mean(vectors, own)
    if mine is None:
        return {}
    found = {}
    for signal_id, ids in texts.items():
        theirs = _mean(vectors, ids)
        if theirs is not None:
            # The product of mean vectors is the mean cosine of all pairs between the two.
            cosine = np.array([float(mine @ theirs)])
            found[signal_id] = float(memory.frame.scores(cosine)[0])
    return found


def _vectors(context: StepContext, frame: Frame, feedback_ids: Iterable[str]) -> dict[str, Floats]:
    rows = context.rows(
        EMBEDDING,
        columns=["feedback_id", "revision", "model", "vector"],
        where=[only_if_in("feedback_id", feedback_ids)],
    ).sort_by("revision")
    # Vectors of an earlier model can't be compared with these.
    rows = rows.filter(of_model(rows.column("model"), context.embedder.model_id))
    if not rows.num_rows:
        return {}
    centred = frame.centred(matrix(rows.column("vector"))).astype(np.float64)
    return dict(zip(rows.column("feedback_id").to_pylist(), centred, strict=True))


def _mean(vectors: Mapping[str, Floats], feedback_ids: Sequence[str]) -> Floats | None:
    held = [vectors[i] for i in feedback_ids if i in vectors]
    return np.mean(held, axis=0) if held else None
