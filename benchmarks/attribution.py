"""How often attribution blames a release that is innocent, and one that is guilty.

    python benchmarks/attribution.py [--runs 60]

Simulated products: a release every seven to fourteen days, each reaching its users as
1 - exp(-t / 48 h); 24 pieces of feedback a day, 70% of them naming their version. Complaints of one
category rise tenfold at a random time for everybody (no release is behind it), or on the newest
version alone from its first hour on. Passes twelve hours apart for six days; what is blamed in any of
them counts.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from closeloop.stages import attribute, detect
from closeloop.stats.baseline import Floats, Ints
from closeloop.tables import ATTRIBUTION, CHANGE, ENRICHMENT, FEEDBACK, SIGNAL
from closeloop.testing.configuration import example_configuration
from closeloop.testing.context import InMemoryContext

PRODUCT = "app"
START = datetime(2024, 1, 1, tzinfo=UTC)
DAYS, LATER_DAYS = 90, 6
A_DAY, COMPLAINT_SHARE, RISE = 24.0, 0.05, 10.0
ADOPTION_H, NAMED_SHARE = 48.0, 0.7
EVERY_H = 12
HIT = "payment failure"


def main() -> None:
    """Print what was blamed in both worlds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=60)
    options = parser.parse_args()
    print("| world | runs | raised | blamed rightly | blamed wrongly | nobody blamed |")
    print("|---|---|---|---|---|---|")
    for guilty in (False, True):
        said = Counter(_run(seed, guilty=guilty) for seed in range(options.runs))
        raised = options.runs - said["not raised"]
        print(
            f"| {'a release is behind it' if guilty else 'no release is behind it'} "
            f"| {options.runs} | {raised} | {said['right']} | {said['wrong']} | {said['nobody']} |"
        )


def _run(seed: int, *, guilty: bool) -> str:
    rng = np.random.default_rng(seed)
    releases = np.cumsum(rng.integers(7 * 24, 14 * 24, size=14))
    releases = releases[releases < (DAYS - 7) * 24]
    began = int(releases[-1]) if guilty else int(rng.integers(70 * 24, 84 * 24))
    end = began + LATER_DAYS * 24
    rows = _feedback(rng, releases, began=began, end=end, guilty=guilty)
    context = InMemoryContext(config=replace(example_configuration(), products=()), now=_at(began))
    changes = [_release(i, int(h)) for i, h in enumerate(releases) if h < end]
    context.as_step("changes").merge(CHANGE, CHANGE.from_rows(changes))
    raised = False
    blamed: set[str] = set()
    for since, until in [(0, began), *((h, h + EVERY_H) for h in range(began, end, EVERY_H))]:
        context.next_pass(now=_at(until))
        _write(context, [r for r in rows if _at(since) <= r["event_time"] < _at(until)])
        detect.run(context.as_step("detect"))
        attribute.run(context.as_step("attribute"))
        context.as_step("look")
        held = context.rows(
            SIGNAL, where=[("series_id", "=", HIT), ("window_end", ">", _at(began))]
        )
        raised = raised or held.num_rows > 0
        for row in context.rows(ATTRIBUTION, where=[("blamed", "=", True)]).to_pylist():
            if row["signal_id"] in held.column("signal_id").to_pylist():
                blamed.add(row["name"])
    if not raised:
        return "not raised"
    right = {_version(len(releases) - 1)} if guilty else set()
    if blamed - right:
        return "wrong"
    return "right" if blamed else "nobody"


def _feedback(
    rng: np.random.Generator, releases: Ints, *, began: int, end: int, guilty: bool
) -> list[dict[str, Any]]:
    hours = np.sort(rng.uniform(0.0, end, rng.poisson(A_DAY * end / 24.0)))
    version = _versions(rng, hours, releases)
    hit = (hours >= began) & ((version == len(releases) - 1) | (not guilty))
    share = np.where(hit, COMPLAINT_SHARE * RISE, COMPLAINT_SHARE)
    drawn = rng.random(len(hours))
    named = rng.random(len(hours)) < NAMED_SHARE
    rows = []
    for i, hour in enumerate(hours.tolist()):
        other = "broken UI" if drawn[i] > 0.9 else "praise"
        category = HIT if drawn[i] < share[i] else other
        rows.append(
            {
                "feedback_id": f"{i:06}",
                "revision": 1,
                "product": PRODUCT,
                "event_time": _at(hour),
                "known_at": _at(hour),
                "text": f"{category} {i}",
                "masker": "1",
                "version": _version(int(version[i])) if named[i] else None,
                "trust": 1.0,
                "backfill": False,
                "sentiment": 0.05 if category == "praise" else 0.9,
                "category": category,
                "category_confidence": 0.8,
                "content_free": False,
            }
        )
    return rows


def _versions(rng: np.random.Generator, hours: Floats, releases: Ints) -> Ints:
    """Return the version in use: of each release a share 1 - exp(-t / 48 h) has it by then."""
    version = np.full(len(hours), -1, dtype=np.int64)
    for i, at in enumerate(releases):
        has = rng.random(len(hours)) < 1.0 - np.exp(-np.maximum(hours - at, 0.0) / ADOPTION_H)
        version[has] = i
    return version


def _write(context: InMemoryContext, rows: list[dict[str, Any]]) -> None:
    context.as_step("enrich")
    for table in (FEEDBACK, ENRICHMENT):
        names = {c.name for c in table.columns}
        own = [{k: v for k, v in r.items() if k in names} for r in rows]
        context.append(table, table.from_rows(own))


def _release(number: int, hour: int) -> dict[str, Any]:
    name = _version(number)
    return {
        "change_id": name,
        "kind": "release",
        "product": PRODUCT,
        "name": name,
        "version": name,
        "started_at": _at(hour),
        "known_at": _at(hour),
    }


def _version(number: int) -> str:
    return f"{number + 2}.0"


def _at(hour: float) -> datetime:
    return START + timedelta(hours=hour)


if __name__ == "__main__":
    main()
