"""Tries a policy on the past: judges each recorded state of every signal as the loop would have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from closeloop.domain.autonomy import (
    NOT_AN_ISSUE,
    REAL,
    Standing,
    autonomy_category,
    series_key,
    standing_of,
    standings,
)
from closeloop.domain.judgement import Circumstances, Stood, counts_anew, judge, linked, rank
from closeloop.domain.policy import Action, Policy, SeverityWeights
from closeloop.domain.review import Label, LabelKind
from closeloop.domain.severity import REVENUE, TIER, revenue_value, severity_of, tier_term
from closeloop.domain.signal import SeverityTerm, Signal, SignalKind

DETECTION_FIELDS = ("false_alarms_per_month", "fdr", "snooze")
"""What of a policy decides which signals are raised: the recorded ones don't tell what other values
would have raised."""


@dataclass(frozen=True, slots=True)
class JudgedState:
    """One signal as it stood when it was judged, and what the policy had to know beside it.

    `kin` are the signals of the same problem whose ticket would tell of it too.
    """

    at: datetime
    signal: Signal
    no_case: str | None
    possible_pii: str | None
    owner: str
    kin: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TriedDecision:
    """What a policy would have decided of a signal, and when; the last decision of it counts."""

    signal_id: str
    action: Action
    would_ticket: bool
    rule: str
    reasons: tuple[str, ...]
    at: datetime
    signal: Signal
    owner: str

    @property
    def stood(self) -> Stood:
        """How far it has gone."""
        return Stood(self.signal_id, self.action, self.would_ticket)

    @property
    def ticketed(self) -> bool:
        """Whether a ticket opens, or would but for autonomy not yet earned."""
        return self.action is Action.TICKET or self.would_ticket


class Truth(StrEnum):
    """What people have said of a signal's series."""

    REAL = "real"
    NOISE = "noise"
    UNKNOWN = "unknown"


def differing(one: Policy, other: Policy) -> tuple[str, ...]:
    """Return the detection fields in which two policies differ; none where recorded states do."""
    return tuple(f for f in DETECTION_FIELDS if getattr(one, f) != getattr(other, f))


def tried(
    states: Iterable[JudgedState], policy: Policy, *, labels: Sequence[Label] = ()
) -> dict[str, TriedDecision]:
    """Return the last decision of each signal, by signal_id, as the loop would have made it.

    As in the loop, a signal is decided again only where its action rises; it would have been a
    ticket if any of its decisions would. The severity is weighed anew from the recorded terms.
    Labels count from the time they were made on.
    """
    found: dict[str, TriedDecision] = {}
    clock = _Labels(labels, policy)
    for state in sorted(states, key=lambda s: (s.at, s.signal.detected_at, s.signal.signal_id)):
        signal = reweighed(state.signal, policy.weights)
        judgement = judge(
            signal,
            policy,
            circumstances=Circumstances(
                standing=clock.standing(signal, at=state.at),
                no_case=state.no_case,
                possible_pii=state.possible_pii,
            ),
        )
        judgement = linked(judgement, [found[i].stood for i in state.kin if i in found])
        before = found.get(signal.signal_id)
        if before is not None and not counts_anew(
            judgement, before=rank(before.action), would_ticket=before.would_ticket
        ):
            continue
        found[signal.signal_id] = TriedDecision(
            signal_id=signal.signal_id,
            action=judgement.action,
            would_ticket=judgement.would_ticket or (before is not None and before.would_ticket),
            rule=judgement.rule,
            reasons=judgement.reasons,
            at=state.at,
            signal=signal,
            owner=state.owner,
        )
    return found


def reweighed(signal: Signal, weights: SeverityWeights) -> Signal:
    """Return a signal with the severity that these weights give to its recorded terms.

    What orders and tiers are worth is up to the policy too: those terms are made anew from what the
    signal holds. A term that the weights do not know keeps its own weight; a signal without terms
    its severity.
    """
    if not signal.severity_terms:
        return signal
    terms = tuple(_anew(term, signal, weights) for term in signal.severity_terms)
    return replace(signal, severity_terms=terms, severity=severity_of(terms, weights))


def _anew(term: SeverityTerm, signal: Signal, weights: SeverityWeights) -> SeverityTerm:
    if term.name == TIER:
        return tier_term(signal.tiers, weights)
    value = revenue_value(signal.order_value, weights) if term.name == REVENUE else term.value
    return SeverityTerm(term.name, value, getattr(weights, term.name, term.weight), term.reason)


def truth_of(signal: Signal, labels: Iterable[Label]) -> Truth:
    """Return what people said: of this signal, else (of a theme) of its series; newest counts."""
    own, series = Truth.UNKNOWN, Truth.UNKNOWN
    for label in sorted(labels, key=lambda one: one.made_at):
        if label.kind is not LabelKind.TICKET or label.value not in (REAL, NOT_AN_ISSUE):
            continue
        said = Truth.REAL if label.value == REAL else Truth.NOISE
        if label.subject and label.subject[0] == signal.signal_id:
            own = said
        elif signal.kind is SignalKind.THEME and series_key(signal) in label.subject[1:]:
            series = said
    return own if own is not Truth.UNKNOWN else series


class _Labels:
    """The standings at a time; times are asked for in order."""

    def __init__(self, labels: Sequence[Label], policy: Policy) -> None:
        self._labels = sorted(labels, key=lambda one: one.made_at)
        self._policy = policy
        self._known = -1
        self._standings: dict[tuple[str, str], Standing] = {}

    def standing(self, signal: Signal, *, at: datetime) -> Standing:
        """Return the standing of the signal's product and category from labels up to then."""
        known = self._known if self._known >= 0 else 0
        while known < len(self._labels) and self._labels[known].made_at <= at:
            known += 1
        if known != self._known:
            self._known = known
            self._standings = standings(self._labels[:known], self._policy)
        category = autonomy_category(signal)
        return standing_of(self._standings, product=signal.product, category=category)
