"""People's answers: tickets open, rejections stick, corrections are kept, labels count."""

from __future__ import annotations

import pytest

from closeloop.domain.autonomy import NOT_AN_ISSUE, REAL
from closeloop.domain.policy import Action
from closeloop.domain.review import CorrectionKind, LabelKind, ReviewStatus
from closeloop.domain.signal import Severity
from closeloop.errors import NotFoundError, UsageError
from closeloop.stages import act, answer, decide
from closeloop.tables import ASSIGNMENT, BRIEF, DECISION, SIGNAL, THEME
from closeloop.testing.context import InMemoryContext
from closeloop.testing.example_rows import AT, brief_row, signal_row


@pytest.fixture
def context() -> InMemoryContext:
    """A signal that waits for a person, and three themes of two products."""
    context = InMemoryContext(now=AT)
    context.merge(BRIEF, BRIEF.from_rows([brief_row()]))
    context.merge(
        THEME,
        THEME.from_rows(
            {"theme_id": i, "product": p, "label": i}
            for i, p in (("th-a", "shop-app"), ("th-b", "shop-app"), ("th-c", "wallet"))
        ),
    )
    context.merge(
        ASSIGNMENT,
        ASSIGNMENT.from_rows(
            {"feedback_id": f, "revision": 1, "theme_id": "th-a"} for f in ("f1", "f2")
        ),
    )
    context.as_step("detect").merge(SIGNAL, SIGNAL.from_rows([signal_row()]))
    decide.run(context.as_step(decide.NAME))
    return context.as_step("review")


def only_id(context: InMemoryContext) -> str:
    (item,) = context.ops.reviews()
    return item.review_id


def test_an_approval_opens_the_ticket_at_once_and_act_opens_no_other(
    context: InMemoryContext,
) -> None:
    ticket = answer.approve(context, only_id(context)[:8], by="mia")
    assert ticket is not None
    assert ticket.title == "Payments fail in Shop App since 2.8.5"
    assert context.ops.outbox()[0].kind == "ticket.create"
    assert context.ops.reviews()[0].status is ReviewStatus.APPROVED
    rules = {r["action"]: r["rule"] for r in context.rows(DECISION).to_pylist()}
    assert rules["ticket"] == "approved"
    act.run(context.as_step(act.NAME))
    assert context.ops.tickets() == [ticket]


def test_a_person_decides_title_severity_and_owner(context: InMemoryContext) -> None:
    answer.edit(context, only_id(context), by="mia", severity=Severity.P2, title="Refunds")
    ticket = answer.approve(context, only_id(context), by="mia", owner="wallet-team")
    assert ticket is not None
    assert (ticket.title, ticket.severity, ticket.owner) == ("Refunds", Severity.P2, "wallet-team")


def test_approvals_and_rejections_are_labels(context: InMemoryContext) -> None:
    answer.approve(context, only_id(context), by="mia")
    (label,) = context.ops.labels(LabelKind.TICKET)
    assert (label.value, label.predicted, label.category) == (REAL, REAL, "payment failure")
    assert label.subject == ("s1", "shop-app/category/payment failure")


def test_a_rejection_sticks_and_counts_against(context: InMemoryContext) -> None:
    item = answer.reject(context, only_id(context), by="mia", reason="a known outage")
    assert (item.status, item.answer_reason) == (ReviewStatus.REJECTED, "a known outage")
    assert context.ops.labels()[0].value == NOT_AN_ISSUE
    context.as_step("detect").merge(SIGNAL, SIGNAL.from_rows([signal_row(count=99)]))
    decide.run(context.as_step(decide.NAME))
    assert [d.action for d in context.ops.decisions()] == [Action.REVIEW]
    assert context.ops.tickets() == []


def test_what_no_ticket_would_have_opened_for_is_no_evidence_of_precision(
    context: InMemoryContext,
) -> None:
    context.as_step("detect").merge(SIGNAL, SIGNAL.from_rows([signal_row("s2", fdr_pass=False)]))
    decide.run(context.as_step(decide.NAME))
    doubtful = next(r for r in context.ops.reviews() if r.signal_id == "s2")
    answer.reject(context, doubtful.review_id, by="mia", reason="noise")
    assert context.ops.labels()[0].predicted is None


@pytest.mark.parametrize("status", ["approved", "rejected"])
def test_an_answered_item_can_not_be_answered_again(context: InMemoryContext, status: str) -> None:
    if status == "approved":
        answer.approve(context, only_id(context), by="mia")
    else:
        answer.reject(context, only_id(context), by="mia", reason="no")
    with pytest.raises(UsageError, match=f"was {status} by mia"):
        answer.approve(context, only_id(context), by="tom")


def test_wrong_use_is_named(context: InMemoryContext) -> None:
    with pytest.raises(NotFoundError, match="no review item"):
        answer.approve(context, "zzz", by="mia")
    with pytest.raises(UsageError, match="needs a reason"):
        answer.reject(context, only_id(context), by="mia", reason=" ")
    with pytest.raises(UsageError, match="nothing to change"):
        answer.edit(context, only_id(context), by="mia")


def test_themes_are_merged_split_and_named_as_corrections(context: InMemoryContext) -> None:
    answer.merge_themes(context, "th-b", into="th-a", by="mia")
    answer.split_theme(context, "th-a", feedback_ids=["f2"], by="mia")
    answer.name_theme(context, "th-a", name=" Failed refunds ", by="mia")
    kinds = [(c.kind, c.theme_id, c.target, c.feedback_ids) for c in context.ops.corrections()]
    assert kinds == [
        (CorrectionKind.MERGE, "th-b", "th-a", ()),
        (CorrectionKind.SPLIT, "th-a", "", ("f2",)),
        (CorrectionKind.NAME, "th-a", "Failed refunds", ()),
    ]
    assert [e.action for e in context.ops.audit_entries()] == [
        "theme.merge",
        "theme.split",
        "theme.name",
    ]


def test_impossible_corrections_are_refused(context: InMemoryContext) -> None:
    with pytest.raises(UsageError, match="into itself"):
        answer.merge_themes(context, "th-a", into="th-a", by="mia")
    with pytest.raises(UsageError, match="one product"):
        answer.merge_themes(context, "th-a", into="th-c", by="mia")
    with pytest.raises(NotFoundError, match="3 themes"):
        answer.merge_themes(context, "th", into="th-c", by="mia")
    with pytest.raises(NotFoundError, match="does not hold f9"):
        answer.split_theme(context, "th-a", feedback_ids=["f1", "f9"], by="mia")
    with pytest.raises(UsageError, match="blank"):
        answer.name_theme(context, "th-a", name=" ", by="mia")
    assert context.ops.corrections() == []
