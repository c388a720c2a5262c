"""Attribute: which change fits each signal, where it concentrates, how severe it is."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.domain.severity import SeverityFacts, severity_of, severity_terms
from closeloop.domain.signal import SignalKind
from closeloop.ports import StepContext, only_if_in
from closeloop.stages.candidates import BASE_DAYS, changes_of, weigh
from closeloop.stages.product_view import ProductView, hour_of, product_view
from closeloop.stats.baseline import Ints
from closeloop.stats.change_point import WINDOW_H
from closeloop.stats.segments import concentration
from closeloop.tables import ATTRIBUTION, ENRICHMENT, SIGNAL

NAME = "attribute"

YOUNG = timedelta(days=10)
"""A signal is weighed again while it is this young: reviews of a new version keep coming."""
AGAIN_AFTER = timedelta(hours=6)
WEIGHED = "attribute.weighed"
"""State: when each young signal was weighed last."""

SEGMENTS = ("region", "platform", "sku", "fulfilment_centre", "customer_tier", "version")
USUAL_DAYS = 90
"""Days before a signal from which the usual share of a segment is taken."""

PHYSICAL, LEGAL, FRAUD = "safety", "legal threat", "fraud or security"
"""Names of the urgency rules behind severity's safety term."""
LEGAL_TEXTS = 2
FRAUD_SHARE = 0.2
"""Angry customers of money apps write "fraud" in passing: it counts when a fifth of them do."""
SAME_TEXTS = 0.5
"""A signal half of whose complaints belong to an earlier one has the same cause."""

Row = dict[str, Any]


def run(context: StepContext) -> None:
    """Weigh the candidates of new, grown and still young signals; fill severity and segment.

    A young signal of which no change is blamed is weighed again every six hours in which feedback
    came. Historic signals are left alone.
    """
    new = context.new_rows(SIGNAL, columns=["signal_id", "historic"]).to_pylist()
    fresh = {r["signal_id"] for r in new if not r["historic"]}
    came = context.new_rows(ENRICHMENT, columns=["product"])
    products = set(pc.unique(came.column("product")).to_pylist())
    weighed = _weighed(context)
    due = fresh | {i for i, at in weighed.items() if context.now - at >= AGAIN_AFTER and products}
    if not due:
        return
    rows = context.rows(SIGNAL, where=[only_if_in("signal_id", due)]).to_pylist()
    chosen = [r for r in rows if r["signal_id"] in fresh or r["product"] in products]
    for product in sorted({r["product"] for r in chosen}):
        own = [r for r in chosen if r["product"] == product]
        own.sort(key=lambda r: (r["detected_at"], r["signal_id"]))
        blamed = _product(context, product, own)
        for row in own:
            young = context.now - row["detected_at"] <= YOUNG and row["signal_id"] not in blamed
            weighed.pop(row["signal_id"], None)
            if young:
                weighed[row["signal_id"]] = context.now
    _remember(context, weighed)
    context.count("weighed", len(chosen))


def _weighed(context: StepContext) -> dict[str, datetime]:
    blob = context.state(WEIGHED)
    held = json.loads(blob) if blob else {}
    return {i: datetime.fromisoformat(at) for i, at in held.items()}


def _remember(context: StepContext, weighed: Mapping[str, datetime]) -> None:
    kept = {i: at.isoformat() for i, at in weighed.items() if context.now - at <= YOUNG}
    context.put_state(WEIGHED, json.dumps(kept, sort_keys=True).encode())


def _product(context: StepContext, product: str, signals: Sequence[Row]) -> set[str]:
    """Weigh a product's signals; return the ids of those for which a change is blamed."""
    oldest = min(r["window_start"] for r in signals)
    history = timedelta(days=max(BASE_DAYS, USUAL_DAYS), hours=WINDOW_H)
    view = product_view(
        context, product, since=oldest - history, segments=(*SEGMENTS[:-1], "flag_states")
    )
    changes = changes_of(context, product)
    attributions = {r["signal_id"]: weigh(context, view, r, changes) for r in signals}
    blamed = {i: a["change_id"] for i, found in attributions.items() for a in found if a["blamed"]}
    _write_attributions(context, attributions)
    family = _recent(context, product, signals)
    causes = _blamed_of(context, [r["signal_id"] for r in family]) | blamed
    changed = []
    for row in signals:
        names = [a["name"] for a in attributions[row["signal_id"]] if a["blamed"]]
        kinds = [a["kind"] for a in attributions[row["signal_id"]] if a["blamed"]]
        judged = _judged(context, view, row, release=f"{kinds[0]} {names[0]}" if names else None)
        judged["parent_id"] = row["parent_id"] or _parent(row, family, causes)
        if any(judged[k] != row[k] for k in judged):
            changed.append({**row, **judged})
    context.merge(SIGNAL, SIGNAL.from_rows(changed))
    return set(blamed)


def _write_attributions(context: StepContext, found: Mapping[str, Sequence[Row]]) -> None:
    """Write what differs from what is held; candidates that no longer are any go."""
    held: dict[str, dict[tuple[str, str], Row]] = {i: {} for i in found}
    for row in context.rows(ATTRIBUTION, where=[only_if_in("signal_id", found)]).to_pylist():
        held[row["signal_id"]][(row["kind"], row["name"])] = row
    for signal_id, rows in found.items():
        gone = set(held[signal_id]) - {(r["kind"], r["name"]) for r in rows}
        for kind, name in sorted(gone):
            context.delete(
                ATTRIBUTION,
                [("signal_id", "=", signal_id), ("kind", "=", kind), ("name", "=", name)],
            )
    changed = [
        r
        for i, rows in found.items()
        for r in rows
        if (old := held[i].get((r["kind"], r["name"]))) is None or any(old[k] != r[k] for k in r)
    ]
    context.merge(ATTRIBUTION, ATTRIBUTION.from_rows(changed))


def _recent(context: StepContext, product: str, signals: Iterable[Row]) -> list[Row]:
    """Return the product's live signals that may share a cause with these, first one first."""
    since = min(r["window_start"] for r in signals) - YOUNG
    rows = context.rows(
        SIGNAL,
        columns=[
            "signal_id",
            "parent_id",
            "detected_at",
            "window_start",
            "window_end",
            "feedback_ids",
        ],
        where=[("product", "=", product), ("historic", "=", False), ("window_end", ">=", since)],
    ).to_pylist()
    return sorted(rows, key=lambda r: (r["detected_at"], r["window_start"], r["signal_id"]))


def _blamed_of(context: StepContext, signal_ids: Sequence[str]) -> dict[str, str]:
    rows = context.rows(
        ATTRIBUTION,
        columns=["signal_id", "change_id"],
        where=[only_if_in("signal_id", signal_ids), ("blamed", "=", True)],
    )
    return {r["signal_id"]: r["change_id"] for r in rows.to_pylist()}


def _parent(row: Row, family: Sequence[Row], causes: Mapping[str, str]) -> str | None:
    """Return the first signal that overlaps in time and has the same blamed change or texts."""
    own = set(row["feedback_ids"] or ())
    for other in family:
        if other["signal_id"] == row["signal_id"]:
            return None
        cause = causes.get(row["signal_id"])
        same_cause = cause is not None and causes.get(other["signal_id"]) == cause
        shared = len(own & set(other["feedback_ids"] or ()))
        overlap = other["window_end"] > row["window_start"] - YOUNG
        if overlap and (same_cause or (own and shared >= SAME_TEXTS * len(own))):
            return str(other["parent_id"] or other["signal_id"])
    return None


def _judged(context: StepContext, view: ProductView, row: Row, *, release: str | None) -> Row:
    """Return severity, its terms, and the segment in which the complaints concentrate."""
    ids = pa.array(row["feedback_ids"] or [], pa.string())
    inside = np.flatnonzero(np.asarray(pc.is_in(view.rows.column("feedback_id"), value_set=ids)))
    category = context.config.taxonomy.category(row["category"] or "")
    weights = context.config.policy.weights
    negative = view.numbers("sentiment")[inside]
    terms = severity_terms(
        SeverityFacts(
            negative=float(np.nanmean(negative)) if np.isfinite(negative).any() else 0.0,
            count=row["count"],
            baseline=row["baseline"],
            count_6h=row["count_6h"] or 0,
            baseline_6h=row["baseline_6h"] or 0.0,
            authors=row["authors"] or 0,
            impact=category.impact if category else 0.5,
            category=row["category"] or "unknown",
            release=release,
            safety_words=_safety_words(view, inside),
        ),
        weights,
    )
    said = [
        {
            "name": t.name,
            "value": t.value,
            "weight": t.weight,
            "points": t.points,
            "reason": t.reason,
        }
        for t in terms
    ]
    return {
        "severity": severity_of(terms, weights).value,
        "severity_terms": said,
        "segment": _segment(view, row, inside),
    }


def _safety_words(view: ProductView, inside: Ints) -> tuple[str, ...]:
    """Return what the complaints tell of danger, law and fraud.

    One text that tells of an injury is enough, and no kind word beside it takes it back.
    """
    reasons = view.rows.column("urgency_reasons").take(pa.array(inside)).to_pylist()
    told = Counter(reason for found in reasons for reason in set(found or ()))
    needed = {PHYSICAL: 1, LEGAL: LEGAL_TEXTS, FRAUD: max(2.0, FRAUD_SHARE * len(inside))}
    return tuple(name for name, texts in needed.items() if told[name] >= texts)


def _segment(view: ProductView, row: Row, inside: Ints) -> str | None:
    """Say where the complaints concentrate, against the 90 days before.

    Versions replace each other, so theirs are compared with the other feedback of the same time.
    """
    start, end = hour_of(row["window_start"]), hour_of(row["window_end"])
    before = (view.hours < start) & (view.hours >= start - USUAL_DAYS * 24)
    beside = (view.hours >= start) & (view.hours < end)
    beside[inside] = False
    said = []
    for column in SEGMENTS:
        if column == "version" and row["kind"] == SignalKind.RELEASE:
            continue
        usual = np.flatnonzero(beside if column == "version" else before)
        values = view.rows.column(column)
        found = concentration(
            column,
            values.take(pa.array(inside)).to_pylist(),
            values.take(pa.array(usual)).to_pylist(),
        )
        if found is not None:
            said.append(str(found))
    return "; ".join(said) or None
