"""Knows which signals are one problem, so that it gets one ticket and one question to a person."""

from __future__ import annotations

from collections.abc import Iterable

from closeloop.domain.judgement import Judgement, linked, rank
from closeloop.domain.policy import Action, Decision
from closeloop.domain.signal import Signal, share_complaints
from closeloop.ports import StepContext, only_if_in
from closeloop.stages.signal_rows import signal_of
from closeloop.tables import SIGNAL

Standing = tuple[int, bool]
"""How far what was decided goes: its rank, and whether it is a ticket but for labels."""


class Problems:
    """The problems of some signals: those that name the same parent, with what was decided of them."""

    def __init__(self, context: StepContext, signals: Iterable[Signal]) -> None:
        self._owners = context.config.owners
        self._members: dict[str, list[Signal]] = {}
        roots = {root_of(s) for s in signals}
        found = {s.signal_id: s for s in signals}
        for column in ("signal_id", "parent_id"):
            rows = context.rows(SIGNAL, where=[only_if_in(column, roots)]).to_pylist()
            found |= {r["signal_id"]: signal_of(r) for r in rows}
        for signal in found.values():
            self._members.setdefault(root_of(signal), []).append(signal)
        self._decided: dict[str, Decision] = {}
        for decision in context.ops.decisions():
            if decision.signal_id in found:
                self.note(decision)

    def note(self, decision: Decision) -> None:
        """Take note of a decision, if it goes further than the signal's last."""
        before = self._decided.get(decision.signal_id)
        if before is None or _standing(decision) >= _standing(before):
            self._decided[decision.signal_id] = decision

    def linked(self, signal: Signal, judgement: Judgement) -> Judgement:
        """Return the judgement, or that another signal's ticket or question tells of it."""
        decided = [
            (self._decided[other.signal_id], other)
            for other in self._members.get(root_of(signal), ())
            if other.signal_id in self._decided and self._one_ticket(signal, other)
        ]
        if not decided:
            return judgement
        leader, _ = max(decided, key=lambda d: (*_standing(d[0]), d[1].signal_id))
        return linked(
            judgement,
            leader=leader.signal_id,
            asked=leader.action,
            would_ticket=leader.would_ticket,
        )

    def _one_ticket(self, one: Signal, other: Signal) -> bool:
        """Whether a ticket for one tells its owner of the other too.

        Signals of one series, or on the same complaints, always; those that have only their cause
        in common where one owner mends both. Else each owner needs a ticket of their own.
        """
        if one.signal_id == other.signal_id or one.product != other.product:
            return False
        same = (one.kind, one.series_id) == (other.kind, other.series_id)
        if same or share_complaints(one.feedback_ids, other.feedback_ids):
            return True
        first, second = (
            self._owners.owner_of(product=s.product, category=s.category).owner
            for s in (one, other)
        )
        return first == second


def root_of(signal: Signal) -> str:
    """Return the id of the signal under which a problem is kept."""
    return signal.parent_id or signal.signal_id


def _standing(decision: Decision) -> Standing:
    ticket = decision.action is Action.TICKET
    return rank(decision.action), decision.would_ticket or ticket
