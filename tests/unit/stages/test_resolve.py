"""Tickets move as people say, and only where that makes sense."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from closeloop.domain.autonomy import NOT_AN_ISSUE, REAL
from closeloop.domain.ticket import Ticket, TicketStatus
from closeloop.errors import NotFoundError, UsageError
from closeloop.stages import resolve
from closeloop.tables import SIGNAL, TICKET
from closeloop.testing.context import InMemoryContext
from closeloop.testing.example_rows import AT, signal_row
from closeloop.testing.store_contract import example_ticket

LATER = AT + timedelta(days=2)


@pytest.fixture
def context() -> InMemoryContext:
    context = InMemoryContext(now=LATER)
    context.merge(SIGNAL, SIGNAL.from_rows([signal_row("S-T1")]))
    context.ops.put_ticket(example_ticket("T1", external_key="CL-7"))
    return context.as_step("tickets")


def only(context: InMemoryContext) -> Ticket:
    (ticket,) = context.ops.tickets()
    return ticket


def test_work_begins_and_ends(context: InMemoryContext) -> None:
    resolve.start(context, "T1", by="mia")
    assert only(context).status is TicketStatus.IN_PROGRESS
    fixed_at = AT + timedelta(days=1)
    resolve.resolve(context, "CL-7", by="mia", at=fixed_at, version="2.8.6")
    ticket = only(context)
    assert (ticket.status, ticket.resolved_at, ticket.fixed_version) == (
        TicketStatus.RESOLVED,
        fixed_at,
        "2.8.6",
    )
    assert context.rows(TICKET).column("resolved_at").to_pylist() == [fixed_at]
    comments = [json.loads(m.payload)["comment"] for m in context.ops.outbox()]
    assert comments == ["in progress by mia", "resolved by mia: 2.8.6"]
    assert [e.action for e in context.ops.audit_entries()] == ["ticket.start", "ticket.resolve"]
    assert context.ops.labels()[0].value == REAL


@pytest.mark.parametrize(
    ("given", "held"), [("v2.8.7", "2.8.7"), ("2.8.7 (123)", "2.8.7"), ("hotfix", "hotfix")]
)
def test_the_fixed_version_has_the_form_of_feedbacks(
    context: InMemoryContext, given: str, held: str
) -> None:
    resolve.resolve(context, "T1", by="mia", at=AT, version=given)
    assert only(context).fixed_version == held


def test_a_rejected_ticket_is_a_label_against(context: InMemoryContext) -> None:
    resolve.reject(context, "T1", by="mia", reason="works as intended")
    assert only(context).status is TicketStatus.REJECTED
    assert context.ops.labels()[0].value == NOT_AN_ISSUE
    with pytest.raises(UsageError, match="is rejected and can't be resolved"):
        resolve.resolve(context, "T1", by="mia", at=LATER)


def test_a_reopened_ticket_can_be_resolved_again(context: InMemoryContext) -> None:
    resolve.resolve(context, "T1", by="mia", at=AT)
    context.ops.put_ticket(example_ticket("T1", status=TicketStatus.REOPENED))
    context.next_pass(now=LATER + timedelta(days=1))
    resolve.resolve(context, "T1", by="mia", at=LATER)
    assert only(context).resolved_at == LATER
    assert len(context.ops.outbox()) == 2


def test_wrong_use_is_named(context: InMemoryContext) -> None:
    with pytest.raises(NotFoundError, match="no ticket"):
        resolve.start(context, "T9", by="mia")
    with pytest.raises(UsageError, match="in the future"):
        resolve.resolve(context, "T1", by="mia", at=LATER + timedelta(hours=1))
    with pytest.raises(UsageError, match="before the first complaint"):
        resolve.resolve(context, "T1", by="mia", at=AT - timedelta(days=9))
    with pytest.raises(UsageError, match="needs a reason"):
        resolve.reject(context, "T1", by="mia", reason="")
    resolve.start(context, "T1", by="mia")
    with pytest.raises(UsageError, match="in progress already"):
        resolve.start(context, "T1", by="mia")
