"""How often attribution blames a change that is innocent, and one that is guilty.

    python benchmarks/attribution.py [--runs 60] [--worlds nobody,release] [--seed 0]

Simulated products: a release every seven to fourteen days, each reaching its users as
1 - exp(-t / 48 h) or in stages; 24 pieces of feedback a day, 70% of them naming their version, region
and flags. Complaints of one category rise tenfold for those whom the world's cause reaches, from its
first hour on. Passes twelve hours apart for six days; what is blamed in any of them counts, and so does
what names a change of ours while the cause is an incident.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from closeloop.stages import attribute, detect
from closeloop.stats.baseline import Floats, Ints
from closeloop.stats.intervals import wilson
from closeloop.tables import ATTRIBUTION, CHANGE, ENRICHMENT, EXPOSURE, FEEDBACK, SIGNAL
from closeloop.testing.configuration import example_configuration
from closeloop.testing.context import InMemoryContext

PRODUCT = "app"
START = datetime(2024, 1, 1, tzinfo=UTC)
DAYS, LATER_DAYS = 90, 6
A_DAY, COMPLAINT_SHARE, RISE = 24.0, 0.05, 10.0
ADOPTION_H, NAMED_SHARE = 48.0, 0.7
STAGES = ((0.0, 0.1), (24.0, 0.5), (72.0, 1.0))
EVERY_H = 12
HIT = "payment failure"
REGIONS = ("DE", "FR", "IN")
FLAG = "new-checkout"
INCIDENT = "bank down"

Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class World:
    """What is behind the trouble, and what else happened.

    `cause`: "release" (the newest), "previous" (the one before, which the newest mends), "carried" (the
    one before, and the newest has the fault as well), "flag", "region" (a setting of one
    region) or "outside" (all alike). `named` is the share of feedback that says version, region and
    flags; `after_h` are the hours from the newest release to the trouble (None: any time).
    """

    name: str
    says: str
    cause: str
    named: float = NAMED_SHARE
    staged: bool = False
    after_h: tuple[int, int] | None = None
    incident_known: bool = False
    flag: bool = False
    pair_h: int | None = None
    counted: bool = False
    only_complaints: bool = False

    def guilty(self, releases: Ints) -> set[str]:
        """Return the names that may be blamed."""
        newest = len(releases) - 1
        held = {
            "release": {_version(newest)},
            "previous": {_version(newest - 1)},
            "carried": {_version(newest - 1)},
            "flag": {FLAG},
            "region": {"gateway"},
            "outside": {INCIDENT} if self.incident_known else set(),
        }
        return held[self.cause]


WORLDS = (
    World("nobody", "no change is behind it", "outside"),
    World("nobody-staged", "the same; releases in stages", "outside", staged=True),
    World("nobody-close", "the same, 6 to 24 h after a release", "outside", after_h=(6, 24)),
    World("nobody-flag", "the same; a flag went on the day before", "outside", flag=True),
    World(
        "incident",
        "a known incident outside, 6 to 24 h after a release",
        "outside",
        after_h=(6, 24),
        incident_known=True,
    ),
    World(
        "incident-silent",
        "the same, and no feedback names its version",
        "outside",
        named=0.0,
        after_h=(6, 24),
        incident_known=True,
    ),
    World(
        "nobody-counted",
        "no change; complaints only, users counted, 12 to 36 h after a release",
        "outside",
        after_h=(12, 36),
        counted=True,
        only_complaints=True,
    ),
    World("release", "the newest release is behind it", "release"),
    World("staged", "the same, in stages", "release", staged=True),
    World("staged-silent", "in stages, and no feedback names its version", "release", 0.0, True),
    World(
        "counted",
        "complaints only (tickets), users by version counted",
        "release",
        counted=True,
        only_complaints=True,
    ),
    World("pair-later", "two releases a day apart, the later is", "release", pair_h=24),
    World("pair-earlier", "two releases a day apart, the earlier is", "previous", pair_h=24),
    World(
        "carried", "two days apart, the earlier is, and the later has it too", "carried", pair_h=48
    ),
    World("flag", "a flag that half of the customers have is", "flag", flag=True),
    World("region", "a setting of one region is", "region"),
)


def main() -> None:
    """Print what was blamed in each world, and over all in which a change could be wronged."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=60)
    parser.add_argument("--worlds", default=",".join(w.name for w in WORLDS))
    parser.add_argument("--seed", type=int, default=0, help="of the first run")
    options = parser.parse_args()
    print("| what is behind it | runs | raised | blamed rightly | blamed wrongly | nobody blamed |")
    print("|---|---|---|---|---|---|")
    pooled: Counter[str] = Counter()
    began = time.perf_counter()
    for world in WORLDS:
        if world.name not in options.worlds.split(","):
            continue
        seeds = range(options.seed, options.seed + options.runs)
        said = Counter(_run(seed, world) for seed in seeds)
        pooled += said
        raised = options.runs - said["not raised"]
        print(
            f"| {world.says} (`{world.name}`) | {options.runs} | {raised} | {said['right']} "
            f"| {_share(said['wrong'], options.runs)} | {said['nobody']} |",
            flush=True,
        )
    total = pooled.total()
    print(f"\nwrongly blamed in all: {_share(pooled['wrong'], total)} of {total} runs")
    print(f"{(time.perf_counter() - began) / max(total, 1):.2f} s a run")


def _share(count: int, total: int) -> str:
    interval = wilson(count, total)
    return f"{count} ({interval.low:.1%} to {interval.high:.1%})"


def _run(seed: int, world: World) -> str:
    rng = np.random.default_rng(seed)
    releases = np.cumsum(rng.integers(7 * 24, 14 * 24, size=14))
    releases = releases[releases < (DAYS - 7) * 24]
    if world.pair_h is not None:
        releases = np.append(releases, releases[-1] + world.pair_h)
    began = _began(rng, releases, world)
    end = began + LATER_DAYS * 24
    rows = _feedback(rng, releases, world, began=began, end=end)
    context = InMemoryContext(config=replace(example_configuration(), products=()), now=_at(began))
    changes = _changes(rng, releases, world, began=began, end=end)
    context.as_step("changes").merge(CHANGE, CHANGE.from_rows(changes))
    if world.counted:
        context.merge(EXPOSURE, EXPOSURE.from_rows(_users(releases, world, end=end)))
    raised = False
    blamed: set[str] = set()
    for since, until in [(0, began), *((h, h + EVERY_H) for h in range(began, end, EVERY_H))]:
        context.next_pass(now=_at(until))
        _write(context, [r for r in rows if _at(since) <= r["event_time"] < _at(until)])
        detect.run(context.as_step("detect"))
        attribute.run(context.as_step("attribute"))
        context.as_step("look")
        held = context.rows(SIGNAL, where=[("category", "=", HIT), ("window_end", ">", _at(began))])
        raised = raised or held.num_rows > 0
        for row in context.rows(ATTRIBUTION, where=[("blamed", "=", True)]).to_pylist():
            if row["signal_id"] in held.column("signal_id").to_pylist():
                blamed.add(row["name"])
    if not raised:
        return "not raised"
    if blamed - world.guilty(releases):
        return "wrong"
    return "right" if blamed else "nobody"


def _began(rng: np.random.Generator, releases: Ints, world: World) -> int:
    if world.cause == "release":
        return int(releases[-1])
    if world.cause in ("previous", "carried"):
        return int(releases[-2])
    if world.after_h is not None:
        return int(releases[-1] + rng.integers(*world.after_h))
    return int(rng.integers(70 * 24, 84 * 24))


def _feedback(
    rng: np.random.Generator, releases: Ints, world: World, *, began: int, end: int
) -> Rows:
    hours = np.sort(rng.uniform(0.0, end, rng.poisson(A_DAY * end / 24.0)))
    version = _versions(rng, hours, releases, world)
    region = rng.choice(len(REGIONS), size=len(hours), p=(0.5, 0.3, 0.2))
    flag_at = began - 24 if world.cause != "flag" else began
    flag = (rng.random(len(hours)) < 0.5) & (hours >= flag_at)
    reached = {
        "release": version == len(releases) - 1,
        "previous": version == len(releases) - 2,
        "carried": version >= len(releases) - 2,
        "flag": flag,
        "region": region == 2,
        "outside": np.ones(len(hours), dtype=bool),
    }[world.cause]
    hit = (hours >= began) & reached
    share = np.where(hit, COMPLAINT_SHARE * RISE, COMPLAINT_SHARE)
    drawn, named = rng.random(len(hours)), rng.random(len(hours)) < world.named
    rows = []
    for i, hour in enumerate(hours.tolist()):
        category = HIT if drawn[i] < share[i] else "broken UI" if drawn[i] > 0.9 else "praise"
        if world.only_complaints and category == "praise":
            continue
        told = bool(named[i])
        rows.append(
            {
                "feedback_id": f"{i:06}",
                "revision": 1,
                "product": PRODUCT,
                "event_time": _at(hour),
                "known_at": _at(hour),
                "text": f"{category} {i}",
                "masker": "1",
                "version": _version(int(version[i])) if told else None,
                "region": REGIONS[region[i]] if told else None,
                "flag_states": json.dumps({FLAG: bool(flag[i])}) if told and world.flag else None,
                "trust": 1.0,
                "backfill": False,
                "sentiment": 0.05 if category == "praise" else 0.9,
                "category": category,
                "category_confidence": 0.8,
                "content_free": False,
            }
        )
    return rows


def _versions(rng: np.random.Generator, hours: Floats, releases: Ints, world: World) -> Ints:
    """Return the version in use at each time: the newest that has reached the writer by then."""
    version = np.full(len(hours), -1, dtype=np.int64)
    for i, at in enumerate(releases):
        has = rng.random(len(hours)) < _adoption(hours - at, world)
        version[has] = i
    return version


def _adoption(since: Floats, world: World) -> Floats:
    """Return the share of users that has a release so many hours after its start."""
    if not world.staged:
        return 1.0 - np.exp(-np.maximum(since, 0.0) / ADOPTION_H)
    share, before = np.zeros(len(since)), 0.0
    for after, reached in STAGES:
        share += (reached - before) * (1.0 - np.exp(-np.maximum(since - after, 0.0) / 12.0))
        before = reached
    return share


def _changes(
    rng: np.random.Generator, releases: Ints, world: World, *, began: int, end: int
) -> Rows:
    changes = [
        _change(
            "release",
            _version(i),
            int(h),
            version=_version(i),
            rollout=json.dumps(STAGES) if world.staged else None,
        )
        for i, h in enumerate(releases)
        if h < end
    ]
    if world.flag:
        at = began if world.cause == "flag" else began - 24
        changes.append(_change("flag", FLAG, at, rollout=json.dumps([[0.0, 0.5]])))
    if world.cause == "region":
        changes.append(_change("config", "gateway", began, region=REGIONS[2]))
    if world.incident_known:
        late = int(rng.integers(0, 3))
        changes.append(_change("incident", INCIDENT, began + late, ended_at=_at(end)))
    return changes


def _change(kind: str, name: str, hour: int, **columns: Any) -> dict[str, Any]:
    return {
        "change_id": f"{kind}-{name}",
        "kind": kind,
        "product": PRODUCT,
        "name": name,
        "started_at": _at(hour),
        "known_at": _at(hour),
        **columns,
    }


def _users(releases: Ints, world: World, *, end: int) -> Rows:
    """Return users a day by version, of 10,000."""
    rows = []
    for day in range(end // 24 + 1):
        left = 1.0
        middle = np.array([day * 24 + 12.0])
        for i in reversed(range(len(releases))):
            share = left * float(_adoption(middle - releases[i], world)[0])
            left -= share
            rows.append(
                {
                    "product": PRODUCT,
                    "version": _version(i),
                    "platform": "",
                    "region": "",
                    "start": _at(day * 24),
                    "period": "day",
                    "users": round(10_000 * share),
                }
            )
    return rows


def _write(context: InMemoryContext, rows: Rows) -> None:
    context.as_step("enrich")
    for table in (FEEDBACK, ENRICHMENT):
        names = {c.name for c in table.columns}
        own = [{k: v for k, v in r.items() if k in names} for r in rows]
        context.append(table, table.from_rows(own))


def _version(number: int) -> str:
    return f"{number + 2}.0"


def _at(hour: float) -> datetime:
    return START + timedelta(hours=hour)


if __name__ == "__main__":
    main()
