"""Says who had a change and when: feedback that names it, its stages, users by version."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np

from closeloop.domain.change import ChangeKind
from closeloop.ports import Condition, StepContext
from closeloop.stages.product_view import Bools, ProductView, hour_of, time_of
from closeloop.stats.baseline import Floats, Ints
from closeloop.stats.change_point import WHOLE, Stages
from closeloop.tables import EXPOSURE

SCOPES = ("region", "platform")
"""Columns by which a change may reach a part of the customers only."""
TELLS_SCOPE = 0.2
"""A scope counts where at least this share of the feedback tells it."""
PERIOD = {"hour": timedelta(hours=1), "day": timedelta(days=1)}
MIN_NAMED = 16
"""Texts that must come from a version before they tell how far it has got; twice as many in all."""
NEAR_H = 6
"""Hours by which a text tells of the time around it."""
FIGURES = ("users", "installs", "orders")
"""Figures of silver.exposure that say how many have a version, the best first."""

Row = dict[str, Any]


def stages_of(change: Mapping[str, Any]) -> Stages:
    """Return the rollout of a change as (hours after start, share); all at once where unknown."""
    try:
        stages = tuple((float(h), float(s)) for h, s in json.loads(change["rollout"] or "[]"))
    except (ValueError, TypeError):
        return WHOLE
    return stages if any(share > 0 for _, share in stages) else WHOLE


@dataclass(frozen=True, slots=True)
class Reach:
    """Whom a change reached: feedback of its version or state, of `later` versions as well if any.

    `told` is (who says whether, who had it) [rows], None where it reached everyone; `start` is the
    hour since 1970 from which on it did; `partial` says that it is for one region or platform only.
    """

    change: Mapping[str, Any]
    later: tuple[str, ...]
    told: tuple[Bools, Bools] | None

    @property
    def versions(self) -> tuple[str, ...]:
        """The versions that have the change."""
        own = self.change["version"]
        return (own, *self.later) if own else ()

    @property
    def start(self) -> int:
        """The hour since 1970 in which the change began."""
        return hour_of(self.change["started_at"])

    @property
    def partial(self) -> bool:
        """Whether it reaches one region or platform only."""
        return bool(self.change["region"] or self.change["platform"])


def reaches(view: ProductView, change: Mapping[str, Any], changes: Sequence[Row]) -> list[Reach]:
    """Return whom a change may have reached: its own version alone, and the later ones with it.

    A fault is in all the versions that are built on the first that has it, until one mends it.
    `changes` are the product's; versions that were out before the change are not later ones, nor
    are those of another platform.
    """
    alone = Reach(change, (), _who_had(view, change, ()))
    if change["kind"] != ChangeKind.RELEASE or not change["version"]:
        return [alone]
    releases = [
        c
        for c in changes
        if c["kind"] == ChangeKind.RELEASE
        and c["version"]
        and (not c["platform"] or not change["platform"] or c["platform"] == change["platform"])
    ]
    start = change["started_at"]
    before = {c["version"] for c in releases if c["started_at"] <= start}
    known = before | {change["version"]}
    later = {c["version"] for c in releases if c["started_at"] > start} - known
    if not later:
        return [alone]
    after = tuple(sorted(later))
    return [alone, Reach(change, after, _who_had(view, change, after))]


def _who_had(
    view: ProductView, change: Mapping[str, Any], later: Sequence[str]
) -> tuple[Bools, Bools] | None:
    """Return (who says whether, who had it) [rows], None where a change reaches everyone.

    A version or flag that reaches one region or platform only is compared with other feedback of
    the same region or platform; a change without either is compared across them.
    """
    scope = _scope(view, change)
    named: Bools | None = None
    if change["kind"] == ChangeKind.FLAG:
        named, had = _flag_states(view, change["name"])
    elif change["version"]:
        version = view.coded("version")
        named, had = version.codes >= 0, version.among((change["version"], *later))
    elif change["kind"] == ChangeKind.ARTICLE and scope is None:
        article = view.coded("sku")
        named, had = article.codes >= 0, article.equal(change["name"])
    if named is not None and (named.any() or scope is None):
        inside = _in_scope(named, scope)
        return named & inside, had & inside
    return scope


def share_named(
    view: ProductView, reach: Reach, *, complaints: Ints, among: Bools, hours: Ints
) -> Floats | None:
    """Return the share of a product's other feedback that comes from a version or flag [hours].

    None where too little says so: at least 16 texts from it and 32 in all since it began.
    `among` [rows] is the feedback that counts at all; `complaints` are left out: what is asked is
    when people had it, not when they complained. Texts
    count by how near they are (a bell of six hours), beside one text of the mean share, so that an
    hour without feedback has a share as well; before the change's start it is 0.
    """
    if reach.told is None or (reach.change["kind"] != ChangeKind.FLAG and not reach.versions):
        return None
    named, had = reach.told
    start = reach.start
    other = named & among & (view.hours >= start) & (view.hours <= hours[-1])
    other[complaints] = False
    mine = int((other & had).sum())
    if mine < MIN_NAMED or int(other.sum()) < 2 * MIN_NAMED:
        return None
    since = view.hours[other]
    size = int(hours[-1]) - start + 1
    all_by_hour = np.bincount(since - start, minlength=size)
    had_by_hour = np.bincount(since - start, weights=had[other], minlength=size)
    near = np.exp(-0.5 * (np.arange(-4 * NEAR_H, 4 * NEAR_H + 1) / NEAR_H) ** 2)
    mean = mine / int(other.sum())
    share = (np.convolve(had_by_hour, near)[4 * NEAR_H :][:size] + mean) / (
        np.convolve(all_by_hour, near)[4 * NEAR_H :][:size] + 1.0
    )
    inside = (hours >= start).astype(np.float64)
    inside[hours >= start] = share[hours[hours >= start] - start]
    return inside


def _scope(view: ProductView, change: Mapping[str, Any]) -> tuple[Bools, Bools] | None:
    """Return (who tells region and platform, who is inside) of a change that reaches a part."""
    told = inside = np.ones(len(view.hours), dtype=np.bool_)
    wanted = [(column, change[column]) for column in SCOPES if change[column]]
    for column, value in wanted:
        held = view.coded(column)
        same = tuple(n for n in held.names if n.casefold() == str(value).casefold())
        told = told & (held.codes >= 0)
        inside = inside & held.among(same)
    return (told, told & inside) if wanted else None


def _in_scope(named: Bools, scope: tuple[Bools, Bools] | None) -> Bools:
    everyone = np.ones(len(named), dtype=np.bool_)
    if scope is None:
        return everyone
    told, inside = scope
    tells = float((named & told).sum()) >= TELLS_SCOPE * float(named.sum())
    return inside if tells else everyone


def _flag_states(view: ProductView, name: str) -> tuple[Bools, Bools]:
    states = view.coded("flag_states")
    told = [_flag(text, name) for text in states.names]
    named = np.array([*(t is not None for t in told), False])
    on = np.array([*(t is True for t in told), False])
    return named[states.codes], on[states.codes]


def _flag(states: str, name: str) -> bool | None:
    """Return whether a flag was on for the writer of this feedback, None where it isn't said."""
    try:
        held = json.loads(states)
    except ValueError:
        return None
    value = held.get(name) if isinstance(held, dict) else None
    if value is None or isinstance(value, bool):
        return value
    return str(value).lower() in ("on", "true", "1", "enabled")


@dataclass(frozen=True, slots=True)
class Adoption:
    """Which share of a product's users had each version, as silver.exposure has it.

    `hours` (since 1970, the middle of a period, in order) and `shares` by version.
    """

    curves: Mapping[str, tuple[Ints, Floats]]

    @property
    def until(self) -> int:
        """The hour of the newest figure; after it, shares are those of then."""
        return max((int(at[-1]) for at, _ in self.curves.values() if len(at)), default=0)

    def share(self, versions: Sequence[str], hours: Ints) -> Floats | None:
        """Return the share that had one of the versions in each hour, None where none is known.

        Straight lines between figures; a version had nobody before its first one.
        """
        total: Floats | None = None
        for version in versions:
            at, shares = self.curves.get(version, (np.zeros(0, np.int64), np.zeros(0)))
            inside = (at >= hours[0]) & (at <= hours[-1])
            if int(inside.sum()) >= 2 and shares[inside].any():
                own = np.interp(hours, at, shares, left=0.0)
                total = own if total is None else total + own
        return total


def adoption_of(context: StepContext, product: str, *, since: int, versions: set[str]) -> Adoption:
    """Return how many had each of `versions` from an hour on, by figures known by now."""
    if not versions:
        return Adoption({})
    where: list[Condition] = [("product", "=", product), ("start", ">=", time_of(since))]
    rows = context.rows(EXPOSURE, where=where).to_pylist()
    known = [r for r in rows if r["version"] and r["start"] + PERIOD[r["period"]] <= context.now]
    figure = next((f for f in FIGURES if any(r[f] for r in known)), None)
    if figure is None:
        return Adoption({})
    by_time: dict[int, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for row in known:
        middle = hour_of(row["start"] + PERIOD[row["period"]] / 2)
        by_time[middle][row["version"]] += row[figure] or 0.0
    return Adoption({v: _curve(by_time, v) for v in sorted(versions)})


def _curve(by_time: Mapping[int, Mapping[str, float]], version: str) -> tuple[Ints, Floats]:
    hours = sorted(by_time)
    totals = [sum(by_time[h].values()) for h in hours]
    shares = [
        by_time[h].get(version, 0.0) / total if total > 0 else 0.0
        for h, total in zip(hours, totals, strict=True)
    ]
    return np.array(hours, dtype=np.int64), np.array(shares, dtype=np.float64)


def merged(changes: Sequence[Row]) -> list[Row]:
    """Return changes with the parts of one put together: a version that is released in stages.

    Rows of one kind and name are one change from its first day, in all the regions it names. The
    same version on another platform is another build: its name then says which.
    """
    found: dict[tuple[str, str, str], Row] = {}
    for change in changes:
        key = (change["kind"], name_of(change), change["platform"] or "")
        first = found.setdefault(key, {**change})
        if first["region"] != change["region"]:
            first["region"] = None
    names = [(kind, name) for kind, name, _ in found]
    for (kind, name, platform), change in found.items():
        many = names.count((kind, name)) > 1
        change["shown"] = f"{name} on {platform}" if many and platform else name
    return list(found.values())


def name_of(change: Mapping[str, Any]) -> str:
    """Return what a change is called."""
    return str(change["name"] or change["version"] or change["change_id"])
