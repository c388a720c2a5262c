"""Learning: figures of people's labels, the audit log and moved tickets reach gold, once."""

from __future__ import annotations

from dataclasses import replace

from closeloop.domain.review import Label, LabelKind
from closeloop.domain.ticket import TicketStatus
from closeloop.stages import learn
from closeloop.tables import AUDIT, STATE, TICKET
from closeloop.testing.context import InMemoryContext
from closeloop.testing.example_rows import AT
from closeloop.testing.store_contract import example_ticket


def put_labels(context: InMemoryContext, *, right: int, wrong: int) -> None:
    for i in range(right + wrong):
        context.ops.put_label(
            Label(
                f"l{i}",
                LabelKind.CATEGORY,
                "shop-app",
                "payment failure",
                (f"f{i}",),
                "payment failure" if i < right else "broken UI",
                "payment failure",
                0.9,
                "mia",
                AT,
            )
        )


def test_labels_become_figures_and_earn_autonomy() -> None:
    context = InMemoryContext(now=AT).as_step(learn.NAME)
    put_labels(context, right=90, wrong=9)
    learn.run(context)
    (standing,) = learn.calibration(context)["standings"]  # type: ignore[misc]
    assert (standing["labels"], standing["right"], standing["autonomy"]) == (99, 90, False)
    put_labels(context, right=91, wrong=9)
    learn.run(context.next_pass())
    figures = learn.calibration(context)
    assert figures["labels"] == 100
    assert figures["standings"][0]["precision"] == 0.91  # type: ignore[index]
    assert figures["standings"][0]["autonomy"] is True  # type: ignore[index]


def test_the_audit_log_is_mirrored_once_and_in_order() -> None:
    context = InMemoryContext(now=AT).as_step(learn.NAME)
    context.ops.audit(actor="mia", action="review.reject", subject="r1", detail="noise", at=AT)
    learn.run(context)
    context.ops.audit(actor="mia", action="ticket.resolve", subject="t1", detail="", at=AT)
    learn.run(context.next_pass())
    learn.run(context.next_pass())
    rows = context.rows(AUDIT).to_pylist()
    assert [(r["audit_id"], r["action"], r["made_at"]) for r in rows] == [
        ("1", "review.reject", AT),
        ("2", "ticket.resolve", AT),
    ]


def test_a_ticket_that_was_moved_is_mirrored() -> None:
    context = InMemoryContext(now=AT).as_step(learn.NAME)
    context.ops.put_ticket(example_ticket())
    learn.run(context)
    context.ops.put_ticket(replace(example_ticket(), status=TicketStatus.RESOLVED, resolved_at=AT))
    learn.run(context.next_pass())
    (row,) = context.rows(TICKET).to_pylist()
    assert (row["status"], row["resolved_at"]) == ("resolved", AT)


def test_a_pass_in_which_nothing_was_learnt_writes_nothing() -> None:
    context = InMemoryContext(now=AT).as_step(learn.NAME)
    context.ops.put_ticket(example_ticket())
    context.ops.audit(actor="mia", action="x", subject="y", detail="", at=AT)
    put_labels(context, right=3, wrong=0)
    learn.run(context)
    context.settle()
    assert set(context.written) == {TICKET.full_name, AUDIT.full_name, STATE.full_name}
    learn.run(context.next_pass())
    context.settle()
    assert context.written == {}
