"""What every operational database must do: one suite, run over each implementation of Operations."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from closeloop.domain.outcome import Outcome, Verdict
from closeloop.domain.policy import Action, Decision
from closeloop.domain.review import (
    CorrectionKind,
    Label,
    LabelKind,
    OutboxMessage,
    ReviewItem,
    ReviewKind,
    ReviewStatus,
    ThemeCorrection,
)
from closeloop.domain.signal import Severity
from closeloop.domain.ticket import Ticket, TicketStatus
from closeloop.errors import IntegrityError
from closeloop.ports import Operations

AT = datetime(2024, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)


def example_ticket(ticket_id: str = "T1", **changes: object) -> Ticket:
    """Return a ticket with every field filled; its signal is `S-` and the ticket's id."""
    ticket = Ticket(
        ticket_id=ticket_id,
        decision_id="D1",
        signal_id=f"S-{ticket_id}",
        product="shop-app",
        title="Payments fail",
        body="14 complaints\n“money is gone” (review aaaaaaaa11112222)\nOwner: payments-team",
        status=TicketStatus.OPEN,
        severity=Severity.P1,
        owner="payments-team",
        tracker="builtin",
        opened_at=AT,
        due_at=AT + timedelta(hours=24),
        category="payment failure",
        theme_id="th1",
        confidence=0.91,
        release="2.8.5",
        change_id="c1",
        examples=("“money is gone” (review aaaaaaaa11112222)", "“upi broken” (review bbbb)"),
        first_complaint_at=AT - timedelta(hours=5),
        detected_at=AT - timedelta(hours=1),
    )
    return replace(ticket, **changes)  # type: ignore[arg-type]


class OperationsContract(ABC):
    """Subclass it and say how a transaction is begun on an empty database."""

    @abstractmethod
    def transaction(self) -> AbstractContextManager[Operations]:
        """Begin a transaction on the test's database; it commits at the end."""

    def test_a_ticket_comes_back_as_it_was_put(self) -> None:
        """Every field survives, times with their zone."""
        first, second = example_ticket("T1"), example_ticket("T0", parent_id="T1")
        with self.transaction() as ops:
            ops.put_ticket(first)
            ops.put_ticket(second)
        with self.transaction() as ops:
            assert ops.tickets() == [first, second]

    def test_a_ticket_is_brought_up_to_date_in_its_place(self) -> None:
        """Put again, it keeps its place in the order."""
        with self.transaction() as ops:
            ops.put_ticket(example_ticket("T1"))
            ops.put_ticket(example_ticket("T2"))
            resolved = example_ticket("T1", status=TicketStatus.RESOLVED, resolved_at=AT)
            ops.put_ticket(resolved)
            assert ops.tickets() == [resolved, example_ticket("T2")]

    def test_a_second_ticket_for_a_signal_is_refused(self) -> None:
        """The database is the last guard of "no second ticket"."""
        with self.transaction() as ops:
            ops.put_ticket(example_ticket("T1"))
            try:
                ops.put_ticket(example_ticket("T2", signal_id="S-T1"))
            except IntegrityError:
                return
        raise AssertionError("a second ticket for one signal was taken")

    def test_a_decision_is_added_once(self) -> None:
        """The same id again changes nothing and says so."""
        decision = Decision("D1", "S1", Action.REVIEW, True, "rule", ("count 14",), "p1", AT)
        with self.transaction() as ops:
            assert ops.put_decision(decision)
            assert not ops.put_decision(replace(decision, reasons=("other",)))
            assert ops.decisions() == [decision]
            assert isinstance(ops.decisions()[0].would_ticket, bool)

    def test_a_review_item_keeps_its_answer(self) -> None:
        """Who, when and why."""
        item = ReviewItem(
            "R1", ReviewKind.SIGNAL, "S1", "D1", "shop-app", "t", ("a", "b"), ReviewStatus.OPEN, AT
        )
        answered = replace(
            item,
            status=ReviewStatus.REJECTED,
            decided_at=AT,
            decided_by="mia",
            answer_reason="no issue",
            severity=Severity.P2,
            owner="app-team",
        )
        with self.transaction() as ops:
            ops.put_review(item)
            ops.put_review(answered)
            assert ops.reviews() == [answered]

    def test_labels_are_told_apart_by_kind(self) -> None:
        """All of them, or those of one kind."""
        pair = Label(
            "L1", LabelKind.PAIR, "shop-app", None, ("a", "b"), "same", "same", 0.8, "m", AT
        )
        category = replace(pair, label_id="L2", kind=LabelKind.CATEGORY, confidence=None)
        with self.transaction() as ops:
            ops.put_label(pair)
            ops.put_label(category)
            assert ops.labels() == [pair, category]
            assert ops.labels(LabelKind.CATEGORY) == [category]

    def test_corrections_come_in_the_order_they_were_made(self) -> None:
        """Also where they carry the same time."""
        merge = ThemeCorrection("z", CorrectionKind.MERGE, "th1", "th2", (), "mia", AT)
        split = ThemeCorrection("a", CorrectionKind.SPLIT, "th2", "", ("f1", "f2"), "mia", AT)
        with self.transaction() as ops:
            ops.put_correction(merge)
            ops.put_correction(split)
            assert ops.corrections() == [merge, split]

    def test_an_outbox_message_is_taken_once(self) -> None:
        """Its idempotency key decides; what happened to it is kept."""
        message = OutboxMessage("ticket.create/T1", "ticket.create", "builtin", "{}", AT)
        sent = replace(
            message, status="delivered", attempts=2, external_key="CL-1", next_attempt_at=AT
        )
        with self.transaction() as ops:
            assert ops.enqueue(message)
            assert not ops.enqueue(message)
            ops.put_outbox(sent)
            assert not ops.enqueue(message)
            assert ops.outbox() == [sent]
            assert ops.outbox(status="pending") == []

    def test_the_newest_outcome_of_a_ticket_counts(self) -> None:
        """Earlier ones stay behind; measured again at the same time, it is replaced."""
        early = Outcome(
            "T1", "S1", AT, AT, 7, 3, 14, 2, 0.33, 0.1, 0.9, Verdict.NOT_ENOUGH_EVIDENCE, ("x",)
        )
        late = replace(early, measured_at=AT + timedelta(days=1), verdict=Verdict.HELD)
        with self.transaction() as ops:
            ops.put_outcome(early)
            ops.put_outcome(late)
            assert ops.outcomes() == [late]
            again = replace(late, rate_ratio=None, verdict=Verdict.FAILED)
            ops.put_outcome(again)
            assert ops.outcomes() == [again]

    def test_the_audit_log_is_read_from_where_one_left_off(self) -> None:
        """Numbers grow; `after` leaves out what was read."""
        with self.transaction() as ops:
            ops.audit(actor="mia", action="review.reject", subject="R1", detail="noise", at=AT)
            ops.audit(actor="mia", action="erase", subject="author", detail="3 rows", at=AT)
        with self.transaction() as ops:
            first, second = ops.audit_entries()
            assert (first.action, first.made_at, first.detail) == ("review.reject", AT, "noise")
            assert first.number < second.number
            assert ops.audit_entries(after=first.number) == [second]

    def test_forgotten_feedback_is_nowhere(self) -> None:
        """Labels about it go; its id and words go from tickets; the rest stays."""
        about = Label(
            "L1", LabelKind.CATEGORY, "p", "c", ("aaaaaaaa11112222",), "c", "c", 1, "m", AT
        )
        other = replace(about, label_id="L2", subject=("bbbb",))
        split = ThemeCorrection(
            "k", CorrectionKind.SPLIT, "th", "", ("aaaaaaaa11112222", "bbbb"), "mia", AT
        )
        with self.transaction() as ops:
            ops.put_ticket(example_ticket("T1"))
            ops.put_label(about)
            ops.put_label(other)
            ops.put_correction(split)
            assert ops.forget(feedback_ids=["aaaaaaaa11112222"], texts=["money is gone"]) == 3
        with self.transaction() as ops:
            (ticket,) = ops.tickets()
            assert ticket.examples == ("“upi broken” (review bbbb)",)
            assert ticket.body == "14 complaints\nOwner: payments-team"
            assert ops.labels() == [other]
            assert ops.corrections()[0].feedback_ids == ("bbbb",)
            assert ops.forget(feedback_ids=["aaaaaaaa11112222"], texts=["money is gone"]) == 0
