"""Ranks the commits or notes of the change that is most likely behind a signal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from closeloop.ports import StepContext, Vectors, only_if_in
from closeloop.stages.product_view import ProductView, latest_revisions
from closeloop.stats.baseline import Floats, Ints
from closeloop.stats.suspects import rank
from closeloop.tables import EMBEDDING, FEEDBACK, SUSPECT

LIKELY = 0.5
"""A change that is less likely behind a signal is not looked into."""
SHOWN = 5
MAX_TEXTS = 200
"""Newest complaints, and newest other feedback of the product, whose words are compared."""
BASIS = "ranked by words and owner, no proof"
BASIS_WITH_MEANING = "ranked by words, meaning and owner, no proof"

Row = dict[str, Any]


def write_suspects(
    context: StepContext,
    view: ProductView,
    row: Mapping[str, Any],
    candidates: Sequence[Row],
    changes: Sequence[Row],
    *,
    inside: Ints,
) -> None:
    """Write the most suspect items of the likely change of a signal; none where it holds none.

    `inside` are the rows of the signal's complaints.
    """
    likely = max(
        (c for c in candidates if c["change_id"] is not None),
        key=lambda c: (c["blamed"], c["posterior"], c["name"]),
        default=None,
    )
    held = context.rows(SUSPECT, where=[("signal_id", "=", row["signal_id"])]).to_pylist()
    items: list[Row] = []
    if likely is not None and (likely["blamed"] or likely["posterior"] >= LIKELY):
        change = next(c for c in changes if c["change_id"] == likely["change_id"])
        items = json.loads(change["notes"] or "[]")
    fresh = (
        _ranked(context, view, row, likely["change_id"], items, inside=inside)
        if likely and items
        else []
    )
    if [{k: r[k] for k in r if k != "batch_id"} for r in _ordered(held)] == fresh:
        return
    if held:
        context.delete(SUSPECT, [("signal_id", "=", row["signal_id"])])
    context.merge(SUSPECT, SUSPECT.from_rows(fresh))


def _ordered(rows: Sequence[Row]) -> list[Row]:
    return sorted(rows, key=lambda r: r["place"])


def _ranked(
    context: StepContext,
    view: ProductView,
    row: Mapping[str, Any],
    change_id: str,
    items: Sequence[Row],
    *,
    inside: Ints,
) -> list[Row]:
    own = view.ids(inside[-MAX_TEXTS:])
    others = view.ids(np.setdiff1d(np.arange(len(view.hours)), inside)[-MAX_TEXTS:])
    texts = _texts(context, [*own, *others])
    owner = context.config.owners.owner_of(product=view.product, category=row["category"])
    likeness = _likeness(context, [_said(i) for i in items], own)
    suspects = rank(
        [(i["text"], i["paths"]) for i in items],
        [texts[i] for i in own if i in texts],
        [texts[i] for i in others if i in texts],
        likeness=likeness,
        owner_words=[*owner.words, *filter(None, (owner.component, row["category"]))],
    )
    return [
        {
            "signal_id": row["signal_id"],
            "change_id": change_id,
            "place": s.place,
            "item_id": items[s.index]["id"],
            "text": items[s.index]["text"],
            "paths": items[s.index]["paths"],
            "score": s.score,
            "of": len(items),
            "shared": list(s.shared[:SHOWN]),
            "basis": BASIS if likeness is None else BASIS_WITH_MEANING,
        }
        for s in suspects[:SHOWN]
    ]


def _said(item: Row) -> str:
    """Return an item's text, with the names of its files where the text says little."""
    paths = " ".join(str(p).rsplit("/", 1)[-1] for p in item["paths"][:3])
    return f"{item['text']} {paths}".strip()


def _texts(context: StepContext, ids: Sequence[str]) -> dict[str, str]:
    rows = latest_revisions(
        context.rows(
            FEEDBACK,
            columns=["feedback_id", "revision", "text", "masker"],
            where=[only_if_in("feedback_id", ids)],
        )
    ).to_pylist()
    return {r["feedback_id"]: r["text"] for r in rows if r["masker"] is not None and r["text"]}


def _likeness(context: StepContext, items: Sequence[str], own: Sequence[str]) -> Floats | None:
    """Return the cosine of each item with the mean of the complaints, None without vectors."""
    rows = context.rows(
        EMBEDDING,
        columns=["vector"],
        where=[only_if_in("feedback_id", own), ("model", "=", context.embedder.model_id)],
    )
    if rows.num_rows == 0:
        return None
    mean = np.mean(np.stack(rows.column("vector").to_pylist()).astype(np.float64), axis=0)
    vectors: Vectors = context.embedder.embed(list(items))
    cosine = vectors.astype(np.float64) @ (mean / max(float(np.linalg.norm(mean)), 1e-9))
    return np.asarray(cosine)
