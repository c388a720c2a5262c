"""What surrounds the feedback of a scenario: changes, exposure, and the true causes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from closeloop.testing.simulator.phrases import themes
from closeloop.testing.simulator.streams import Layout
from closeloop.testing.simulator.world import (
    Campaign,
    Effect,
    OtherChange,
    Release,
    Scenario,
    Shift,
    Silence,
    Surge,
)

ORDERS_PER_USER = 0.08
USER_NOISE = 0.02


def change_rows(scenario: Scenario, start: datetime, days: float) -> list[dict[str, Any]]:
    """Return the changes that began within the simulation, in order, as they are imported."""
    drafts: list[Release | OtherChange] = [*scenario.releases, *scenario.changes]
    known = [c for c in drafts if c.day < days]
    known.sort(key=lambda c: (c.day, c.product, c.name))
    return [_release(c, start) if isinstance(c, Release) else _other(c, start) for c in known]


def _release(release: Release, start: datetime) -> dict[str, Any]:
    return {
        "kind": "release",
        "product": release.product,
        "name": release.name,
        "version": release.version,
        "started_at": _at(start, release.day),
        "platform": release.platforms[0] if len(release.platforms) == 1 else None,
        "rollout": json.dumps([list(stage) for stage in release.rollout]),
    }


def _other(change: OtherChange, start: datetime) -> dict[str, Any]:
    return {
        "kind": change.kind,
        "product": change.product,
        "name": change.name,
        "started_at": _at(start, change.day),
        "ended_at": _at(start, change.end_day),
        "platform": change.platform,
        "region": change.region,
    }


def exposure_rows(layout: Layout, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Return users (and orders, of a store) by product, version, platform and whole day."""
    rows = []
    days = layout.hours // 24
    daily_rate = layout.rates[: days * 24].reshape(days, 24).sum(axis=1)
    for product in layout.scenario.products:
        for platform, weight in product.platforms.items():
            versions, share = layout.shares[product.product_id, platform]
            daily = share[: days * 24].reshape(days, 24, len(versions)).mean(axis=1)
            active = product.users * weight * daily_rate
            active *= 1 + USER_NOISE * rng.standard_normal(days)
            users = np.rint(active[:, None] * daily).astype(int)
            for day, position in np.argwhere(users > 0).tolist():
                count = int(users[day, position])
                rows.append(
                    {
                        "product": product.product_id,
                        "version": versions[position] or None,
                        "platform": platform,
                        "start": _at(layout.start, day),
                        "period": "day",
                        "users": count,
                        "orders": round(count * ORDERS_PER_USER) if product.sells else None,
                    }
                )
    return rows


def expected_rows(layout: Layout) -> Iterator[dict[str, Any]]:
    """Yield for each effect and hour how many complaints it is expected to bring.

    `usual` is how many of its categories the product's ordinary days bring in that hour.
    """
    for stream in layout.streams:
        effect = stream.effect
        if effect is None:
            continue
        brought = stream.expected.sum(axis=1)
        usual = layout.usual(effect.product, _categories(effect))
        for hour in np.flatnonzero(brought > 0).tolist():
            yield {
                "cause": effect.cause,
                "product": effect.product,
                "hour": (layout.start + timedelta(hours=hour)).isoformat(),
                "complaints": round(float(brought[hour]), 4),
                "usual": round(float(usual[hour]), 4),
            }


def causes(layout: Layout, counts: Mapping[str | None, int]) -> dict[str, Any]:
    """Return the true causes with their complaints, what is no problem, and who is innocent.

    `causes` with `to_raise` are the problems; `not_problems` is what must not be acted on.
    """
    scenario, start = layout.scenario, layout.start
    expected = {s.cause: float(s.expected.sum()) for s in layout.streams}
    guilty = {e.change for e in scenario.effects}
    named = [r.name for r in scenario.releases] + [c.name for c in scenario.changes]
    return {
        "causes": [_cause(e, start, counts, expected) for e in scenario.effects],
        "surges": [
            {
                "cause": s.cause,
                "product": s.product,
                "started_at": _at(start, s.day),
                "ended_at": _at(start, s.end_day),
                "factor": s.factor,
            }
            for s in scenario.surges
        ],
        "not_problems": _not_problems(scenario, start, counts),
        "innocent": [name for name in dict.fromkeys(named) if name not in guilty],
    }


def _categories(effect: Effect) -> list[str]:
    known = themes()
    return sorted({known[t].category for t in effect.themes})


def _cause(
    effect: Effect,
    start: datetime,
    counts: Mapping[str | None, int],
    expected: Mapping[str | None, float],
) -> dict[str, Any]:
    return {
        "cause": effect.cause,
        "kind": effect.kind,
        "product": effect.product,
        "to_raise": effect.to_raise,
        "categories": _categories(effect),
        "themes": sorted(effect.themes),
        "started_at": _at(start, effect.day),
        "ended_at": _at(start, effect.end_day),
        "change": effect.change,
        "version": effect.version,
        "flag": effect.flag,
        "platform": effect.platform,
        "region": effect.region,
        "sku": effect.sku,
        "fulfilment_centre": effect.fulfilment_centre,
        "channel": effect.channel,
        "continues": effect.continues,
        "fixed_by": effect.fixed_by,
        "verdict": effect.verdict,
        "complaints": counts.get(effect.cause, 0),
        "expected": round(expected.get(effect.cause, 0.0), 1),
    }


def _not_problems(
    scenario: Scenario, start: datetime, counts: Mapping[str | None, int]
) -> list[dict[str, Any]]:
    spans: list[tuple[str, Surge | Shift | Silence | Campaign]] = [
        *(("surge", s) for s in scenario.surges),
        *(("shift", s) for s in scenario.shifts),
        *(("silence", s) for s in scenario.silences),
        *((c.kind, c) for c in scenario.campaigns),
    ]
    return [
        {
            "kind": kind,
            "cause": span.cause,
            "started_at": _at(start, span.day),
            "ended_at": _at(start, span.end_day),
            "texts": counts.get(span.cause),
        }
        for kind, span in spans
    ]


def _at(start: datetime, day: float | None) -> str | None:
    return None if day is None else (start + timedelta(days=day)).isoformat()
