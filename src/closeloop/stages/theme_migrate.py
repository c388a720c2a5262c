"""Brings themes to another embedding model: ids, names and corrections stay, the geometry is made anew."""

from __future__ import annotations

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.ports import Condition, StepContext
from closeloop.stages.embed_anew import embed_anew
from closeloop.stages.revision_keys import are_in
from closeloop.stages.theme_look import ACTOR, CONFIDENCE
from closeloop.stages.theme_memory import Ints, ThemeMemory, Waiting
from closeloop.stages.theme_recall import MEMORY
from closeloop.stats.themes import fit_frame, sums_of
from closeloop.tables import ASSIGNMENT, STATE

ACTION = "theme.migrate"
MEMBERS = 64
"""Stored texts of each theme that are embedded anew: a mean of 64 lies within cosine .99 of that of
all, where two texts of one theme have a cosine of .4 (1 / sqrt(1 + .6 / (64 * .4)) = .988)."""
LEAST_FRAME = 1_000
"""Texts that the frame is fitted to, where there are so many."""


def migrate_themes(context: StepContext) -> None:
    """Move every product whose themes are of another embedding model to the configured one.

    Up to 64 stored texts of each theme, and the texts that wait, are embedded anew. From them come
    the frame (centre and background) and each theme's centre; its size stays. So later texts find
    the old themes under their old ids. Written to the audit log as theme.migrate.
    """
    model_id = context.embedder.model_id
    moved = 0
    for product in products_of(context):
        blob = context.state(MEMORY, scope=product)
        # Of an unchanged model nothing more is read.
        if not blob or model_of(blob) == model_id:
            continue
        memory = ThemeMemory.held(blob)
        if memory is None:
            continue
        old, texts = memory.model_id, _move(context, product, memory)
        context.put_state(MEMORY, memory.to_bytes(), scope=product)
        context.ops.audit(
            actor=ACTOR,
            action=ACTION,
            subject=product,
            detail=f"{old} -> {model_id}: {len(memory.ids)} themes, {texts} texts embedded anew",
            at=context.now,
        )
        context.count("themes moved to another model", len(memory.ids))
        moved += 1
    if moved and context.state(CONFIDENCE) is not None:
        # What was calibrated on the old model's scores says nothing of the new one's.
        context.put_state(CONFIDENCE, json.dumps([0, 0, 1.0, 0.0]).encode())


def products_of(context: StepContext) -> list[str]:
    """Return the products whose themes are remembered."""
    rows = context.rows(STATE, columns=["scope"], where=[("name", "=", MEMORY)])
    return sorted(set(rows.column("scope").to_pylist()))


def model_of(blob: bytes) -> str:
    """Return the embedding model of a theme memory, without reading the rest."""
    with np.load(io.BytesIO(blob), allow_pickle=False) as held:
        return str(held["model_id"])


def _move(context: StepContext, product: str, memory: ThemeMemory) -> int:
    """Make the memory's geometry anew in place; return how many texts were embedded."""
    rows = _assigned(context, product, memory.ids)
    places = np.asarray(rows.column("place"), np.int64)
    counts = np.bincount(places, minlength=len(memory.ids))
    waiting = _waiting_rows(memory.waiting)
    sample = rows.filter(pa.array(ranks(places) < MEMBERS))
    keyed, vectors = embed_anew(context, pa.concat_tables([sample, waiting]))
    places = np.asarray(keyed.column("place"), np.int64)
    inside = places >= 0
    shares = np.append(counts, max(len(waiting), 1))
    if len(vectors):
        memory.frame = fit_frame(vectors[_in_proportion(places, shares)], seed=context.config.seed)
    centred = memory.frame.centred(vectors) if len(vectors) else vectors[:0]
    sums, sizes = sums_of(centred[inside], places[inside], count=len(memory.ids))
    # A theme none of whose texts is left is near nothing from now on.
    memory.sums = sums * (memory.sizes / np.maximum(sizes, 1))[:, None]
    memory.waiting = _moved(memory.waiting, keyed.filter(pa.array(~inside)), centred[~inside])
    # Texts at the edge of a theme were so in the old space only.
    memory.novel, memory.novel_of = None, []
    memory.model_id = context.embedder.model_id
    memory.stale = False
    return len(vectors)


def _assigned(context: StepContext, product: str, ids: list[str]) -> pa.Table:
    """Return feedback_id, revision and place (in ids) of the product's texts, by place and id."""
    where: list[Condition] = [("product", "=", product), ("theme_id", "!=", None)]
    columns = ["feedback_id", "revision", "theme_id"]
    rows = context.rows(ASSIGNMENT, columns=columns, where=where)
    place = pc.index_in(rows.column("theme_id"), value_set=pa.array(ids, pa.string()))
    rows = rows.drop_columns("theme_id").append_column("place", place.cast(pa.int64()))
    rows = rows.filter(pc.is_valid(rows.column("place")))
    # Ids are hashes, so the lowest are a draw that every run repeats.
    return rows.sort_by([(n, "ascending") for n in ("place", "feedback_id", "revision")])


def _waiting_rows(waiting: Waiting) -> pa.Table:
    return pa.table(
        {
            "feedback_id": pa.array(waiting.ids.tolist(), pa.string()),
            "revision": pa.array(waiting.revisions, pa.int64()),
            "place": pa.array(np.full(len(waiting.ids), -1), pa.int64()),
        }
    )


def _moved(waiting: Waiting, keyed: pa.Table, centred: np.ndarray) -> Waiting:
    """Return the waiting texts that are still stored, with their new vectors."""
    kept = np.asarray(are_in(_waiting_rows(waiting), keyed))
    left = waiting.take(kept)
    return Waiting(left.ids, left.revisions, left.times, centred)


def ranks(places: Ints) -> Ints:
    """Return each row's number within its place (places in order)."""
    starts = np.searchsorted(places, places)
    return np.arange(len(places)) - starts


def _in_proportion(places: Ints, counts: Ints) -> np.ndarray:
    """Return which sampled texts stand for all: as many of each theme as its size asks for.

    The share is what the largest theme's sample allows, or more where that would be few texts.
    `counts` holds the sizes by place, last that of the texts that wait (place -1).
    """
    order = np.argsort(places, kind="stable")
    rank = np.empty(len(places), np.int64)
    rank[order] = ranks(places[order])
    share = max(MEMBERS / counts.max(), LEAST_FRAME / counts.sum())
    wanted = np.maximum(np.round(share * counts), 1)
    return np.asarray(rank < wanted[places])
