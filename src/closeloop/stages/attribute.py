"""Attribute: which change fits each signal, where it concentrates, how severe it is."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
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
SURE = 0.95
"""From this posterior on a change is blamed at once."""
HOLDS_FOR = timedelta(hours=12)
"""Under it the posterior must hold for so long: a signal is weighed many times, and one lucky look
among them must not name a culprit."""
CLEARED_BELOW = 0.5
"""A blamed change is cleared again under this posterior."""
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

    A young signal for which no change is blamed is weighed again every six hours in which feedback
    came. Historic signals are left alone.
    """
    new = context.new_rows(SIGNAL, columns=["signal_id", "historic"]).to_pylist()
    fresh = {r["signal_id"] for r in new if not r["historic"]}
    came = context.new_rows(ENRICHMENT, columns=["product"])
    products = set(pc.unique(came.column("product")).to_pylist())
    young = _young(context)
    due = {i for i, y in young.items() if products and context.now - y.weighed_at >= AGAIN_AFTER}
    if not (due | fresh):
        return
    rows = context.rows(SIGNAL, where=[only_if_in("signal_id", due | fresh)]).to_pylist()
    chosen = [r for r in rows if r["signal_id"] in fresh or r["product"] in products]
    for product in sorted({r["product"] for r in chosen}):
        own = [r for r in chosen if r["product"] == product]
        own.sort(key=lambda r: (r["detected_at"], r["signal_id"]))
        _product(context, product, own, young)
    _remember(context, young)
    context.count("weighed", len(chosen))


@dataclass(frozen=True, slots=True)
class _Young:
    """When a young signal was weighed last, and since when each change was over the threshold."""

    weighed_at: datetime
    over: Mapping[str, datetime]


def _young(context: StepContext) -> dict[str, _Young]:
    blob = context.state(WEIGHED)
    return {
        i: _Young(
            datetime.fromisoformat(y["at"]),
            {c: datetime.fromisoformat(t) for c, t in y["over"].items()},
        )
        for i, y in (json.loads(blob) if blob else {}).items()
    }


def _remember(context: StepContext, young: Mapping[str, _Young]) -> None:
    kept = {
        i: {
            "at": y.weighed_at.isoformat(),
            "over": {c: t.isoformat() for c, t in y.over.items()},
        }
        for i, y in young.items()
        if context.now - y.weighed_at <= YOUNG
    }
    context.put_state(WEIGHED, json.dumps(kept, sort_keys=True).encode())


def _product(
    context: StepContext, product: str, signals: Sequence[Row], young: dict[str, _Young]
) -> None:
    """Weigh a product's signals, and bring `young` up to date."""
    oldest = min(r["window_start"] for r in signals)
    history = timedelta(days=max(BASE_DAYS, USUAL_DAYS), hours=WINDOW_H)
    view = product_view(
        context, product, since=oldest - history, segments=(*SEGMENTS[:-1], "flag_states")
    )
    changes = changes_of(context, product)
    family = _recent(context, product, signals)
    held = _attributions_of(context, [r["signal_id"] for r in family])
    causes = {i: a["change_id"] for i, found in held.items() for a in found if a["blamed"]}
    posteriors = {i: {a["change_id"]: a["posterior"] for a in found} for i, found in held.items()}
    attributions: dict[str, list[Row]] = {}
    # The larger first: its verdict counts for its parts.
    for row in sorted(signals, key=lambda r: (-r["count"], r["signal_id"])):
        signal_id = row["signal_id"]
        leader = posteriors.get(_leader(row, family))
        found = weigh(context, view, row, changes, leader=leader)
        posteriors[signal_id] = {a["change_id"]: a["posterior"] for a in found}
        before = young.pop(signal_id, None)
        over = dict(before.over) if before else {}
        attributions[signal_id] = _settled(context.now, found, causes.get(signal_id), over)
        causes.pop(signal_id, None)
        for blamed in (a for a in attributions[signal_id] if a["blamed"]):
            causes[signal_id] = blamed["change_id"]
        if context.now - row["detected_at"] <= YOUNG and signal_id not in causes:
            young[signal_id] = _Young(context.now, over)
    _write_attributions(context, attributions)
    changed = []
    for row in signals:
        culprit = next((a for a in attributions[row["signal_id"]] if a["blamed"]), None)
        release = f"{culprit['kind']} {culprit['name']}" if culprit else None
        judged = _judged(context, view, row, release=release)
        judged["parent_id"] = row["parent_id"] or _parent(row, family, causes)
        if any(judged[k] != row[k] for k in judged):
            changed.append({**row, **judged})
    context.merge(SIGNAL, SIGNAL.from_rows(changed))


def _settled(
    now: datetime, found: Sequence[Row], blamed_before: str | None, over: dict[str, datetime]
) -> list[Row]:
    """Return candidates with blame settled: at once where sure, else where it holds for a while.

    `over` is brought up to date: since when each change was over the threshold.
    """
    settled = []
    for row in found:
        change = row["change_id"]
        if not row["blamed"]:
            over.pop(change, None)
        since = over.setdefault(change, now) if row["blamed"] else now
        sure = row["posterior"] >= SURE or now - since >= HOLDS_FOR
        blamed = row["blamed"] and sure
        if change is not None and change == blamed_before:
            blamed = row["posterior"] >= CLEARED_BELOW
        settled.append({**row, "blamed": blamed})
    return settled


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
            "count",
            "parent_id",
            "detected_at",
            "window_start",
            "window_end",
            "feedback_ids",
        ],
        where=[("product", "=", product), ("historic", "=", False), ("window_end", ">=", since)],
    ).to_pylist()
    return sorted(rows, key=lambda r: (r["detected_at"], r["window_start"], r["signal_id"]))


def _attributions_of(context: StepContext, signal_ids: Sequence[str]) -> dict[str, list[Row]]:
    rows = context.rows(
        ATTRIBUTION,
        columns=["signal_id", "change_id", "posterior", "blamed"],
        where=[only_if_in("signal_id", signal_ids)],
    )
    found: dict[str, list[Row]] = {}
    for row in rows.to_pylist():
        found.setdefault(row["signal_id"], []).append(row)
    return found


def _leader(row: Row, family: Sequence[Row]) -> str:
    """Return the largest signal of the same days, "" where none is larger than this one."""
    beside = [
        other
        for other in family
        if other["count"] > row["count"]
        and other["window_start"] < row["window_end"]
        and row["window_start"] < other["window_end"]
    ]
    return str(max(beside, key=lambda r: r["count"])["signal_id"]) if beside else ""


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
