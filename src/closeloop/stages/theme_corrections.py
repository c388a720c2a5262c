"""Keeps to what people said of themes: these two are one, these texts are another issue, its name."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.domain.review import CorrectionKind, ThemeCorrection
from closeloop.ports import StepContext, only_if_in
from closeloop.stages.theme_label import name_themes
from closeloop.stages.theme_memory import ThemeMemory
from closeloop.stages.theme_recall import recall, remember, texts_of
from closeloop.stages.theme_rows import ThemeBook, theme_id_of
from closeloop.tables import ASSIGNMENT, THEME

APPLIED = "theme.corrections"


def apply_corrections(context: StepContext) -> None:
    """Apply people's corrections that no earlier pass has applied, oldest first."""
    corrections = context.ops.corrections()
    if not corrections:
        return
    blob = context.state(APPLIED)
    applied: list[str] = [] if blob is None else json.loads(blob)
    fresh = [c for c in corrections if c.correction_id not in set(applied)]
    if not fresh:
        return
    books: dict[str, ThemeBook] = {}
    for correction in fresh:
        product = _product_of(context, correction.theme_id)
        if product is not None:
            book = books.setdefault(product, ThemeBook(context, product))
            _apply(context, book, correction)
            context.count("corrections applied", 1)
    context.put_state(APPLIED, json.dumps([*applied, *(c.correction_id for c in fresh)]).encode())


def _apply(context: StepContext, book: ThemeBook, correction: ThemeCorrection) -> None:
    theme_id = book.current(correction.theme_id)
    if theme_id is None:
        return
    if correction.kind is CorrectionKind.NAME:
        book.change(theme_id, label=correction.target, named_by_person=True, named_by=None)
        book.write()
        return
    memory = recall(context, book)
    if correction.kind is CorrectionKind.MERGE:
        _merge(context, book, memory, theme_id, book.current(correction.target))
    else:
        _split(context, book, memory, theme_id, correction)
    book.write()
    if memory is not None:
        remember(context, book, memory)


def _merge(
    context: StepContext,
    book: ThemeBook,
    memory: ThemeMemory | None,
    theme_id: str,
    into: str | None,
) -> None:
    if into is None or into == theme_id:
        return
    rows = context.rows(ASSIGNMENT, where=[("theme_id", "=", theme_id)])
    _reassign(context, rows, into)
    join_themes(book, memory, theme_id, into=into)


def join_themes(book: ThemeBook, memory: ThemeMemory | None, theme_id: str, *, into: str) -> None:
    """Note that a theme has taken over another; what is stored of its texts is left to the caller."""
    one, other = book.rows[theme_id], book.rows[into]
    book.change(
        into,
        size=other["size"] + one["size"],
        first_seen=min(one["first_seen"], other["first_seen"]),
        last_seen=max(one["last_seen"], other["last_seen"]),
        content_free=one["content_free"] and other["content_free"],
    )
    book.change(theme_id, merged_into=into)
    if memory is not None:
        memory.merge(theme_id, into=into)


def _split(
    context: StepContext,
    book: ThemeBook,
    memory: ThemeMemory | None,
    theme_id: str,
    correction: ThemeCorrection,
) -> None:
    where = [("theme_id", "=", theme_id), only_if_in("feedback_id", correction.feedback_ids)]
    rows = context.rows(ASSIGNMENT, where=where)
    name = theme_id_of(book.product, correction.correction_id)
    if not rows.num_rows or name in book.rows:
        return
    _reassign(context, rows.set_column(
        rows.schema.get_field_index("formed_theme"), "formed_theme", pa.repeat(True, rows.num_rows)
    ), name)  # fmt: skip
    times = np.asarray(rows.column("event_time").cast(pa.int64()), np.int64)
    ids = rows.column("feedback_id").to_pylist()
    book.add(name, times=times, members=ids, representatives=sorted(ids)[:5], split_from=theme_id)
    book.change(theme_id, size=max(book.rows[theme_id]["size"] - rows.num_rows, 0))
    if memory is None:
        return
    if memory.novel is not None:
        memory.drop_novel(np.isin(memory.novel.ids.astype(str), ids))
    keyed = rows.select(["feedback_id", "revision", "product", "event_time"])
    texts = texts_of(context, book.product, keyed)
    if texts is not None and theme_id in memory.ids:
        centred = memory.frame.centred(texts.vectors)
        memory.shrink(memory.ids.index(theme_id), centred)
        memory.add(
            [name], centred.sum(axis=0, keepdims=True, dtype=np.float64), np.array([len(texts)])
        )
    name_themes(context, [(book, memory)])


def _reassign(context: StepContext, rows: pa.Table, theme_id: str) -> None:
    place = rows.schema.get_field_index("theme_id")
    names = pa.repeat(pa.scalar(theme_id), rows.num_rows)
    context.merge(ASSIGNMENT, rows.set_column(place, "theme_id", names))


def _product_of(context: StepContext, theme_id: str) -> str | None:
    rows = context.rows(THEME, columns=["product"], where=[("theme_id", "=", theme_id)])
    found = pc.unique(rows.column("product")).to_pylist()
    return found[0] if found else None
