"""Weighs what may be behind a signal: who complains at the same time, and when it began."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np

from closeloop.domain.change import ChangeKind
from closeloop.domain.signal import SignalKind
from closeloop.ports import StepContext
from closeloop.stages.comparison import Comparison, compare
from closeloop.stages.exposed import (
    Adoption,
    Reach,
    adoption_of,
    merged,
    name_of,
    reaches,
    share_named,
    stages_of,
)
from closeloop.stages.product_view import ProductView, hour_of, time_of
from closeloop.stats.baseline import HOURS_A_WEEK, Floats, Ints, hour_of_week, week_profiles
from closeloop.stats.change_point import (
    BLAME_AT,
    PRIOR_NONE,
    SUDDEN_TAUS_H,
    TAUS_H,
    WINDOW_H,
    candidate_likelihood,
    lagged,
    none_likelihood,
    posterior,
    ramps,
)
from closeloop.stats.release_watch import LOW_STARS
from closeloop.tables import CHANGE

BASE_DAYS = 45
"""Days before the timing window that the usual rate is taken from."""
RISK = 1.0 - PRIOR_NONE
"""How often a change of ours does harm, beside other troubles."""
RISK_INCIDENT = 0.5
"""An incident is one because it does harm somewhere; the question is only whether here."""
RISK_INCIDENT_ELSEWHERE = 0.9
"""One that is surely behind the trouble of another product has done harm: few spare the next."""
SUDDEN = frozenset({ChangeKind.INCIDENT, ChangeKind.FLAG, ChangeKind.CONFIG})
"""Kinds of change that hit all whom they reach at once."""
PRIOR_NONE_WATCHED = 0.5
"""For the version that the release watch singled out: chance is ruled out by its evidence, what is
left is a cause outside that met all versions alike."""
HOURLY_PHI = 0.2
NOISE_FLOOR = 0.5 / 24
"""Complaints an hour that are usual in any series: a rare one's stray texts, one every second day,
must not date a rise to before its cause."""
AFTERMATH = timedelta(hours=72)
"""After a release signal's last news its reviews still tell when it began."""
ONE_CAUSE = 0.8
"""How often signals of the same days have one cause."""
LEADER_ALLOWS = 0.5
"""A change that is less likely than this behind the larger trouble is not blamed for a part of it:
the parts are many, and in one of them chance looks like a cause."""
STILL_RAISED = 3.0
AHEAD_H = 72
"""Trouble goes on while the next 72 hours have so many times the usual complaints."""
CALM_H = 48
"""So much of the calm after the trouble is looked at: when it ended tells of its cause, too."""
MAX_NAMED = 3
NONE = "none"
NOWHERE: Mapping[str, float] = {}

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Weighed:
    """One way in which a change may be behind a signal: log of how well it fits, whom it reached."""

    fit: float
    reach: Reach
    comparison: Comparison | None


def changes_of(context: StepContext, product: str) -> list[Row]:
    """Return the changes of a product, and those of all products, that are known by now."""
    rows = context.rows(CHANGE).to_pylist()
    return sorted(
        (
            r
            for r in rows
            if r["product"] in (product, None, "", "*")
            and r["started_at"] is not None
            and r["started_at"] <= context.now
            and (r["known_at"] or r["started_at"]) <= context.now
        ),
        key=lambda r: (r["started_at"], r["change_id"]),
    )


def weigh(
    context: StepContext,
    view: ProductView,
    signal: Mapping[str, Any],
    changes: Sequence[Row],
    *,
    leader: Mapping[str | None, float] | None = None,
    elsewhere: Mapping[str, float] = NOWHERE,
) -> list[Row]:
    """Return rows of gold.attribution: the candidates and "none of these", adding up to 1.

    posterior = prior x likelihood of the hourly complaints under the change's time x Bayes factor
    of exposed against unexposed feedback of the same time, where enough of both is there. `leader`
    are the posteriors, by change, of a larger signal of the same days: they often share a cause.
    `elsewhere` are the posteriors of incidents, by name, behind the trouble of other products.
    """
    candidates = _candidates(signal, changes)
    complaints = complaints_of(view, signal)
    now = hour_of(context.now)
    until = _trouble_ends(view, signal, complaints, now=now)
    end = min(until + CALM_H, now)
    if signal["kind"] == SignalKind.RELEASE:
        end = min(until, hour_of(signal["window_end"] + AFTERMATH))
    counts, expected = _timing(view, complaints, end)
    usual = float(expected.mean())
    known = [c for c in changes if hour_of(c["started_at"]) < end]
    reached = [reaches(view, c, known) for c in candidates]
    versions = {v for ways in reached for way in ways for v in way.versions}
    adoption = adoption_of(context, view.product, since=end - WINDOW_H - 24, versions=versions)
    logs = [none_likelihood(counts, expected, HOURLY_PHI)]
    best: list[_Weighed] = []
    for ways in reached:
        found = []
        for way in ways:
            comparison = compare(
                view, signal, way, adoption, complaints=complaints, usual=usual, until=until
            )
            shapes = _shapes(view, way, adoption, complaints=complaints, end=end)
            fit = _likelihood(way.change, counts, expected, shapes, end=end)
            fit += 0.0 if comparison is None else comparison.log_factor
            found.append(_Weighed(fit, way, comparison))
        # Whether the versions after it have its fault as well is even odds.
        logs.append(float(np.logaddexp.reduce([w.fit for w in found]) - np.log(len(found))))
        best.append(max(found, key=lambda w: w.fit))
    shares = posterior(
        list(np.asarray(logs) + np.log(_priors(signal, candidates, leader, elsewhere)))
    )
    rows = [_row(signal, None, shares[0])]
    for weighed, share in zip(best, shares[1:], strict=True):
        row = _row(signal, weighed, share)
        if leader is not None and leader.get(row["change_id"], 1.0) < LEADER_ALLOWS:
            row["blamed"] = False
            row["reasons"].append("the larger trouble of the same days is not its doing")
        rows.append(row)
    return rows


def complaints_of(view: ProductView, signal: Mapping[str, Any]) -> Ints:
    """Return the rows that count as complaints of a signal: its series', or low ratings."""
    if signal["kind"] == SignalKind.RELEASE:
        return np.flatnonzero(view.testable & (view.rating <= LOW_STARS))
    rows = view.members(signal["kind"], signal["series_id"])
    return np.asarray(rows[view.testable[rows]])


def _candidates(signal: Mapping[str, Any], changes: Sequence[Row]) -> list[Row]:
    first = signal["window_end"] - timedelta(hours=WINDOW_H)

    def fits(change: Row) -> bool:
        started: bool = first <= change["started_at"] < signal["window_end"]
        over = change["ended_at"] is not None and change["ended_at"] <= signal["window_start"]
        own = change["kind"] == ChangeKind.RELEASE and change["version"] == signal["version"]
        return (started and not over) or (own and signal["kind"] == SignalKind.RELEASE)

    return merged([change for change in changes if fits(change)])


def _priors(
    signal: Mapping[str, Any],
    candidates: Sequence[Row],
    leader: Mapping[str | None, float] | None,
    elsewhere: Mapping[str, float],
) -> Floats:
    """Return the prior of "none", then of each candidate.

    Each change brings its own risk: .3 against .7, whether it comes alone or with others; an
    incident, even odds, and up to .9 the surer it is behind another product's trouble. Troubles of the same days have one cause in four cases of five: that of the
    larger one, as far as it is known.
    """
    own = [
        signal["kind"] == SignalKind.RELEASE and c["version"] == signal["version"]
        for c in candidates
    ]
    none = PRIOR_NONE_WATCHED if any(own) else PRIOR_NONE
    if not candidates:
        return np.ones(1)
    risks = [
        1.0 - none if is_own else none_odds(c, elsewhere) * PRIOR_NONE
        for is_own, c in zip(own, candidates, strict=True)
    ]
    priors = np.array([none, *risks])
    priors /= priors.sum()
    if leader is None:
        return np.asarray(priors)
    known = np.array(
        [leader.get(None, 0.0), *(leader.get(c["change_id"], 0.0) for c in candidates)]
    )
    if known.sum() <= 0.0:
        return np.asarray(priors)
    return np.asarray(ONE_CAUSE * known / known.sum() + (1.0 - ONE_CAUSE) * priors)


def none_odds(change: Mapping[str, Any], elsewhere: Mapping[str, float] = NOWHERE) -> float:
    """Return the prior odds of a change against "none of these"."""
    risk = RISK
    if change["kind"] == ChangeKind.INCIDENT:
        likelier = max(0.0, 2.0 * elsewhere.get(name_of(change), 0.0) - 1.0)
        risk = RISK_INCIDENT + (RISK_INCIDENT_ELSEWHERE - RISK_INCIDENT) * likelier
    return risk / (1.0 - risk)


def _timing(view: ProductView, complaints: Ints, end: int) -> tuple[Floats, Floats]:
    """Return (complaints, expected complaints) of each of the 240 hours before `end`."""
    first = end - WINDOW_H
    hours = view.hours[complaints]
    inside = hours[(hours >= first) & (hours < end)]
    counts = np.bincount(inside - first, minlength=WINDOW_H).astype(np.float64)
    begin = max(int(view.hours[0]), first - BASE_DAYS * 24)
    before = int(((hours >= begin) & (hours < first)).sum())
    rate = max((before + 0.5) / max(first - begin, 24), NOISE_FLOOR)
    usual = view.hours[view.complaint & (view.hours < first)]
    weekly = np.bincount(hour_of_week(usual), minlength=HOURS_A_WEEK).astype(np.float64)
    profile = week_profiles(weekly[None, :])[0] * 24.0
    return counts, np.asarray(rate * profile[hour_of_week(np.arange(first, end))])


def _likelihood(
    change: Mapping[str, Any], counts: Floats, expected: Floats, shapes: Floats, *, end: int
) -> float:
    """Return how well the hours fit a rise of one of the shapes, until the change has ended."""
    ended = change["ended_at"]
    end_h = None if ended is None else (ended - time_of(end - WINDOW_H)) / timedelta(hours=1)
    return candidate_likelihood(counts, expected, shapes, HOURLY_PHI, end_h=end_h)


def _shapes(
    view: ProductView, reach: Reach, adoption: Adoption, *, complaints: Ints, end: int
) -> Floats:
    """Return how a change may have reached its users in the hours before `end` [shapes, hours].

    By its counted users, where they are known; else by its stages, and as other feedback names it:
    a version that is replaced after three days has no users any more, and no stage says so.
    """
    hours = np.arange(end - WINDOW_H, end)
    change = reach.change
    shares = adoption.share(reach.versions, hours)
    if shares is not None:
        return lagged(shares)
    shapes = ramps(
        WINDOW_H,
        (change["started_at"] - time_of(end - WINDOW_H)) / timedelta(hours=1),
        stages=stages_of(change),
        taus_h=SUDDEN_TAUS_H if change["kind"] in SUDDEN else TAUS_H,
    )
    shares = share_named(view, reach, complaints=complaints, hours=hours)
    return shapes if shares is None else np.vstack([shapes, lagged(shares)])


def _trouble_ends(
    view: ProductView, signal: Mapping[str, Any], complaints: Ints, *, now: int
) -> int:
    """Return the hour until which a signal's trouble is looked at.

    Calm on all sides says nothing of a trouble that is over, so it ends with the last alarm and the
    raised days that follow. A bad version stays bad: its reviews compare while it is watched.
    """
    latest = min(now, hour_of(signal["window_start"]) + WINDOW_H)
    if signal["kind"] == SignalKind.RELEASE:
        return latest
    hours = view.hours[complaints]
    end = hour_of(signal["window_end"])
    usual = signal["baseline"] / max(end - hour_of(signal["window_start"]), 1)
    while end < latest:
        ahead = min(AHEAD_H, latest - end)
        came = int(((hours >= end) & (hours < end + ahead)).sum())
        if came < STILL_RAISED * ahead * usual:
            break
        end += 24
    return min(end, latest)


def _row(signal: Mapping[str, Any], weighed: _Weighed | None, share: float) -> Row:
    change = None if weighed is None else weighed.reach.change
    comparison = None if weighed is None else weighed.comparison
    ratio = None if comparison is None else comparison.ratio
    return {
        "signal_id": signal["signal_id"],
        "change_id": None if change is None else change["change_id"],
        "kind": NONE if change is None else change["kind"],
        "name": "none of these" if change is None else change.get("shown", name_of(change)),
        "effect": None if ratio is None else ratio.ratio,
        "effect_low": None if ratio is None else ratio.low,
        "effect_high": None if ratio is None else ratio.high,
        "exposed": None if ratio is None else ratio.exposed,
        "unexposed": None if ratio is None else ratio.unexposed,
        "posterior": share,
        "blamed": change is not None
        and share >= BLAME_AT
        and (comparison is None or comparison.allows_blame),
        "reasons": _reasons(signal, weighed),
    }


def _reasons(signal: Mapping[str, Any], weighed: _Weighed | None) -> list[str]:
    if weighed is None:
        return ["the cause is none of the changes that are known"]
    hours = (signal["window_end"] - weighed.reach.change["started_at"]) / timedelta(hours=1)
    said = [f"began {hours:.0f} h before the signal's last complaints"]
    compared = weighed.comparison
    if compared is None:
        return [*said, "nobody says who was exposed: judged by its time alone"]
    if weighed.reach.later:
        named = ", ".join(weighed.reach.later[:MAX_NAMED])
        more = len(weighed.reach.later) - MAX_NAMED
        said.append(f"later versions count as having it: {named}{f' and {more} more' * (more > 0)}")
    ratio = compared.ratio
    if ratio.of_users is not None:
        sides = f"{ratio.exposed} of {compared.complaints} complaints come from it"
        users = f"{ratio.of_users:.0%} of the users had it"
        return [
            *said,
            f"{sides}, {users}: odds ratio {ratio.ratio:.1f} ({ratio.low:.1f}-{ratio.high:.1f})",
        ]
    sides = f"at the same time {ratio.exposed} reviews with it and {ratio.unexposed} without"
    if ratio.enough:
        return [*said, f"{sides}: odds ratio {ratio.ratio:.1f} ({ratio.low:.1f}-{ratio.high:.1f})"]
    few = f"{compared.own} of {compared.complaints} complaints come from it"
    return [*said, f"{sides}: not enough to compare; {few}"]
