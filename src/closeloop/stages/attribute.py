"""Attribute: which change fits each signal, where it concentrates, how severe it is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pyarrow.compute as pc

from closeloop.domain.change import ChangeKind
from closeloop.ports import StepContext, only_if_in
from closeloop.stages.candidates import NOT_THE_LARGER, changes_of, weigh
from closeloop.stages.leader import leader_of, strength_of
from closeloop.stages.product_view import product_view
from closeloop.stages.severity_facts import judged
from closeloop.stages.signal_complaints import HISTORY, SignalComplaints
from closeloop.stages.signal_life import (
    TOGETHER,
    elsewhere,
    family_of,
    follow,
    incidents_elsewhere,
    parent_of,
)
from closeloop.stages.suspects import write_suspects
from closeloop.stats.change_point import SURE, WINDOW_H
from closeloop.tables import ATTRIBUTION, ENRICHMENT, SIGNAL

NAME = "attribute"

YOUNG = timedelta(days=10)
"""A signal is weighed again while it is this young: reviews of a new version keep coming."""
AGAIN_AFTER = timedelta(hours=6)
HOLDS_FOR = timedelta(hours=12)
"""Under it the posterior must hold for so long: a signal is weighed many times, and one lucky look
among them must not name a culprit."""
CLEARED_BELOW = 0.5
"""A blamed change is cleared again under this posterior, or once a larger trouble clears it."""
WEIGHED = "attribute.weighed"
"""State: when each young signal was weighed last."""

Row = dict[str, Any]


def run(context: StepContext) -> None:
    """Weigh the candidates of new, grown and still young signals; fill severity and segment.

    A young signal for which no change is blamed is weighed again every six hours in which feedback
    came; once one is, only when it grows: later the next trouble's complaints come in between, as of
    a release that mended the first and brings faults of its own. Historic signals are left alone.
    """
    new = context.new_rows(SIGNAL, columns=["signal_id", "historic"]).to_pylist()
    fresh = {r["signal_id"] for r in new if not r["historic"]}
    came = context.new_rows(ENRICHMENT, columns=["product"])
    products = set(pc.unique(came.column("product")).to_pylist())
    young = _young(context)
    due = {i for i, y in young.items() if products and context.now - y.weighed_at >= AGAIN_AFTER}
    if due | fresh:
        _weigh(context, due, fresh, products, young)
    follow(context, fresh, products)


def _weigh(
    context: StepContext,
    due: set[str],
    fresh: set[str],
    products: set[str],
    young: dict[str, _Young],
) -> None:
    rows = context.rows(SIGNAL, where=[only_if_in("signal_id", due | fresh)]).to_pylist()
    chosen = [r for r in rows if r["signal_id"] in fresh or r["product"] in products]
    for product in _clearest_first(context, {r["product"] for r in chosen}):
        own = [r for r in chosen if r["product"] == product]
        own.sort(key=lambda r: (r["detected_at"], r["signal_id"]))
        _product(context, product, own, young)
    _remember(context, young)
    context.count("weighed", len(chosen))


def _clearest_first(context: StepContext, products: set[str]) -> list[str]:
    if len(products) < 2:
        return sorted(products)
    return sorted(products, key=lambda p: _clarity(context, p))


def _clarity(context: StepContext, product: str) -> tuple[int, str]:
    """Return how many releases of a product are candidates, and its name to break ties.

    One that had none tells best what an incident did that hit others too.
    """
    since = context.now - timedelta(hours=WINDOW_H)
    changes = changes_of(context, product)
    releases = [c for c in changes if c["kind"] == ChangeKind.RELEASE and c["started_at"] >= since]
    return len(releases), product


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
    view = product_view(
        context,
        product,
        since=oldest - HISTORY,
        segments=("flag_states", "order_value"),
    )
    complaints = SignalComplaints(view)
    changes = changes_of(context, product)
    family = family_of(context, product, since=oldest - TOGETHER)
    held = _attributions_of(context, [r["signal_id"] for r in family])
    causes = {i: a["change_id"] for i, found in held.items() for a in found if a["blamed"]}
    posteriors = {i: {a["change_id"]: a["posterior"] for a in found} for i, found in held.items()}
    clarity = _clarity(context, product)
    incidents = incidents_elsewhere(
        context,
        since=oldest - TOGETHER,
        clearer=lambda other: _clarity(context, other) < clarity,
    )
    attributions: dict[str, list[Row]] = {}
    # What stands out most first: its verdict counts for its parts.
    for row in sorted(signals, key=lambda r: (-strength_of(r), r["signal_id"])):
        signal_id = row["signal_id"]
        leader = leader_of(view, row, complaints.rows(row), family, posteriors)
        found = weigh(context, view, row, changes, leader=leader, elsewhere=incidents)
        posteriors[signal_id] = {a["change_id"]: a["posterior"] for a in found}
        before = young.pop(signal_id, None)
        over = dict(before.over) if before else {}
        attributions[signal_id] = _settled(context.now, found, causes.pop(signal_id, None), over)
        culprit = _culprit(attributions[signal_id])
        if culprit is not None:
            causes[signal_id] = culprit["change_id"]
        elif context.now - row["detected_at"] <= YOUNG:
            young[signal_id] = _Young(context.now, over)
    _write_attributions(context, attributions)
    if any(c["notes"] for c in changes):
        for row in signals:
            found = attributions[row["signal_id"]]
            write_suspects(context, view, row, found, changes, inside=complaints.rows(row))
    _write_judged(context, complaints, signals, family, attributions, causes)


def _write_judged(
    context: StepContext,
    complaints: SignalComplaints,
    signals: Sequence[Row],
    family: Sequence[Row],
    attributions: Mapping[str, Sequence[Row]],
    causes: Mapping[str, str],
) -> None:
    """Write severity, segment and parent of the signals that have changed in them."""
    changed = []
    for row in signals:
        culprit = _culprit(attributions[row["signal_id"]])
        cause = f"{culprit['kind']} {culprit['name']}" if culprit else None
        fresh = judged(context, complaints.view, row, inside=complaints.rows(row), cause=cause)
        fresh["parent_id"] = row["parent_id"] or parent_of(
            row, family, causes, snooze=context.config.policy.snooze, shared=complaints.shared
        )
        if fresh["parent_id"] is None and culprit is not None:
            fresh["parent_id"] = elsewhere(context, row, culprit["change_id"])
        if any(fresh[k] != row[k] for k in fresh):
            changed.append({**row, **fresh})
    context.merge(SIGNAL, SIGNAL.from_rows(changed))


def _culprit(found: Sequence[Row]) -> Row | None:
    return next((a for a in found if a["blamed"]), None)


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
            blamed = row["posterior"] >= CLEARED_BELOW and NOT_THE_LARGER not in row["reasons"]
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
