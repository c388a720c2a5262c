"""Looks over a product's themes once a day: proposes mergers and splits, and names grown themes anew."""

from __future__ import annotations

import json
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from closeloop.domain.review import Label, LabelKind
from closeloop.ports import StepContext, only_if_in
from closeloop.stages.theme_memory import MAX_PROPOSED, ThemeMemory
from closeloop.stages.theme_recall import recall, texts_of
from closeloop.stages.theme_rows import ThemeBook, micros_of
from closeloop.stats.calibration import (
    MIN_PAIRS,
    ThemeConfidence,
    fit_confidence,
    linear,
    relative_size,
)
from closeloop.stats.logistic import Platt
from closeloop.stats.themes import MERGE_AT, SPLIT_AT, mean_cosine_between, own_and_next
from closeloop.tables import ASSIGNMENT

CONFIDENCE = "theme.confidence"
ACTOR = "closeloop"
MIN_SIZE = 8
"""Smaller themes are not judged: their mean similarity is still a matter of chance."""
MIN_SPLIT = 30
RELABEL_AT = 4
"""A theme is named anew when it has so many times the texts of its last naming."""
RELABEL_BELOW = 50
SAME = "same"


def look_again(context: StepContext, book: ThemeBook, memory: ThemeMemory) -> None:
    """Propose mergers and splits (in the audit log, each once) and mark themes for a new label.

    Nothing is relabelled by itself: people accept a proposal with `review merge` or `split`.
    """
    _propose(context, book, memory)
    grown = (memory.sizes >= RELABEL_AT * memory.labelled) & (memory.labelled < RELABEL_BELOW)
    ids = [memory.ids[i] for i in np.flatnonzero(grown)]
    if not ids:
        return
    rows = context.rows(
        ASSIGNMENT, columns=["feedback_id", "theme_id"], where=[only_if_in("theme_id", ids)]
    )
    for feedback_id, theme_id in zip(
        rows.column("feedback_id").to_pylist(), rows.column("theme_id").to_pylist(), strict=True
    ):
        if theme_id not in book.unnamed or feedback_id not in book.unnamed[theme_id]:
            book.unnamed.setdefault(theme_id, []).append(feedback_id)
    memory.labelled = np.where(grown, memory.sizes, memory.labelled)


def confidence_of(context: StepContext) -> ThemeConfidence:
    """Return the calibration in force; it is fitted anew when the judged pairs grow by a quarter.

    At most once a day, as reading the judged texts takes a while.
    """
    blob = context.state(CONFIDENCE)
    # An earlier release wrote no weight of the size.
    kept = [0, 0, 1.0, 0.0] if blob is None else json.loads(blob)
    looked_at, pairs, slope, offset, size_weight = (*kept, 0.0)[:5]
    current = ThemeConfidence(Platt(slope, offset), pairs, size_weight)
    now = micros_of(context.now)
    if now - looked_at < timedelta(days=1) // timedelta(microseconds=1):
        return current
    judged = context.ops.labels(LabelKind.PAIR)
    if len(judged) >= max(MIN_PAIRS, 1.25 * current.pairs):
        fitted = fit_confidence(*_judged_pairs(context, judged))
        current = fitted if fitted.pairs else current
    platt = current.platt
    kept = [now, current.pairs, platt.slope, platt.offset, current.size_weight]
    context.put_state(CONFIDENCE, json.dumps(kept).encode())
    return current


def _propose(context: StepContext, book: ThemeBook, memory: ThemeMemory) -> None:
    big = np.flatnonzero(memory.sizes >= MIN_SIZE)
    if not len(big):
        return
    close = memory.frame.scores(mean_cosine_between(memory.sums[big], memory.sizes[big]))
    done = set(memory.proposed)
    proposals: list[tuple[str, str, str]] = []
    for one, other in np.argwhere(np.triu(close, k=1) >= MERGE_AT):
        first, second = sorted((memory.ids[big[one]], memory.ids[big[other]]))
        # What people have split stays apart.
        if second not in (book.rows[first]["split_from"], _split_from(book, second, first)):
            proposals.append(("theme.propose_merge", first, second))
    loose = (np.diag(close) < SPLIT_AT) & (memory.sizes[big] >= MIN_SPLIT)
    proposals += [("theme.propose_split", memory.ids[place], "") for place in big[loose]]
    for action, subject, detail in proposals:
        key = f"{action}/{subject}/{detail}"
        if key not in done:
            context.ops.audit(
                actor=ACTOR, action=action, subject=subject, detail=detail, at=context.now
            )
            memory.proposed = [*memory.proposed, key][-MAX_PROPOSED:]
            context.count("theme changes proposed", 1)


def _split_from(book: ThemeBook, theme_id: str, origin: str) -> str | None:
    """Return theme_id where it was split from `origin`, so that the pair is known as apart."""
    return theme_id if book.rows[theme_id]["split_from"] == origin else None


def _judged_pairs(
    context: StepContext, judged: list[Label]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Return log odds, theme's relative size and answer of judged pairs within one theme."""
    wanted = sorted({i for label in judged for i in label.subject})
    rows = context.rows(
        ASSIGNMENT,
        columns=["feedback_id", "revision", "product", "event_time", "theme_id"],
        where=[only_if_in("feedback_id", wanted), ("theme_id", "!=", None)],
    )
    theme_of = dict(
        zip(
            rows.column("feedback_id").to_pylist(), rows.column("theme_id").to_pylist(), strict=True
        )
    )
    odds: dict[str, float] = {}
    size_of: dict[str, float] = {}
    for product in sorted(set(rows.column("product").to_pylist())):
        memory = recall(context, ThemeBook(context, product))
        texts = texts_of(context, product, rows.drop_columns("theme_id"))
        if memory is None or texts is None:
            continue
        place = {name: number for number, name in enumerate(memory.ids)}
        inside = np.array([theme_of[i] in place for i in texts.ids], np.bool_)
        texts = texts.take(np.flatnonzero(inside))
        places = np.array([place[theme_of[i]] for i in texts.ids], np.int64)
        centred = memory.frame.centred(texts.vectors)
        own, following = own_and_next(centred, memory.centres, places)
        scores = linear(memory.frame.scores(own), (own - following) / memory.frame.sd)
        odds |= dict(zip(texts.ids.tolist(), scores.tolist(), strict=True))
        size_of |= dict(zip(memory.ids, relative_size(memory.sizes).tolist(), strict=True))
    usable = [
        label
        for label in judged
        if len(label.subject) == 2
        and all(i in odds for i in label.subject)
        and theme_of[label.subject[0]] == theme_of[label.subject[1]]
    ]
    pairs = np.array([[odds[i] for i in label.subject] for label in usable], np.float64)
    sizes = np.array([size_of[theme_of[label.subject[0]]] for label in usable], np.float64)
    same = np.array([label.value == SAME for label in usable], np.bool_)
    return pairs.reshape(-1, 2).mean(axis=1) if len(usable) else np.zeros(0), sizes, same
