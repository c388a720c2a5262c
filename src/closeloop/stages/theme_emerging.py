"""Decides which emerging themes are kept: those whose share of their parent's texts has risen."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.ports import StepContext, only_if_in
from closeloop.stages.theme_corrections import join_themes
from closeloop.stages.theme_memory import ThemeMemory, Waiting
from closeloop.stages.theme_recall import texts_of
from closeloop.stages.theme_rows import ThemeBook
from closeloop.stats.theme_births import has_surged, late_groups
from closeloop.stats.themes import ASSIGN_AT, SEED_AT, SEED_MEMBERS
from closeloop.tables import ASSIGNMENT

ACTOR = "closeloop"
EMERGED = "theme.emerge"
KEPT, DROPPED = "theme.keep_emerging", "theme.drop_emerging"
DECIDE_AFTER = timedelta(days=7)
DECIDE_TEXTS = 20
"""An emerging theme is decided on when so many texts came to it or to its parent since."""
KEYED = ["feedback_id", "revision", "product", "event_time"]
SAMPLE = 1_000
"""So many of the parent's texts, the last before the child's first, tell what share it had."""


def newborn(memory: ThemeMemory, fresh: set[str]) -> tuple[Waiting, list[str], list[list[int]]]:
    """Return texts at the edge of themes and waiting ones, their themes, and the groups to found.

    A group is a list of places among the texts; those that formed their theme ("") are in none.
    """
    novel = memory.novel
    if novel is None or not len(novel.ids):
        return memory.waiting, [], []
    both = novel.and_then(memory.waiting)
    order = np.lexsort((both.ids.astype(str), both.times))
    both = both.take(order)
    waits = [None] * len(memory.waiting.ids)
    owners: list[str | None] = [*memory.novel_of, *waits]
    theme_of = [owners[i] for i in order]
    found = late_groups(
        both.vectors,
        np.array([i in fresh for i in both.ids], np.bool_),
        least_cosine=memory.frame.mu + SEED_AT * memory.frame.sd,
        members=SEED_MEMBERS,
    )
    held = set(memory.ids)
    groups = []
    for number in range(int(found.max(initial=-1)) + 1):
        moving = [
            i for i in np.flatnonzero(found == number).tolist()
            if theme_of[i] is None or theme_of[i] in held
        ]  # fmt: skip
        if len(moving) >= SEED_MEMBERS and any(theme_of[i] for i in moving):
            groups.append(moving)
    return both, [name or "" for name in theme_of], groups


def note(context: StepContext, action: str, theme_id: str, detail: str) -> None:
    """Tell of a theme's change in the audit log: what came from where, and why."""
    context.ops.audit(actor=ACTOR, action=action, subject=theme_id, detail=detail, at=context.now)


def settle_emerging(context: StepContext, book: ThemeBook, memory: ThemeMemory) -> None:
    """Keep or drop the emerging themes that are old enough; a dropped one is merged into its parent.

    Both stand in the audit log. One that a person has named stays.
    """
    parents: dict[str, str] = {}
    for theme_id in sorted(book.rows):
        row = book.rows[theme_id]
        if not row["emerging"] or row["merged_into"] is not None:
            continue
        parent = book.current(row["split_from"] or "")
        if row["named_by_person"] or parent is None or theme_id not in memory.ids:
            book.change(theme_id, emerging=False)
        elif context.now - row["born_at"] >= DECIDE_AFTER:
            parents[theme_id] = parent
    if not parents:
        return
    # One read and one write for all of them: the table may be large.
    concerned = only_if_in("theme_id", {*parents, *parents.values()})
    rows = context.rows(ASSIGNMENT, where=[concerned])
    dropped = [
        theme_id
        for theme_id, parent in parents.items()
        if _is_dropped(context, book, memory, rows, theme_id, parent)
    ]
    gone = rows.filter(pc.is_in(rows.column("theme_id"), value_set=pa.array(dropped, pa.string())))
    names = [book.current(name) for name in gone.column("theme_id").to_pylist()]
    place = gone.schema.get_field_index("theme_id")
    context.merge(ASSIGNMENT, gone.set_column(place, "theme_id", pa.array(names, pa.string())))


def _is_dropped(
    context: StepContext,
    book: ThemeBook,
    memory: ThemeMemory,
    rows: pa.Table,
    theme_id: str,
    parent: str,
) -> bool:
    """Decide on one theme from the rows of it and its parent, and note the answer."""
    own = rows.filter(pc.equal(rows.column("theme_id"), theme_id))
    others = rows.filter(pc.equal(rows.column("theme_id"), parent))
    since = pc.min(own.column("event_time"))
    after = len(own) - (pc.sum(own.column("formed_theme")).as_py() or 0)
    later = pc.greater_equal(others.column("event_time"), since)
    texts_after = after + int(pc.sum(later).as_py() or 0)
    if texts_after < DECIDE_TEXTS:
        return False
    before, texts_before = _before(
        context, book, memory, others.filter(pc.invert(later)), theme_id, parent
    )
    kept = has_surged(
        before=before, texts_before=texts_before, after=after, texts_after=texts_after
    )
    detail = f"{after} of {texts_after} texts since, {before} of {texts_before} before"
    book.change(theme_id, emerging=False)
    if kept:
        note(context, KEPT, theme_id, detail)
        context.count("emerging themes kept", 1)
        return False
    into = book.current(parent) or parent
    note(context, DROPPED, theme_id, f"{detail}; into {into}")
    join_themes(book, memory, theme_id, into=into)
    context.count("emerging themes dropped", 1)
    return True


def _before(
    context: StepContext,
    book: ThemeBook,
    memory: ThemeMemory,
    rows: pa.Table,
    theme_id: str,
    parent: str,
) -> tuple[int, int]:
    """Return how many of the parent's last texts before would have come to the child, of how many."""
    order = pc.sort_indices(rows, [("event_time", "descending"), ("feedback_id", "ascending")])
    keyed = rows.take(order.slice(0, SAMPLE)).select(KEYED)
    texts = texts_of(context, book.product, keyed)
    if texts is None or theme_id not in memory.ids or parent not in memory.ids:
        return 0, 0
    centred = memory.frame.centred(texts.vectors)
    pair = memory.centres[[memory.ids.index(theme_id), memory.ids.index(parent)]]
    cosines = centred @ pair.T
    nearer = cosines[:, 0] > cosines[:, 1]
    near = memory.frame.scores(cosines[:, 0]) >= ASSIGN_AT
    return int((nearer & near).sum()), len(texts)
