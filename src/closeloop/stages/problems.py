"""Knows which signals are one problem, so that it gets one ticket and one question to a person."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

from closeloop.domain.judgement import Judgement, Stood, linked
from closeloop.domain.policy import Decision
from closeloop.domain.signal import Signal, share_complaints
from closeloop.ports import StepContext, only_if_in
from closeloop.stages.signal_complaints import SignalComplaints, complaints_of_signals
from closeloop.stages.signal_rows import signal_of
from closeloop.tables import SIGNAL


class Problems:
    """The problems of some signals: those that name the same parent, with what was decided of them."""

    def __init__(self, context: StepContext, signals: Iterable[Signal]) -> None:
        self._context = context
        self._owners = context.config.owners
        self._complaints: dict[str, SignalComplaints] = {}
        self._members: dict[str, list[Signal]] = {}
        roots = {root_of(s) for s in signals}
        found = {s.signal_id: s for s in signals}
        for column in ("signal_id", "parent_id"):
            rows = context.rows(SIGNAL, where=[only_if_in(column, roots)]).to_pylist()
            found |= {r["signal_id"]: signal_of(r) for r in rows}
        for signal in found.values():
            self._members.setdefault(root_of(signal), []).append(signal)
        self._stood: dict[str, Stood] = {}
        for decision in context.ops.decisions():
            if decision.signal_id in found:
                self.note(decision)

    def note(self, decision: Decision) -> None:
        """Take note of a decision."""
        fresh = Stood(decision.signal_id, decision.action, decision.would_ticket)
        before = self._stood.get(decision.signal_id, fresh)
        self._stood[decision.signal_id] = before.risen(
            decision.action, would_ticket=decision.would_ticket
        )

    def kin(self, signal: Signal) -> list[str]:
        """Return the ids of the signals whose ticket would tell of this one too."""
        members = self._members.get(root_of(signal), ())
        return sorted(o.signal_id for o in members if self._one_ticket(signal, o))

    def linked(self, judgement: Judgement, kin: Iterable[str]) -> Judgement:
        """Return the judgement, or that the ticket or question of one of `kin` tells of it."""
        return linked(judgement, [self._stood[i] for i in kin if i in self._stood])

    def _one_ticket(self, one: Signal, other: Signal) -> bool:
        """Whether a ticket for one tells its owner of the other too.

        Signals of one series, or on the same complaints, always; those that have only their cause
        in common where one owner mends both. Else each owner needs a ticket of their own.
        """
        if one.signal_id == other.signal_id or one.product != other.product:
            return False
        same = (one.kind, one.series_id) == (other.kind, other.series_id)
        if same:
            return True
        first, second = (
            self._owners.owner_of(product=s.product, category=s.category).owner
            for s in (one, other)
        )
        return first == second or self._shared(one, other)

    def _shared(self, one: Signal, other: Signal) -> bool:
        """Whether two signals of a product rest on the same complaints.

        The ids that are kept say it; the complaints are read only where there are more.
        """
        if one.all_kept and other.all_kept:
            both = set(one.feedback_ids) & set(other.feedback_ids)
            return share_complaints(len(both), len(one.feedback_ids), len(other.feedback_ids))
        known = self._complaints.get(one.product)
        if known is None:
            members = [s for found in self._members.values() for s in found]
            known = complaints_of_signals(
                self._context, [s for s in members if s.product == one.product]
            )
            self._complaints[one.product] = known
        return known.shared(asdict(one), asdict(other))


def root_of(signal: Signal) -> str:
    """Return the id of the signal under which a problem is kept."""
    return signal.parent_id or signal.signal_id
