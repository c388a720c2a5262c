"""Acting: one ticket a signal, parents for shared causes, and an outbox that delivers once."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from closeloop.domain.judgement import decision_id
from closeloop.domain.policy import Action
from closeloop.domain.signal import Severity
from closeloop.domain.ticket import Ticket, TicketStatus
from closeloop.errors import OutsideError, TerminalError, TransientError
from closeloop.stages import act
from closeloop.tables import ATTRIBUTION, BRIEF, DECISION, FEEDBACK, SIGNAL, TICKET
from closeloop.testing.context import InMemoryContext
from closeloop.testing.example_rows import AT, attribution_row, brief_row, signal_row


class RecordingTracker:
    """A tracker that can fail before or after it has acted, and looks by key before it creates."""

    name = "builtin"

    def __init__(self) -> None:
        self.issues: dict[str, Ticket] = {}
        self.comments: list[str] = []
        self.faults: list[OutsideError] = []
        self.acts_before_failing = False

    def create(self, ticket: Ticket, *, idempotency_key: str) -> str:
        if idempotency_key not in self.issues:
            if self.faults and not self.acts_before_failing:
                raise self.faults.pop(0)
            self.issues[idempotency_key] = ticket
        if self.faults:
            raise self.faults.pop(0)
        return f"X-{list(self.issues).index(idempotency_key) + 1}"

    def update(self, ticket: Ticket, *, comment: str, idempotency_key: str) -> None:
        self.comments.append(comment)


def acted(context: InMemoryContext, *signals: dict[str, Any]) -> list[Ticket]:
    """Write signals with ticket decisions, run the stage as the loop does; return all tickets."""
    context.as_step("detect").merge(SIGNAL, SIGNAL.from_rows(signals))
    rows = [
        {
            "decision_id": decision_id(s["signal_id"], Action.TICKET),
            "signal_id": s["signal_id"],
            "action": "ticket",
            "decided_at": context.now,
        }
        for s in signals
    ]
    context.as_step("decide").merge(DECISION, DECISION.from_rows(rows))
    act.run(context.as_step(act.NAME))
    return context.ops.tickets()


def grown(context: InMemoryContext, *, hours: int = 1, **changes: Any) -> None:
    context.next_pass(now=AT + timedelta(hours=hours))
    context.as_step("detect").merge(SIGNAL, SIGNAL.from_rows([signal_row(**changes)]))
    act.run(context.as_step(act.NAME))


def delivered(context: InMemoryContext, tracker: RecordingTracker, *, after: timedelta) -> None:
    context.next_pass(now=context.now + after)
    act.deliver(context.as_step("deliver"), [tracker])


@pytest.fixture
def context() -> InMemoryContext:
    context = InMemoryContext(now=AT)
    context.merge(BRIEF, BRIEF.from_rows([brief_row()]))
    context.merge(ATTRIBUTION, ATTRIBUTION.from_rows([attribution_row()]))
    context.merge(
        FEEDBACK,
        FEEDBACK.from_rows(
            {
                "feedback_id": i,
                "revision": 1,
                "product": "shop-app",
                "event_time": AT - timedelta(hours=h),
            }
            for i, h in (("aaaaaaaa11112222", 4), ("bbbbbbbb11112222", 9), ("unrelated", 99))
        ),
    )
    return context


def test_a_ticket_carries_all_that_its_owner_needs(context: InMemoryContext) -> None:
    (ticket,) = acted(context, signal_row())
    assert ticket.title == "Payments fail in Shop App since 2.8.5"
    assert ticket.severity is Severity.P1
    assert ticket.confidence == 0.93
    assert ticket.category == "payment failure"
    assert ticket.owner == "payments-team"
    assert (ticket.release, ticket.change_id) == ("2.8.5", "change-285")
    assert ticket.due_at == AT + timedelta(hours=24)
    assert ticket.first_complaint_at == AT - timedelta(hours=9)
    assert ticket.examples == (
        "“money is gone and payment failed” (review aaaaaaaa11112222, 1 of 5 stars, version 2.8.5)",
        "“upi does not work since the update” (review bbbbbbbb11112222)",
    )
    assert "Likely cause: release 2.8.5" in ticket.body
    assert "22 impact: money" in ticket.body
    (row,) = context.rows(TICKET).to_pylist()
    assert (row["ticket_id"], row["status"], row["first_complaint_at"]) == (
        ticket.ticket_id,
        "open",
        ticket.first_complaint_at,
    )


def test_without_a_brief_the_ticket_states_its_figures_and_the_owner_of_the_category() -> None:
    (ticket,) = acted(InMemoryContext(now=AT), signal_row())
    assert "14 complaints between 2024-03-01 07:00 and 2024-03-01 12:00 UTC" in ticket.body
    assert "4.2 times the 3.3 expected" in ticket.body
    assert ticket.owner == "payments-team"
    assert ticket.release is None


def test_run_again_it_opens_no_second_ticket(context: InMemoryContext) -> None:
    first = acted(context, signal_row())
    assert acted(context, signal_row()) == first
    assert len(context.ops.outbox()) == 1


def test_only_ticket_decisions_open_tickets(context: InMemoryContext) -> None:
    rows = [
        {"decision_id": a, "signal_id": "s1", "action": a, "decided_at": AT}
        for a in ("review", "digest", "suppress")
    ]
    context.merge(SIGNAL, SIGNAL.from_rows([signal_row()]))
    context.merge(DECISION, DECISION.from_rows(rows))
    act.run(context.as_step(act.NAME))
    assert context.ops.tickets() == []


def test_the_outbox_holds_no_words_of_customers(context: InMemoryContext) -> None:
    acted(context, signal_row())
    assert json.loads(context.ops.outbox()[0].payload) == {
        "count": 14,
        "ticket_id": context.ops.tickets()[0].ticket_id,
    }


def test_a_rising_signal_is_told_at_each_doubling_once(context: InMemoryContext) -> None:
    acted(context, signal_row())
    for hours, count in enumerate((20, 27, 28, 40, 55, 56, 57), start=1):
        grown(context, hours=hours, count=count)
    comments = [json.loads(m.payload)["comment"] for m in context.ops.outbox()[1:]]
    assert [c.split(" ")[0] for c in comments] == ["28", "56"]
    assert "14 when this was opened" in comments[0]
    assert len(context.ops.tickets()) == 1


def test_a_graver_severity_raises_the_ticket_and_shortens_its_time(
    context: InMemoryContext,
) -> None:
    acted(context, signal_row(severity="P2"))
    grown(context, severity="P1")
    grown(context, hours=2, severity="P3")
    (ticket,) = context.ops.tickets()
    assert (ticket.severity, ticket.due_at) == (Severity.P1, AT + timedelta(hours=24))
    assert context.rows(TICKET).column("severity").to_pylist() == ["P1"]


def test_a_closed_ticket_is_not_told(context: InMemoryContext) -> None:
    from dataclasses import replace

    (ticket,) = acted(context, signal_row())
    context.ops.put_ticket(replace(ticket, status=TicketStatus.RESOLVED))
    grown(context, count=900)
    assert len(context.ops.outbox()) == 1


def test_signals_of_one_cause_hang_below_the_ticket_of_the_first(context: InMemoryContext) -> None:
    acted(context, signal_row("s1"))
    tickets = acted(context, signal_row("s2", category="account access", parent_id="s1"))
    assert tickets[1].parent_id == tickets[0].ticket_id
    assert len(tickets) == 2


def test_two_owners_of_one_cause_get_a_parent_ticket(context: InMemoryContext) -> None:
    context.merge(SIGNAL, SIGNAL.from_rows([signal_row("s1", severity="P3")]))
    (alone,) = acted(context, signal_row("s2", parent_id="s1", severity="P2"))
    assert alone.parent_id is None
    tickets = acted(
        context, signal_row("s3", parent_id="s1", category="account access", severity="P2")
    )
    by_signal = {t.signal_id: t for t in tickets}
    assert set(by_signal) == {"s1", "s2", "s3"}
    parent = by_signal["s1"]
    assert {by_signal[s].parent_id for s in ("s2", "s3")} == {parent.ticket_id}
    assert parent.severity is Severity.P2
    assert "2 problems share one cause (2.8.5)" in parent.title
    assert "identity-team, payments-team" in parent.body
    # Decided later itself, the first signal has its ticket already.
    assert len(acted(context, signal_row("s1"))) == 3


def test_children_of_one_owner_and_category_get_no_parent(context: InMemoryContext) -> None:
    context.merge(SIGNAL, SIGNAL.from_rows([signal_row("s1")]))
    acted(context, signal_row("s2", parent_id="s1"))
    tickets = acted(context, signal_row("s3", parent_id="s1"))
    assert [t.parent_id for t in tickets] == [None, None]


def test_delivery_gives_the_ticket_its_key_and_happens_once(context: InMemoryContext) -> None:
    acted(context, signal_row())
    tracker = RecordingTracker()
    for _ in range(3):
        delivered(context, tracker, after=timedelta(minutes=5))
    assert len(tracker.issues) == 1
    assert context.ops.tickets()[0].external_key == "X-1"
    assert context.rows(TICKET).column("external_key").to_pylist() == ["X-1"]
    assert [m.status for m in context.ops.outbox()] == ["delivered"]


def test_a_parent_is_delivered_before_its_children(context: InMemoryContext) -> None:
    context.merge(SIGNAL, SIGNAL.from_rows([signal_row("s1")]))
    acted(
        context,
        signal_row("s2", parent_id="s1"),
        signal_row("s3", parent_id="s1", category="account access"),
    )
    tracker = RecordingTracker()
    delivered(context, tracker, after=timedelta(0))
    assert next(iter(tracker.issues.values())).signal_id == "s1"


def test_a_fault_that_may_pass_is_tried_again_later(context: InMemoryContext) -> None:
    acted(context, signal_row())
    tracker = RecordingTracker()
    tracker.faults = [TransientError("503")]
    delivered(context, tracker, after=timedelta(0))
    (message,) = context.ops.outbox()
    assert (message.status, message.attempts) == ("pending", 1)
    delivered(context, tracker, after=timedelta(seconds=30))
    assert tracker.issues == {}
    delivered(context, tracker, after=timedelta(seconds=31))
    assert len(tracker.issues) == 1


def test_after_a_timeout_nothing_is_created_twice(context: InMemoryContext) -> None:
    acted(context, signal_row())
    tracker = RecordingTracker()
    tracker.acts_before_failing = True
    tracker.faults = [OutsideError("timed out")]
    delivered(context, tracker, after=timedelta(0))
    (message,) = context.ops.outbox()
    assert (message.status, message.last_error) == ("uncertain", "timed out")
    assert context.ops.tickets()[0].external_key is None
    delivered(context, tracker, after=timedelta(minutes=10))
    assert context.ops.outbox()[0].attempts == 1
    delivered(context, tracker, after=timedelta(minutes=6))
    assert len(tracker.issues) == 1
    assert context.ops.tickets()[0].external_key == "X-1"


def test_a_terminal_fault_ends_the_message_and_is_counted(context: InMemoryContext) -> None:
    acted(context, signal_row())
    tracker = RecordingTracker()
    tracker.faults = [TerminalError("no such project")]
    delivered(context, tracker, after=timedelta(0))
    assert context.ops.outbox()[0].status == "failed"
    assert context.counts["undeliverable"] == 1
    delivered(context, tracker, after=timedelta(days=9))
    assert tracker.issues == {}


def test_after_eight_attempts_a_message_has_failed(context: InMemoryContext) -> None:
    acted(context, signal_row())
    tracker = RecordingTracker()
    tracker.faults = [TransientError("503") for _ in range(20)]
    for _ in range(12):
        delivered(context, tracker, after=timedelta(days=1))
    assert (context.ops.outbox()[0].status, context.ops.outbox()[0].attempts) == ("failed", 8)


def test_updates_wait_for_the_ticket(context: InMemoryContext) -> None:
    acted(context, signal_row())
    grown(context, count=30)
    tracker = RecordingTracker()
    tracker.faults = [TransientError("503")]
    delivered(context, tracker, after=timedelta(0))
    assert tracker.comments == []
    delivered(context, tracker, after=timedelta(minutes=2))
    assert len(tracker.comments) == 1


def test_without_a_tracker_nothing_is_delivered(context: InMemoryContext) -> None:
    acted(context, signal_row())
    act.deliver(context.as_step("deliver"), [])
    assert [m.status for m in context.ops.outbox()] == ["pending"]
