"""Compares what two policies would have done with the same past: tickets, misses, noise by owner."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

from closeloop.domain.judgement import rank
from closeloop.domain.policy import Action
from closeloop.domain.policy_trial import TriedDecision, Truth, truth_of
from closeloop.domain.review import Label


class Effect(StrEnum):
    """What a changed policy does with a signal."""

    NEW_TICKET = "new ticket"
    LOST_TICKET = "ticket lost"
    NOISE_GONE = "noise gone"
    MISS = "missed"
    MORE = "acted on more"
    LESS = "acted on less"


@dataclass(frozen=True, slots=True)
class Tally:
    """What one owner would have got; would-be tickets count as tickets.

    `noise` and `real` are tickets that people called no issue, and real; the others are unknown.
    """

    tickets: int = 0
    noise: int = 0
    real: int = 0
    reviews: int = 0
    digests: int = 0
    suppressed: int = 0

    @property
    def known(self) -> int:
        """Tickets that people have judged."""
        return self.noise + self.real

    def with_(self, decision: TriedDecision, truth: Truth) -> Tally:
        """Return the tally with one more decision."""
        if decision.ticketed:
            return replace(
                self,
                tickets=self.tickets + 1,
                noise=self.noise + (truth is Truth.NOISE),
                real=self.real + (truth is Truth.REAL),
            )
        return replace(
            self,
            reviews=self.reviews + (decision.action is Action.REVIEW),
            digests=self.digests + (decision.action is Action.DIGEST),
            suppressed=self.suppressed + (decision.action is Action.SUPPRESS),
        )


@dataclass(frozen=True, slots=True)
class Change:
    """One signal that two policies decide differently; None: the policy does not raise it."""

    old: TriedDecision | None
    new: TriedDecision | None
    effect: Effect
    truth: Truth

    @property
    def shown(self) -> TriedDecision:
        """The decision that tells of the signal."""
        decision = self.new or self.old
        assert decision is not None
        return decision


def tallies(decisions: Iterable[TriedDecision], labels: Sequence[Label]) -> dict[str, Tally]:
    """Return what each owner would have got."""
    found: dict[str, Tally] = {}
    for decision in decisions:
        truth = truth_of(decision.signal, labels)
        found[decision.owner] = found.get(decision.owner, Tally()).with_(decision, truth)
    return found


def differences(
    old: Mapping[str, TriedDecision],
    new: Mapping[str, TriedDecision],
    *,
    labels: Sequence[Label],
    within: timedelta,
) -> list[Change]:
    """Return the signals that are decided differently, by the time at which they were raised.

    Signals are the same by id, else of one series and raised within that time of each other (under
    another threshold a problem is raised a little earlier or later).
    """
    changes = []
    for one, other in _pairs(old, new, within=within):
        effect = _effect(one, other)
        if effect is None:
            continue
        shown = other or one
        assert shown is not None
        truth = truth_of(shown.signal, labels)
        changes.append(Change(one, other, _known_better(effect, truth), truth))
    return sorted(changes, key=lambda c: (c.shown.signal.detected_at, c.shown.signal_id))


def _pairs(
    old: Mapping[str, TriedDecision], new: Mapping[str, TriedDecision], *, within: timedelta
) -> list[tuple[TriedDecision | None, TriedDecision | None]]:
    pairs: list[tuple[TriedDecision | None, TriedDecision | None]] = []
    left = {i: d for i, d in new.items() if i not in old}
    for signal_id, one in old.items():
        other = new.get(signal_id)
        if other is None:
            near = [
                d
                for d in left.values()
                if _series(d) == _series(one)
                and abs(d.signal.detected_at - one.signal.detected_at) <= within
            ]
            other = min(
                near,
                key=lambda d: (abs(d.signal.detected_at - one.signal.detected_at), d.signal_id),
                default=None,
            )
            if other is not None:
                del left[other.signal_id]
        pairs.append((one, other))
    return [*pairs, *((None, d) for d in left.values())]


def _series(decision: TriedDecision) -> tuple[str, str, str]:
    signal = decision.signal
    return signal.product, signal.kind.value, signal.series_id


def _effect(one: TriedDecision | None, other: TriedDecision | None) -> Effect | None:
    was, would = (d is not None and d.ticketed for d in (one, other))
    if was != would:
        return Effect.NEW_TICKET if would else Effect.LOST_TICKET
    before, after = (-1 if d is None else rank(d.action) for d in (one, other))
    if before == after:
        return None
    return Effect.MORE if after > before else Effect.LESS


def _known_better(effect: Effect, truth: Truth) -> Effect:
    """A lost ticket is a miss where people called it real, and noise that is gone where not."""
    if effect is Effect.LOST_TICKET and truth is Truth.REAL:
        return Effect.MISS
    return Effect.NOISE_GONE if effect is Effect.LOST_TICKET and truth is Truth.NOISE else effect
