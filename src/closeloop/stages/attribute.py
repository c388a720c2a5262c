"""Attribute: which change fits each signal, where it concentrates, how severe it is."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from closeloop.domain.severity import SeverityFacts, severity_of, severity_terms
from closeloop.ports import StepContext
from closeloop.stages.product_view import (
    SEGMENT_COLUMNS,
    ProductView,
    hour_of,
    product_view,
    time_of,
)
from closeloop.stats.change_point import (
    BLAME_AT,
    PRIOR_NONE,
    WINDOW_H,
    candidate_likelihood,
    none_likelihood,
    posterior,
)
from closeloop.stats.odds import OddsRatio, odds_ratio
from closeloop.stats.release_watch import LOW_STARS
from closeloop.stats.segments import concentration
from closeloop.tables import ATTRIBUTION, CHANGE, ENRICHMENT, SIGNAL

NAME = "attribute"

Ints = npt.NDArray[np.int64]

ACTIVE = timedelta(hours=72)
"""A signal is looked at again while it is this young: reviews of a new version keep coming."""
SAFETY_REASONS = ("safety", "fraud", "security", "legal")
WATCH_FACTOR_CAP = 20.0
BASE_DAYS = 45
MOVED = 0.02
"""A posterior that moved by less is not written again."""


def run(context: StepContext) -> None:
    """Weigh the candidates of new, grown and still young signals; fill severity and segment."""
    new = context.new_rows(SIGNAL, columns=["signal_id", "historic"]).to_pylist()
    fresh = {r["signal_id"] for r in new if not r["historic"]}
    grown = context.new_rows(ENRICHMENT, columns=["product"])
    products = set(pc.unique(grown.column("product")).to_pylist())
    if not fresh and not products:
        return
    rows = context.rows(
        SIGNAL,
        where=[("historic", "=", False), ("window_end", ">", context.now - ACTIVE)],
    ).to_pylist()
    chosen = [r for r in rows if r["signal_id"] in fresh or r["product"] in products]
    missing = fresh - {r["signal_id"] for r in chosen}
    if missing:
        chosen += context.rows(SIGNAL, where=[("signal_id", "in", sorted(missing))]).to_pylist()
    for product in sorted({r["product"] for r in chosen}):
        own = [r for r in chosen if r["product"] == product]
        _product(context, product, sorted(own, key=lambda r: (r["detected_at"], r["signal_id"])))


def _product(context: StepContext, product: str, signals: list[dict[str, Any]]) -> None:
    oldest = min(r["window_start"] for r in signals)
    view = product_view(context, product, since=oldest - timedelta(days=BASE_DAYS + 10))
    changes = _changes(context, product)
    held = _held(context, [r["signal_id"] for r in signals])
    attributions, changed = [], []
    blamed: dict[str, str] = {}
    for row in signals:
        found = _weigh(context, view, row, changes)
        blame = next((a for a in found if a["blamed"]), None)
        if blame is not None:
            blamed[row["signal_id"]] = blame["change_id"]
        if _differs(held.get(row["signal_id"], []), found):
            attributions += found
        updated = {**row, **_judged(context, view, row, blame)}
        updated["parent_id"] = _parent(updated, signals, blamed)
        if (
            any(updated[k] != row[k] for k in ("severity", "segment", "parent_id"))
            or not row["severity_terms"]
        ):
            changed.append(updated)
    if attributions:
        context.merge(ATTRIBUTION, ATTRIBUTION.from_rows(attributions))
    if changed:
        context.merge(SIGNAL, SIGNAL.from_rows(changed))
    context.count("weighed", len(signals))


def _changes(context: StepContext, product: str) -> list[dict[str, Any]]:
    rows = context.rows(CHANGE).to_pylist()
    return sorted(
        (
            r
            for r in rows
            if r["product"] in (product, None, "", "*")
            and r["started_at"] <= context.now
            and (r["known_at"] or r["started_at"]) <= context.now
        ),
        key=lambda r: (r["started_at"], r["change_id"]),
    )


def _held(context: StepContext, ids: list[str]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in context.rows(ATTRIBUTION, where=[("signal_id", "in", ids)]).to_pylist():
        found.setdefault(row["signal_id"], []).append(row)
    return found


def _differs(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> bool:
    old = {(r["kind"], r["name"]): r for r in before}
    if set(old) != {(r["kind"], r["name"]) for r in after}:
        return True
    return any(
        abs(r["posterior"] - old[(r["kind"], r["name"])]["posterior"]) > MOVED
        or r["blamed"] != old[(r["kind"], r["name"])]["blamed"]
        for r in after
    )


def _weigh(
    context: StepContext, view: ProductView, row: dict[str, Any], changes: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return the candidates of one signal with posteriors that sum to 1."""
    end = hour_of(min(context.now, row["window_end"] + ACTIVE))
    first = end - WINDOW_H + 1
    complaints = _members(view, row)
    inside = complaints[(view.hours[complaints] >= first) & (view.hours[complaints] <= end)]
    counts = np.bincount(view.hours[inside] - first, minlength=WINDOW_H).astype(float)
    hours = max((row["window_end"] - row["window_start"]) / timedelta(hours=1), 1.0)
    usual = _usual_rate(view, complaints, first, fallback=row["baseline"] / hours)
    expected = np.full(WINDOW_H, usual)
    phi = 0.2
    candidates = [
        c
        for c in changes
        if c["started_at"] > time_of(first) - timedelta(hours=24)
        and c["started_at"] < row["window_end"]
        and (c["ended_at"] is None or c["ended_at"] > row["window_start"])
    ]
    logs = [np.log(PRIOR_NONE) + none_likelihood(counts, expected, phi)]
    ratios: list[OddsRatio | None] = []
    for candidate in candidates:
        ratio = _odds(view, candidate, complaints, end)
        ratios.append(ratio)
        start_h = (candidate["started_at"] - time_of(first)) / timedelta(hours=1)
        ended = candidate["ended_at"]
        over = None if ended is None else (ended - time_of(first)) / timedelta(hours=1)
        weight = np.log((1 - PRIOR_NONE) / len(candidates))
        weight += candidate_likelihood(counts, expected, start_h, phi, end_h=over)
        if ratio is not None and ratio.enough:
            weight += np.log(ratio.bayes_factor)
            if row["kind"] == "release" and candidate["version"] == row["version"]:
                # The watch's own evidence rests on the same reviews: half of it counts.
                weight += 0.5 * np.log(min(max(row["evidence"], 1.0), WATCH_FACTOR_CAP))
        logs.append(float(weight))
    shares = posterior(logs)
    out = [_row(row, None, shares[0], None, ["no change explains the time and who complains"])]
    for candidate, ratio, share in zip(candidates, ratios, shares[1:], strict=True):
        out.append(_row(row, candidate, share, ratio, _reasons(row, candidate, ratio)))
    return out


def _members(view: ProductView, row: dict[str, Any]) -> Ints:
    """Return the rows that count as complaints of this signal's series."""
    if row["kind"] == "release":
        return np.flatnonzero(view.testable & (view.rating <= LOW_STARS))
    column = view.theme if row["kind"] == "theme" else view.category
    return np.flatnonzero(view.complaint & view.testable & (column == row["series_id"]))


def _usual_rate(view: ProductView, complaints: Ints, first: int, *, fallback: float) -> float:
    before = view.hours[complaints] < first
    if len(view.hours) == 0 or view.hours[0] >= first - 24 * 7:
        return max(fallback, 1e-3)
    span = first - max(int(view.hours[0]), first - BASE_DAYS * 24)
    recent = before & (view.hours[complaints] >= first - BASE_DAYS * 24)
    return max((float(recent.sum()) + 0.5) / span, 1e-3)


def _odds(
    view: ProductView, candidate: dict[str, Any], complaints: Ints, end: int
) -> OddsRatio | None:
    """Compare exposed with unexposed feedback of the same time; None where nobody says which."""
    since = hour_of(candidate["started_at"])
    period = (view.hours >= since) & (view.hours <= end) & view.testable
    if candidate["version"]:
        named = np.asarray([v is not None for v in view.version], dtype=bool)
        exposed = view.version == candidate["version"]
    elif candidate["kind"] == "flag":
        states = [_flag(s, candidate["name"]) for s in view.values("flag_states")]
        named = np.asarray([s is not None for s in states], dtype=bool)
        exposed = np.asarray([s is True for s in states], dtype=bool)
    elif candidate["region"] or candidate["platform"]:
        column = "region" if candidate["region"] else "platform"
        values = view.values(column)
        named = np.asarray([v is not None for v in values], dtype=bool)
        exposed = values == candidate[column]
    else:
        return None
    hit = np.zeros(len(view.hours), dtype=np.bool_)
    hit[complaints] = True
    inside = period & named
    if not (inside & exposed).any():
        return None
    return odds_ratio(
        exposed_complaints=int((inside & exposed & hit).sum()),
        exposed=int((inside & exposed).sum()),
        unexposed_complaints=int((inside & ~exposed & hit).sum()),
        unexposed=int((inside & ~exposed).sum()),
    )


def _flag(states: object, name: str) -> bool | None:
    """Return whether a flag was on for the writer of this feedback, None where it isn't said."""
    if not isinstance(states, str) or name not in states:
        return None
    try:
        value = json.loads(states).get(name)
    except (ValueError, AttributeError):
        return None
    if isinstance(value, bool):
        return value
    return None if value is None else str(value).lower() in ("on", "true", "1", "enabled")


def _reasons(row: dict[str, Any], candidate: dict[str, Any], ratio: OddsRatio | None) -> list[str]:
    hours = (row["detected_at"] - candidate["started_at"]) / timedelta(hours=1)
    said = [f"began {hours:.0f} h before the signal was raised"]
    if ratio is None:
        said.append("nobody says who was exposed: judged by its time alone")
    elif not ratio.enough:
        said.append(
            f"{ratio.exposed} reviews with it and {ratio.unexposed} without at the same time: "
            "not enough to compare"
        )
    else:
        said.append(
            f"at the same time {ratio.exposed} reviews with it and {ratio.unexposed} without: "
            f"odds ratio {ratio.ratio:.1f} ({ratio.low:.1f} to {ratio.high:.1f})"
        )
    return said


def _row(
    signal: dict[str, Any],
    candidate: dict[str, Any] | None,
    share: float,
    ratio: OddsRatio | None,
    reasons: list[str],
) -> dict[str, Any]:
    name = "none of these"
    if candidate is not None:
        name = candidate["name"] or candidate["version"] or candidate["change_id"]
    return {
        "signal_id": signal["signal_id"],
        "change_id": None if candidate is None else candidate["change_id"],
        "kind": "none" if candidate is None else candidate["kind"],
        "name": name,
        "effect": None if ratio is None else ratio.ratio,
        "effect_low": None if ratio is None else ratio.low,
        "effect_high": None if ratio is None else ratio.high,
        "exposed": None if ratio is None else ratio.exposed,
        "unexposed": None if ratio is None else ratio.unexposed,
        "posterior": share,
        "blamed": candidate is not None and share >= BLAME_AT,
        "reasons": reasons,
    }


def _judged(
    context: StepContext,
    view: ProductView,
    row: dict[str, Any],
    blame: dict[str, Any] | None,
) -> dict[str, Any]:
    """Return severity, its terms, and the segment."""
    ids = set(row["feedback_ids"] or [])
    inside = np.flatnonzero(np.isin(view.rows.column("feedback_id").to_numpy(), sorted(ids)))
    sentiment = view.rows.column("sentiment").take(inside.tolist())
    reasons = view.rows.column("urgency_reasons").take(inside.tolist()).to_pylist()
    safety = Counter(
        reason
        for found in reasons
        for reason in found or []
        if any(word in reason.lower() for word in SAFETY_REASONS)
    )
    category = context.config.taxonomy.category(row["category"] or "")
    weights = context.config.policy.weights
    terms = severity_terms(
        SeverityFacts(
            negative=float(pc.mean(sentiment).as_py() or 0.0),
            count=row["count"],
            baseline=row["baseline"],
            count_6h=row["count_6h"] or 0,
            baseline_6h=row["baseline_6h"] or 0.0,
            authors=row["authors"] or 0,
            impact=category.impact if category else 0.5,
            category=row["category"] or "unknown",
            release=f"{blame['kind']} {blame['name']}" if blame else None,
            # One text in passing is not a safety problem; two customers who write of one are.
            safety_words=tuple(sorted(w for w, n in safety.items() if n >= 2)),
        ),
        weights,
    )
    usual = np.flatnonzero(
        (view.hours < hour_of(row["window_start"]))
        & (view.hours >= hour_of(row["window_start"]) - BASE_DAYS * 24)
    )
    said = []
    for column in SEGMENT_COLUMNS:
        values = view.values(column)
        found = concentration(column, list(values[inside]), list(values[usual]))
        if found is not None:
            said.append(str(found))
    return {
        "severity": severity_of(terms, weights).value,
        "severity_terms": [
            {
                "name": t.name,
                "value": t.value,
                "weight": t.weight,
                "points": t.points,
                "reason": t.reason,
            }
            for t in terms
        ],
        "segment": "; ".join(said) or None,
    }


def _parent(
    row: dict[str, Any], signals: list[dict[str, Any]], blamed: dict[str, str]
) -> str | None:
    """Return the earlier signal with the same cause: the same blamed change, or the same texts."""
    own = set(row["feedback_ids"] or [])
    for other in signals:
        if other["signal_id"] == row["signal_id"]:
            break
        same_cause = (
            row["signal_id"] in blamed
            and blamed.get(other["signal_id"]) == blamed[row["signal_id"]]
        )
        shared = own & set(other["feedback_ids"] or [])
        if same_cause or len(shared) >= 0.5 * max(len(own), 1):
            return str(other["parent_id"] or other["signal_id"])
    return None if row["parent_id"] is None else str(row["parent_id"])
