"""Brings back what theming remembers of a product; rebuilds it from the tables where it is gone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.ports import Condition, StepContext
from closeloop.stages.theme_memory import MAX_WAITING, Background, ThemeMemory, nothing_waits
from closeloop.stages.theme_rows import Texts, ThemeBook, gather, micros_of
from closeloop.stats.themes import Frame, fit_frame, sums_of
from closeloop.tables import ASSIGNMENT, EMBEDDING, FEEDBACK, STATE
from closeloop.text.words import words_of

MEMORY = "theme.memory"


def recall(context: StepContext, book: ThemeBook) -> ThemeMemory | None:
    """Return the product's memory, or None where it has no themes yet.

    It is made anew from the tables where it is lost or was touched by an erasure; then only themes
    with texts embedded by the configured model take new texts.
    """
    blob = context.state(MEMORY, scope=book.product)
    memory = ThemeMemory.held(blob)
    same = memory is not None and memory.model_id == context.embedder.model_id
    if memory is not None and same and not memory.stale:
        return memory
    if not any(row["merged_into"] is None for row in book.rows.values()):
        return None
    return _rebuilt(context, book, frame=memory.frame if memory is not None and same else None)


def remember(context: StepContext, book: ThemeBook, memory: ThemeMemory) -> None:
    """Keep the memory for the next pass."""
    context.put_state(MEMORY, memory.to_bytes(), scope=book.product)


def forget(context: StepContext, feedback_ids: Iterable[str]) -> int:
    """Take feedback out of what theming remembers: waiting texts now, sums at the next pass.

    Returns how many products' memories were written anew.
    """
    gone = set(feedback_ids)
    written = 0
    scopes = context.rows(STATE, columns=["scope"], where=[("name", "=", MEMORY)])
    for scope in sorted(set(scopes.column("scope").to_pylist())):
        blob = context.state(MEMORY, scope=scope)
        if blob is None:
            continue
        memory = ThemeMemory.held(blob)
        if memory is None:
            # What this release can't read may hold them: the next pass makes it anew.
            context.put_state(MEMORY, b"", scope=scope)
            written += 1
            continue
        kept = np.array([i not in gone for i in memory.waiting.ids], np.bool_)
        memory.waiting = memory.waiting.take(kept)
        if memory.novel is not None:
            memory.drop_novel(np.array([i in gone for i in memory.novel.ids], np.bool_))
        memory.sums = np.zeros_like(memory.sums)
        memory.stale = True
        context.put_state(MEMORY, memory.to_bytes(), scope=scope)
        written += 1
    return written


def texts_waiting(context: StepContext, product: str, *, newest: int) -> Texts | None:
    """Return the product's newest stored texts without a theme, None where there are none."""
    where: list[Condition] = [("product", "=", product), ("theme_id", "=", None)]
    columns = ["feedback_id", "revision", "product", "event_time"]
    rows = context.rows(ASSIGNMENT, columns=columns, where=where)
    if rows.num_rows > newest:
        order = pc.sort_indices(rows, [("event_time", "descending"), ("feedback_id", "ascending")])
        rows = rows.take(order.slice(0, newest))
    return texts_of(context, product, rows)


def texts_waiting_of(context: StepContext, least: Mapping[str, int]) -> dict[str, Texts]:
    """Return the stored texts without a theme of those products that have at least so many.

    Together, since each look for texts among all is dear.
    """
    where: list[Condition] = [("product", "in", sorted(least)), ("theme_id", "=", None)]
    columns = ["feedback_id", "revision", "product", "event_time"]
    rows = context.rows(ASSIGNMENT, columns=columns, where=where)
    counts = rows.group_by("product").aggregate([([], "count_all")]).to_pylist()
    enough = [row["product"] for row in counts if row["count_all"] >= least[row["product"]]]
    rows = rows.filter(pc.is_in(rows.column("product"), value_set=pa.array(enough, pa.string())))
    return _gathered(context, rows)


def texts_of(context: StepContext, product: str, rows: pa.Table) -> Texts | None:
    """Return texts and vectors of stored rows (feedback_id, revision, product, event_time)."""
    return _gathered(context, rows).get(product)


def _gathered(context: StepContext, rows: pa.Table) -> dict[str, Texts]:
    feedback = FEEDBACK.empty().select(["feedback_id", "revision", "text", "duplicate_of"])
    vectors = EMBEDDING.empty().select(["feedback_id", "revision", "model", "vector"])
    return gather(context, rows, feedback=feedback, vectors=vectors)


def _rebuilt(context: StepContext, book: ThemeBook, *, frame: Frame | None) -> ThemeMemory | None:
    where: list[Condition] = [("product", "=", book.product), ("theme_id", "!=", None)]
    columns = ["feedback_id", "revision", "product", "event_time", "theme_id"]
    rows = context.rows(ASSIGNMENT, columns=columns, where=where)
    texts = texts_of(context, book.product, rows.drop_columns("theme_id"))
    if texts is None:
        return None
    frame = frame or fit_frame(texts.vectors, seed=context.config.seed)
    theme_of = dict(
        zip(
            zip(rows.column("feedback_id").to_pylist(), rows.column("revision").to_pylist(), strict=True),
            rows.column("theme_id").to_pylist(),
            strict=True,
        )
    )  # fmt: skip
    names = [theme_of[key] for key in zip(texts.ids, texts.revisions.tolist(), strict=True)]
    ids = sorted({n for n in names if n in book.rows and book.rows[n]["merged_into"] is None})
    sums, sizes = sums_of(frame.centred(texts.vectors), _places(names, ids), count=len(ids))
    # After a change of the model only a sample has vectors: it stands for the whole theme.
    places = _places(rows.column("theme_id").to_pylist(), ids)
    stored = np.bincount(places[places >= 0], minlength=len(ids)).astype(np.int64)
    sums, sizes = sums * (stored / np.maximum(sizes, 1))[:, None], stored
    dimensions = texts.vectors.shape[1]
    memory = ThemeMemory(
        frame=frame,
        model_id=context.embedder.model_id,
        ids=ids,
        sums=sums,
        sizes=sizes,
        labelled=sizes.copy(),
        waiting=nothing_waits(dimensions),
        background=Background.of(words_of(texts.texts)),
        looked_at=micros_of(context.now),
    )
    wait = texts_waiting(context, book.product, newest=MAX_WAITING)
    if wait is not None:
        memory.waiting = wait.waiting(frame.centred(wait.vectors))
    return memory


def _places(names: Sequence[str], ids: Sequence[str]) -> np.ndarray:
    place = {name: number for number, name in enumerate(ids)}
    return np.array([place.get(name, -1) for name in names], np.int64)
