"""What surrounds the feedback of a scenario: changes, exposure, and the true causes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from closeloop.testing.simulator.phrases import themes
from closeloop.testing.simulator.traffic import Floats
from closeloop.testing.simulator.world import OtherChange, Release, Scenario

ORDERS_PER_USER = 0.08
USER_NOISE = 0.02


def change_rows(scenario: Scenario, start: datetime, days: int) -> list[dict[str, Any]]:
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


def exposure_rows(
    scenario: Scenario,
    shares: Mapping[tuple[str, str], tuple[list[str], Floats]],
    rates: Floats,
    start: datetime,
    rng: np.random.Generator,
) -> list[dict[str, Any]]:
    """Return users (and orders, of a store) by product, version, platform and day."""
    rows = []
    days = rates.size // 24
    for product in scenario.products:
        for platform, weight in product.platforms.items():
            versions, share = shares[product.product_id, platform]
            daily = share.reshape(days, 24, -1).mean(axis=1)
            active = product.users * weight * rates.reshape(days, 24).sum(axis=1)
            active *= 1 + USER_NOISE * rng.standard_normal(days)
            users = np.rint(active[:, None] * daily).astype(int)
            for day, position in np.argwhere(users > 0).tolist():
                count = int(users[day, position])
                rows.append(
                    {
                        "product": product.product_id,
                        "version": versions[position] or None,
                        "platform": platform,
                        "start": _at(start, day),
                        "period": "day",
                        "users": count,
                        "orders": round(count * ORDERS_PER_USER) if product.sells else None,
                    }
                )
    return rows


def causes(
    scenario: Scenario, truth_rows: Sequence[Mapping[str, Any]], start: datetime
) -> dict[str, Any]:
    """Return the true causes with their counts of complaints, surges, and who is innocent."""
    counts = Counter(r["cause"] for r in truth_rows if r["repeats"] is None)
    known = themes()
    guilty = {e.change for e in scenario.effects}
    named = [r.name for r in scenario.releases] + [c.name for c in scenario.changes]
    return {
        "causes": [
            {
                "cause": e.cause,
                "kind": e.kind,
                "product": e.product,
                "categories": sorted({known[t].category for t in e.themes}),
                "themes": sorted(e.themes),
                "started_at": _at(start, e.day),
                "ended_at": _at(start, e.end_day),
                "change": e.change,
                "version": e.version,
                "platform": e.platform,
                "region": e.region,
                "sku": e.sku,
                "fulfilment_centre": e.fulfilment_centre,
                "fixed_by": e.fixed_by,
                "complaints": counts[e.cause],
            }
            for e in scenario.effects
        ],
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
        "innocent": [name for name in dict.fromkeys(named) if name not in guilty],
    }


def _at(start: datetime, day: float | None) -> str | None:
    return None if day is None else (start + timedelta(days=day)).isoformat()
