"""Follows live signals while they last: which state each is in, and what each is part of."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import pyarrow.compute as pc

from closeloop.domain.change import ChangeKind
from closeloop.ports import Condition, StepContext, only_if_in
from closeloop.stages.product_view import ProductView, hour_of, product_view
from closeloop.stages.trouble import complaints_of
from closeloop.stats.life import DAY_H, LifeState, life_state
from closeloop.tables import ATTRIBUTION, FEEDBACK, SIGNAL

LIVES = "signal.lives"
"""State: the live signals that are followed, and when each was looked at last."""
LOOK_EVERY = timedelta(hours=6)
FOLLOWED_FOR = timedelta(days=45)
"""After a signal's last alarm; what lasts longer has become the usual."""
STRATA_DAYS = timedelta(days=1)
TOGETHER = timedelta(days=10)
"""Signals whose windows lie no further apart may have one cause."""

Row = dict[str, Any]

FAMILY_COLUMNS = (
    "signal_id",
    "product",
    "kind",
    "series_id",
    "count",
    "baseline",
    "parent_id",
    "detected_at",
    "window_start",
    "window_end",
    "feedback_ids",
)


def family_of(context: StepContext, product: str, *, since: datetime) -> list[Row]:
    """Return the product's live signals that may share a cause, the first one first."""
    rows = context.rows(
        SIGNAL,
        columns=FAMILY_COLUMNS,
        where=[("product", "=", product), ("historic", "=", False), ("window_end", ">=", since)],
    ).to_pylist()
    return sorted(rows, key=lambda r: (r["detected_at"], r["window_start"], r["signal_id"]))


def parent_of(
    row: Row,
    family: Sequence[Row],
    causes: Mapping[str, str],
    *,
    snooze: timedelta,
    shared: Callable[[Row, Row], bool],
) -> str | None:
    """Return the first signal that is the same problem, or another's that has the same cause.

    The same problem: the same series again within the snooze, or most of the texts of the smaller
    are the larger's (`shared` says so). The same cause: the same change is blamed. All of a problem have one parent.
    """
    for other in family:
        if other["signal_id"] == row["signal_id"]:
            return None
        cause = causes.get(row["signal_id"])
        same_cause = cause is not None and causes.get(other["signal_id"]) == cause
        again = (other["kind"], other["series_id"]) == (row["kind"], row["series_id"])
        again = again and row["window_start"] - other["window_end"] <= snooze
        together = other["window_end"] > row["window_start"] - TOGETHER
        if together and (same_cause or again or shared(row, other)):
            return _head(other, row)
    return None


def _head(other: Row, row: Row) -> str | None:
    """Return the parent of the other's problem, None where that is the row itself."""
    parent = str(other["parent_id"] or other["signal_id"])
    return None if parent == row["signal_id"] else parent


def elsewhere(context: StepContext, row: Row, cause: str) -> str | None:
    """Return the first signal of another product for which the same change is blamed."""
    blamed = context.rows(
        ATTRIBUTION,
        columns=["signal_id"],
        where=[("change_id", "=", cause), ("blamed", "=", True)],
    ).column("signal_id")
    ids = sorted(set(blamed.to_pylist()) - {row["signal_id"]})
    if not ids:
        return None
    rows = context.rows(
        SIGNAL, columns=FAMILY_COLUMNS, where=[only_if_in("signal_id", ids)]
    ).to_pylist()
    others = [
        r
        for r in rows
        if r["product"] != row["product"]
        and (r["detected_at"], r["signal_id"]) < (row["detected_at"], row["signal_id"])
        and r["window_end"] > row["window_start"] - TOGETHER
    ]
    if not others:
        return None
    first = min(others, key=lambda r: (r["detected_at"], r["signal_id"]))
    return _head(first, row)


def incidents_elsewhere(
    context: StepContext, *, since: datetime, clearer: Callable[[str], bool]
) -> dict[str, float]:
    """Return how surely incidents, by name, are behind signals of `clearer` products since a time.

    Only of those: two products that lent each other their verdicts would talk each other into it.
    """
    likely = context.rows(
        ATTRIBUTION,
        columns=["signal_id", "name", "posterior"],
        where=[("kind", "=", ChangeKind.INCIDENT.value), ("posterior", ">", 0.5)],
    ).to_pylist()
    if not likely:
        return {}
    others = context.rows(
        SIGNAL,
        columns=["signal_id", "product"],
        where=[
            only_if_in("signal_id", {r["signal_id"] for r in likely}),
            ("window_end", ">=", since),
        ],
    )
    known = {r["signal_id"] for r in others.to_pylist() if clearer(r["product"])}
    found = sorted((r["posterior"], r["name"]) for r in likely if r["signal_id"] in known)
    return {name: posterior for posterior, name in found}


def follow(context: StepContext, fresh: Iterable[str], products: Iterable[str]) -> None:
    """Write the state of live signals: of those with news now, of the others every six hours.

    Followed while not over, at most 45 days after its window's end, which a further alarm moves.
    Where a product got no feedback at all for a day, silence says nothing and the state stays.
    """
    lives = {i: datetime.fromisoformat(t) for i, t in _remembered(context).items()}
    news = set(fresh)
    touched = set(products)
    due = news | {i for i, at in lives.items() if touched and context.now - at >= LOOK_EVERY}
    if not due:
        return
    found = context.rows(SIGNAL, where=[only_if_in("signal_id", due)]).to_pylist()
    rows = [r for r in found if r["signal_id"] in news or r["product"] in touched]
    changed = []
    for product in sorted({r["product"] for r in rows}):
        own = [r for r in rows if r["product"] == product and not r["historic"]]
        if not own or _silent(context, product):
            continue
        oldest = min(r["window_start"] for r in own)
        view = product_view(context, product, since=oldest - STRATA_DAYS)
        for row in own:
            state = _state(view, row, now=context.now)
            lives[row["signal_id"]] = context.now
            # The time of the last look is renewed with each one, so it cannot tell.
            if state is LifeState.OVER or context.now - row["window_end"] > FOLLOWED_FOR:
                del lives[row["signal_id"]]
            if row["state"] != state.value:
                changed.append({**row, "state": state.value, "state_since": context.now})
    if changed:
        context.merge(SIGNAL, SIGNAL.from_rows(changed))
    kept = {i: at.isoformat() for i, at in lives.items() if context.now - at <= FOLLOWED_FOR}
    context.put_state(LIVES, json.dumps(kept, sort_keys=True).encode())


def _remembered(context: StepContext) -> dict[str, str]:
    blob = context.state(LIVES)
    return dict(json.loads(blob)) if blob else {}


def _silent(context: StepContext, product: str) -> bool:
    day_ago = context.now - timedelta(hours=DAY_H)
    where: list[Condition] = [("product", "=", product), ("event_time", ">=", day_ago)]
    newest = context.rows(FEEDBACK, columns=["event_time"], where=where).column("event_time")
    return pc.max(newest).as_py() is None


def _state(view: ProductView, row: Row, *, now: datetime) -> LifeState:
    rows = complaints_of(view, row)
    if row["version"] is not None:
        rows = rows[view.coded("version").equal(row["version"])[rows]]
    start, end = hour_of(row["window_start"]), hour_of(row["window_end"])
    return life_state(
        view.hours[rows],
        start=start,
        now=hour_of(now),
        usual_a_day=row["baseline"] * DAY_H / max(end - start, 1),
    )
