"""Gathers what makes a signal severe, and the segment in which its complaints concentrate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.domain.severity import (
    SeverityFacts,
    negativity,
    severity_of,
    severity_terms,
    told_dangers,
)
from closeloop.domain.signal import SignalKind
from closeloop.ports import StepContext
from closeloop.stages.product_view import CELL_COLUMNS, Cell, ProductView, coded, hour_of
from closeloop.stats.baseline import Ints
from closeloop.stats.segments import Concentration, concentration

SEGMENTS = (*CELL_COLUMNS, "version")
USUAL_DAYS = 90
"""Days before a signal from which the usual share of a segment is taken."""

Row = dict[str, Any]


def judged(
    context: StepContext,
    view: ProductView,
    row: Mapping[str, Any],
    *,
    inside: Ints,
    cause: str | None,
) -> Row:
    """Return severity, its terms, and the segment of a row of gold.signal.

    `inside` are the rows of all its complaints, in order of time; `cause` is blamed.
    """
    weights = context.config.policy.weights
    facts = _facts(context, view, row, inside, cause=cause)
    terms = severity_terms(facts, weights)
    concentrated = _concentrations(view, row, inside)
    return {
        "severity": severity_of(terms, weights).value,
        "severity_terms": [asdict(t) | {"points": t.points} for t in terms],
        "segment": "; ".join(map(str, concentrated)) or None,
        "segments": _segments(row, concentrated),
        "order_value": facts.order_value,
        "tiers": [{"tier": tier, "authors": authors} for tier, authors in facts.tiers],
    }


def _facts(
    context: StepContext,
    view: ProductView,
    row: Mapping[str, Any],
    inside: Ints,
    *,
    cause: str | None,
) -> SeverityFacts:
    category = context.config.taxonomy.category(row["category"] or "")
    negative = view.numbers("sentiment")[inside]
    negative = negative[np.isfinite(negative)]
    chosen = pa.array(inside)
    values = pc.drop_null(view.rows.column("order_value").take(chosen))
    newest = int(view.hours[inside].max()) if len(inside) else hour_of(context.now)
    return SeverityFacts(
        negative=negativity(negative.tolist()),
        count=row["count"],
        baseline=row["baseline"],
        count_6h=row["count_6h"] or 0,
        baseline_6h=row["baseline_6h"] or 0.0,
        authors=row["authors"] or 0,
        impact=category.impact if category else 0.5,
        category=row["category"] or "unknown",
        release=cause,
        safety_words=told_dangers(
            [r or () for r in view.rows.column("urgency_reasons").take(chosen).to_pylist()]
        ),
        order_value=float(pc.sum(pc.max_element_wise(values, 0.0)).as_py() or 0.0),
        orders=len(values),
        tiers=_tiers(view, chosen),
        hours_since=float(hour_of(context.now) - newest),
    )


def _tiers(view: ProductView, chosen: pa.Array) -> tuple[tuple[str, int], ...]:
    """Return authors by tier; a complaint without a known author is one of its own."""
    tier = coded(view.rows.column("customer_tier").take(chosen))
    author = coded(view.rows.column("author_key").take(chosen)).codes
    own = np.where(author >= 0, author, len(author) + np.arange(len(author)))
    pairs = np.unique(np.stack([tier.codes, own], axis=1)[tier.codes >= 0], axis=0)
    counts = np.bincount(pairs[:, 0], minlength=len(tier.names)).tolist()
    return tuple((name, n) for name, n in zip(tier.names, counts, strict=True) if name)


def _segments(row: Mapping[str, Any], concentrated: Sequence[Concentration]) -> list[str]:
    """Return the "column=value" of where complaints concentrate; a cell's own comes first."""
    found = [f"{one.column}={one.value}" for one in concentrated]
    if row["kind"] == SignalKind.SEGMENT:
        cell = Cell.of(row["series_id"])
        found.insert(0, f"{cell.column}={cell.value}")
    return list(dict.fromkeys(found))


def _concentrations(view: ProductView, row: Mapping[str, Any], inside: Ints) -> list[Concentration]:
    """Return where the complaints `inside` (rows) concentrate, against the 90 days before.

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
            said.append(found)
    return said
