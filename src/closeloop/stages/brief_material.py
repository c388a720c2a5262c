"""Reads what the fact sheet of a signal is computed from: its reviews, series, causes, tickets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from closeloop.domain.product import OwnerRule
from closeloop.domain.signal import Attribution, Signal, SignalKind
from closeloop.domain.ticket import Ticket
from closeloop.ports import Condition, StepContext, of_model, only_if_in
from closeloop.stages.past_tickets import past_tickets
from closeloop.stages.product_view import cell_said
from closeloop.stages.quotations import Candidate
from closeloop.tables import (
    ATTRIBUTION,
    CHANGE,
    EMBEDDING,
    ENRICHMENT,
    EXPOSURE,
    FEEDBACK,
    SERIES,
    SUSPECT,
    THEME,
)

BASELINE_DAYS = 28
"""Days before the window that shares are compared with: the half-life of the detector's baseline."""

TREND_DAYS = 7
MAX_REVIEWS = 20_000
"""Newest reviews of a window that are looked at; counts come from the series, not from these."""

MAX_VECTORS = 400
"""Newest complaints whose vectors are read to choose quotations."""

MAX_DISSENTING = 200
NOT_NEGATIVE = 0.3
"""P(negative) below which a review of the same time counts as disagreeing."""

_REVIEW_COLUMNS = (
    "feedback_id",
    "revision",
    "text",
    "masker",
    "rating",
    "event_time",
    "version",
    "author_key",
    "duplicate_of",
    "platform",
    "order_value",
    "region",
    "customer_tier",
    "entities",
)
_JUDGED_COLUMNS = (
    "feedback_id",
    "revision",
    "sentiment",
    "urgency",
    "urgency_reasons",
    "content_free",
)


@dataclass(frozen=True, slots=True)
class Hourly:
    """Complaints of one hour: of the signal's own series and of the whole product."""

    hour: datetime
    own: int
    total: int


@dataclass(frozen=True, slots=True)
class Material:
    """All that a fact sheet is computed from.

    `reviews` are the product's reviews in the window (latest revision, masked, no repeats) as rows
    with what text and vector say of them; `complaints` those that the signal rests on.
    """

    signal: Signal
    product_name: str
    label: str
    attributions: tuple[Attribution, ...]
    suspects: Sequence[Mapping[str, Any]]
    changes: Mapping[str, Mapping[str, Any]]
    reviews: Sequence[Mapping[str, Any]]
    complaints: Sequence[Mapping[str, Any]]
    vectors: Mapping[str, Any]
    hours: Sequence[Hourly]
    exposure: Sequence[Mapping[str, Any]]
    past_tickets: Sequence[Ticket]
    owner: OwnerRule
    now: datetime

    def candidates(self, rows: Sequence[Mapping[str, Any]]) -> list[Candidate]:
        """Return rows as candidates for quotations."""
        return [
            Candidate(
                feedback_id=row["feedback_id"],
                text=row["text"] or "",
                rating=row["rating"],
                event_time=row["event_time"],
                version=row["version"],
                author=row["author_key"],
                vector=self.vectors.get(row["feedback_id"]),
            )
            for row in rows
        ]

    def dissenting(self) -> list[Mapping[str, Any]]:
        """Return reviews of the window that do not complain, newest last, at most 200."""
        own = {row["feedback_id"] for row in self.complaints}
        return [r for r in self.reviews if _disagrees(r) and r["feedback_id"] not in own][
            -MAX_DISSENTING:
        ]


def gather(context: StepContext, signal: Signal) -> Material:
    """Read the material of one signal, as it is known at this pass."""
    reviews = _reviews(context, signal)
    own = set(signal.feedback_ids)
    complaints = [row for row in reviews if row["feedback_id"] in own]
    product = next((p for p in context.config.products if p.product_id == signal.product), None)
    label, owned = _label(context, signal)
    attributions = attributions_of(context, signal.signal_id)
    words = frozenset(owned.casefold().split()) | _components(complaints)
    material = Material(
        signal=signal,
        product_name=product.name if product else signal.product,
        label=label,
        attributions=attributions,
        suspects=_suspects(context, signal.signal_id),
        changes=_changes(context, attributions),
        reviews=reviews,
        complaints=complaints,
        vectors={},
        hours=_hours(context, signal),
        exposure=_exposure(context, signal),
        past_tickets=past_tickets(context, signal),
        owner=context.config.owners.owner_of(
            product=signal.product, category=signal.category, words=words
        ),
        now=context.now,
    )
    return _with_vectors(context, material)


def attributions_of(context: StepContext, signal_id: str) -> tuple[Attribution, ...]:
    """Return the candidates of a signal, the most probable first."""
    rows = context.rows(ATTRIBUTION, where=[("signal_id", "=", signal_id)]).to_pylist()
    found = [
        Attribution(
            signal_id=row["signal_id"],
            change_id=row["change_id"],
            kind=row["kind"],
            name=row["name"] or "",
            posterior=row["posterior"] or 0.0,
            effect=row["effect"],
            effect_low=row["effect_low"],
            effect_high=row["effect_high"],
            exposed=row["exposed"],
            unexposed=row["unexposed"],
            blamed=bool(row["blamed"]),
            reasons=tuple(row["reasons"] or ()),
        )
        for row in rows
    ]
    return tuple(sorted(found, key=lambda a: (not a.blamed, -a.posterior, a.kind, a.name)))


def _suspects(context: StepContext, signal_id: str) -> list[dict[str, Any]]:
    rows = context.rows(SUSPECT, where=[("signal_id", "=", signal_id)]).to_pylist()
    return sorted(rows, key=lambda r: r["place"])


def _window(signal: Signal) -> list[Condition]:
    return [
        ("product", "=", signal.product),
        ("event_time", ">=", signal.window_start),
        ("event_time", "<", signal.window_end),
    ]


def _reviews(context: StepContext, signal: Signal) -> list[dict[str, Any]]:
    rows = context.rows(FEEDBACK, columns=_REVIEW_COLUMNS, where=_window(signal))
    rows = _latest(rows.sort_by([("event_time", "ascending"), ("feedback_id", "ascending")]))
    judged = _latest(context.rows(ENRICHMENT, columns=_JUDGED_COLUMNS, where=_window(signal)))
    said = {row["feedback_id"]: row for row in judged.to_pylist()}
    return [
        row | {k: v for k, v in said.get(row["feedback_id"], {}).items() if k not in row}
        for row in rows.slice(max(0, rows.num_rows - MAX_REVIEWS)).to_pylist()
        # A text without a masker's version may go nowhere; a repeat says nothing new.
        if row["masker"] is not None and row["duplicate_of"] is None
    ]


def _latest(rows: pa.Table) -> pa.Table:
    newest: dict[str, tuple[int, int]] = {}
    pairs = zip(
        rows.column("feedback_id").to_pylist(), rows.column("revision").to_pylist(), strict=True
    )
    for position, (feedback_id, revision) in enumerate(pairs):
        if feedback_id not in newest or revision > newest[feedback_id][0]:
            newest[feedback_id] = (revision, position)
    return rows.take(pa.array(sorted(p for _, p in newest.values()), pa.int64()))


def _label(context: StepContext, signal: Signal) -> tuple[str, str]:
    """Return what a signal is about, and the words of it that its owner is found by.

    They differ where a model named the theme: no model's words choose an owner.
    """
    if signal.theme_id is not None:
        columns = ["label", "words", "named_by"]
        themes = context.rows(THEME, columns=columns, where=[("theme_id", "=", signal.theme_id)])
        for theme in themes.to_pylist():
            if theme["label"]:
                owned = theme["words"] or "" if theme["named_by"] else theme["label"]
                return str(theme["label"]), str(owned)
    if signal.kind is SignalKind.RELEASE and signal.version:
        said = f"version {signal.version}"
    elif signal.kind is SignalKind.SEGMENT:
        said = cell_said(signal.series_id)
    else:
        said = signal.category or signal.series_id
    return said, said


def _components(complaints: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    named: dict[str, int] = {}
    for row in complaints:
        for entity in row["entities"] or ():
            if entity["type"] == "component" and entity["value"]:
                value = str(entity["value"]).casefold()
                named[value] = named.get(value, 0) + 1
    # One complaint in five that names a component makes it the subject, not an aside.
    return frozenset(name for name, count in named.items() if count * 5 >= len(complaints))


def _changes(
    context: StepContext, attributions: Sequence[Attribution]
) -> dict[str, Mapping[str, Any]]:
    ids = {a.change_id for a in attributions if a.change_id}
    if not ids:
        return {}
    rows = context.rows(CHANGE, where=[only_if_in("change_id", ids)]).to_pylist()
    return {
        r["change_id"]: r for r in rows if r["known_at"] is None or r["known_at"] <= context.now
    }


def _hours(context: StepContext, signal: Signal) -> list[Hourly]:
    series_kind = {SignalKind.THEME: "theme", SignalKind.CATEGORY: "category"}.get(signal.kind)
    since = signal.window_start - timedelta(days=BASELINE_DAYS)
    rows = context.rows(
        SERIES,
        columns=["series_kind", "series_id", "hour", "count"],
        where=[
            ("product", "=", signal.product),
            ("series_kind", "in", sorted({series_kind or "total", "total"})),
            ("hour", ">=", since),
            ("hour", "<", signal.window_end),
        ],
    ).to_pylist()
    own: dict[datetime, int] = {}
    total: dict[datetime, int] = {}
    for row in rows:
        if row["series_kind"] == "total":
            total[row["hour"]] = row["count"] or 0
        elif row["series_id"] == signal.series_id:
            own[row["hour"]] = row["count"] or 0
    if series_kind is None:
        own = total
    return [Hourly(h, own.get(h, 0), total.get(h, 0)) for h in sorted({*own, *total})]


def _exposure(context: StepContext, signal: Signal) -> list[dict[str, Any]]:
    since = signal.window_start - timedelta(days=1)
    where = [
        ("product", "=", signal.product),
        ("start", ">=", since),
        ("start", "<", signal.window_end),
    ]
    return [r for r in context.rows(EXPOSURE, where=where).to_pylist() if r["users"] is not None]


def _with_vectors(context: StepContext, material: Material) -> Material:
    rows = [*material.complaints[-MAX_VECTORS:], *material.dissenting()]
    ids = {row["feedback_id"] for row in rows}
    if not ids:
        return material
    table = context.rows(
        EMBEDDING,
        columns=["feedback_id", "revision", "model", "vector"],
        where=[only_if_in("feedback_id", ids)],
    )
    # Vectors of an earlier model can't be compared with these.
    table = _latest(table.filter(of_model(table.column("model"), context.embedder.model_id)))
    vectors = dict(
        zip(
            table.column("feedback_id").to_pylist(),
            (np.asarray(v, dtype=np.float32) for v in table.column("vector").to_pylist()),
            strict=True,
        )
    )
    return replace(material, vectors=vectors)


def _disagrees(row: Mapping[str, Any]) -> bool:
    sentiment = row.get("sentiment")
    return sentiment is not None and sentiment < NOT_NEGATIVE and not row.get("content_free")
