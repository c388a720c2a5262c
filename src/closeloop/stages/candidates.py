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
from closeloop.stages.comparison import DAY_H, Comparison, Sample, compare, later_worse
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
from closeloop.stages.leader import Leader
from closeloop.stages.product_view import ProductView, hour_of, time_of
from closeloop.stages.trouble import Span, complaints_of, span_of
from closeloop.stats.baseline import Floats, Ints
from closeloop.stats.change_point import (
    BLAME_AT,
    PRIOR_NONE,
    SUDDEN_TAUS_H,
    TAILS_H,
    TAUS_H,
    WINDOW_H,
    candidate_likelihood,
    lagged,
    none_likelihood,
    posterior,
    ramps,
)
from closeloop.stats.odds import MIN_A_SIDE
from closeloop.tables import CHANGE

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
ONE_CAUSE = 0.8
"""How often signals of the same days have one cause."""
NOT_THE_LARGER = "the larger trouble of the same days is not its doing"
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
    leader: Leader | None = None,
    elsewhere: Mapping[str, float] = NOWHERE,
) -> list[Row]:
    """Return rows of gold.attribution: the candidates and "none of these", adding up to 1.

    posterior = prior x likelihood of the hourly complaints under the change's time x Bayes factor
    of exposed against unexposed feedback of the same time, where enough of both is there. `leader`
    is a larger signal of the same days: they often share a cause. `elsewhere` are the posteriors of
    incidents, by name, behind the trouble of other products.
    """
    candidates = _candidates(signal, changes)
    complaints = complaints_of(view, signal)
    among = view.testable
    if signal["kind"] == SignalKind.RELEASE:
        among = among & np.isfinite(view.rating)
    span = span_of(view, signal, complaints, now=hour_of(context.now))
    sample = Sample(view, complaints, among, float(span.expected.mean()))
    known = [c for c in changes if hour_of(c["started_at"]) < span.last]
    reached = [reaches(view, c, known) for c in candidates]
    versions = {v for ways in reached for way in ways for v in way.versions}
    adoption = adoption_of(context, view.product, since=span.first - DAY_H, versions=versions)
    logs = [none_likelihood(span.counts, span.expected, HOURLY_PHI)]
    best: list[_Weighed] = []
    for ways in reached:
        found: list[_Weighed] = []
        for way in ways:
            if way.later and not (_seen_itself(found) and _may_live_on(signal, way)):
                continue
            comparison = compare(
                sample, way, adoption, since=(span.onset, span.earliest), until=span.until
            )
            shapes = _shapes(sample, way, adoption, hours=span.hours)
            fit = _likelihood(way.change, span, shapes)
            fit += 0.0 if comparison is None else comparison.log_factor
            if way.later:
                fit -= later_worse(sample, ways[0], way, since=span.earliest, until=span.until)
            found.append(_Weighed(fit, way, comparison))
        # Whether the versions after it have its fault as well is even odds.
        logs.append(float(np.logaddexp.reduce([w.fit for w in found]) - np.log(len(found))))
        best.append(max(found, key=lambda w: w.fit))
    priors = _priors(signal, candidates, elsewhere)
    shares = _with_leader(np.asarray(logs), priors, leader, candidates)
    rows = [_row(signal, None, float(shares[0]))]
    for weighed, share in zip(best, shares[1:], strict=True):
        row = _row(signal, weighed, float(share))
        if leader is not None and not leader.allows(row["change_id"], float(share)):
            row["blamed"] = False
            row["reasons"].append(NOT_THE_LARGER)
        rows.append(row)
    return rows


def _may_live_on(signal: Mapping[str, Any], way: Reach) -> bool:
    """Return whether later versions may be asked about: low ratings of one are of all its faults."""
    own: bool = way.change["version"] == signal["version"]
    return own or signal["kind"] != SignalKind.RELEASE


def _seen_itself(alone: Sequence[_Weighed]) -> bool:
    """Return whether enough feedback comes from a version itself to ask if the next has its fault.

    What hardly anybody had can't be told from its successor, and it is the successor that people
    complain of.
    """
    comparison = alone[0].comparison
    return comparison is not None and comparison.ratio.exposed > MIN_A_SIDE


def _candidates(signal: Mapping[str, Any], changes: Sequence[Row]) -> list[Row]:
    """Return the changes of the ten days before a signal's first complaints, and since.

    Counted from its beginning: a trouble that lasts must not outlive its cause. What was over a day
    before is none: people write of it for a day (change_point.TAILS_H).
    """
    first = signal["window_start"] - timedelta(hours=WINDOW_H)
    gone = signal["window_start"] - timedelta(hours=max(TAILS_H))

    def fits(change: Row) -> bool:
        started: bool = first <= change["started_at"] < signal["window_end"]
        over = change["ended_at"] is not None and change["ended_at"] <= gone
        own = change["kind"] == ChangeKind.RELEASE and change["version"] == signal["version"]
        return (started and not over) or (own and signal["kind"] == SignalKind.RELEASE)

    return merged([change for change in changes if fits(change)])


def _priors(
    signal: Mapping[str, Any], candidates: Sequence[Row], elsewhere: Mapping[str, float]
) -> Floats:
    """Return the prior of "none", then of each candidate.

    Each change brings its own risk: .3 against .7, whether it comes alone or with others; an
    incident, even odds, and up to .9 the surer it is behind another product's trouble.
    """
    own = [
        signal["kind"] == SignalKind.RELEASE and c["version"] == signal["version"]
        for c in candidates
    ]
    none = PRIOR_NONE_WATCHED if any(own) else PRIOR_NONE
    risks = [
        1.0 - none if is_own else none_odds(c, elsewhere) * none
        for is_own, c in zip(own, candidates, strict=True)
    ]
    priors = np.array([none, *risks])
    return np.asarray(priors / priors.sum())


def _with_leader(
    logs: Floats, priors: Floats, leader: Leader | None, candidates: Sequence[Row]
) -> Floats:
    """Return posteriors of "none" and each candidate, from logs of how well each fits.

    Troubles of the same days have one cause in four cases of five: that of the larger one, as far
    as it is known. What the larger one already tells is not counted again: where the complaints are
    the same, its posterior and their own are averaged, not multiplied.
    """
    alone: Floats = np.array(posterior(list(logs + np.log(priors))))
    if leader is None:
        return alone
    held = leader.posteriors
    known = np.array([held.get(None, 0.0), *(held.get(c["change_id"], 0.0) for c in candidates)])
    if known.sum() <= 0.0:
        return alone
    told = ONE_CAUSE * known / known.sum()
    beside = posterior(list(logs + np.log(told + (1.0 - ONE_CAUSE) * priors)))
    same = told + (1.0 - ONE_CAUSE) * alone
    return np.asarray(leader.shared * same + (1.0 - leader.shared) * np.array(beside))


def none_odds(change: Mapping[str, Any], elsewhere: Mapping[str, float] = NOWHERE) -> float:
    """Return the prior odds of a change against "none of these"."""
    risk = RISK
    if change["kind"] == ChangeKind.INCIDENT:
        likelier = max(0.0, 2.0 * elsewhere.get(name_of(change), 0.0) - 1.0)
        risk = RISK_INCIDENT + (RISK_INCIDENT_ELSEWHERE - RISK_INCIDENT) * likelier
    return risk / (1.0 - risk)


def _likelihood(change: Mapping[str, Any], span: Span, shapes: Floats) -> float:
    """Return how well the hours fit a rise of one of the shapes, until the change has ended."""
    ended = change["ended_at"]
    end_h = None if ended is None else (ended - time_of(span.first)) / timedelta(hours=1)
    return candidate_likelihood(span.counts, span.expected, shapes, HOURLY_PHI, end_h=end_h)


def _shapes(sample: Sample, reach: Reach, adoption: Adoption, *, hours: Ints) -> Floats:
    """Return how a change may have reached its users in the hours [shapes, hours].

    By its counted users, where they are known; else by its stages, and as other feedback names it:
    a version that is replaced after three days has no users any more, and no stage says so.
    """
    change = reach.change
    shares = adoption.share(reach.versions, hours)
    if shares is not None:
        return lagged(shares)
    shapes = ramps(
        len(hours),
        (change["started_at"] - time_of(int(hours[0]))) / timedelta(hours=1),
        stages=stages_of(change),
        taus_h=SUDDEN_TAUS_H if change["kind"] in SUDDEN else TAUS_H,
    )
    shares = share_named(
        sample.view, reach, complaints=sample.complaints, among=sample.among, hours=hours
    )
    return shapes if shares is None else np.vstack([shapes, lagged(shares)])


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
        sides = f"{ratio.exposed} of {ratio.exposed + ratio.unexposed} complaints come from it"
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
