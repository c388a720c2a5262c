"""Deciding: once, upwards only, never against a person, and with everything written down."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from closeloop.domain.autonomy import NOT_AN_ISSUE, REAL
from closeloop.domain.policy import Action
from closeloop.domain.policy_trial import tried
from closeloop.domain.review import Label, LabelKind, ReviewStatus
from closeloop.stages import decide
from closeloop.stages.judged_rows import judged_states
from closeloop.tables import BRIEF, DECISION, JUDGED, SIGNAL, THEME
from closeloop.testing.context import InMemoryContext
from closeloop.testing.example_rows import AT, brief_row, release_row, signal_row


def decided(context: InMemoryContext, *signals: dict[str, Any]) -> dict[str, list[Action]]:
    """Write signals, run the stage as the loop does, and return the actions of each signal."""
    context.as_step("detect").merge(SIGNAL, SIGNAL.from_rows(signals))
    decide.run(context.as_step(decide.NAME))
    found: dict[str, list[Action]] = {}
    for decision in context.ops.decisions():
        found.setdefault(decision.signal_id, []).append(decision.action)
    return found


def earn(context: InMemoryContext, *, category: str = "payment failure") -> None:
    for i in range(100):
        context.ops.put_label(
            Label(
                f"{category}{i}",
                LabelKind.CATEGORY,
                "shop-app",
                category,
                (f"f{i}",),
                category,
                category,
                0.9,
                "mia",
                AT,
            )
        )


def answer(context: InMemoryContext, status: ReviewStatus) -> None:
    (item,) = context.ops.reviews()
    context.ops.put_review(replace(item, status=status, decided_at=AT, decided_by="mia"))


def test_with_earned_autonomy_a_clear_signal_becomes_a_ticket_decision() -> None:
    context = InMemoryContext(now=AT)
    earn(context)
    assert decided(context, signal_row()) == {"s1": [Action.TICKET]}
    (row,) = context.rows(DECISION).to_pylist()
    assert row["action"] == "ticket"
    assert row["rule"] == "clear and severe"
    assert row["policy_version"] == "example-1"
    assert any("4.2 times the 3.3 expected" in r for r in row["reasons"])
    assert context.ops.reviews() == []


def test_without_labels_a_person_is_asked_and_the_ticket_is_counted_as_would_be() -> None:
    context = InMemoryContext(now=AT)
    context.merge(BRIEF, BRIEF.from_rows([brief_row()]))
    assert decided(context, signal_row()) == {"s1": [Action.REVIEW]}
    (item,) = context.ops.reviews()
    assert item.status is ReviewStatus.OPEN
    assert item.title == "Payments fail in Shop App since 2.8.5"
    assert context.rows(DECISION).column("would_ticket").to_pylist() == [True]
    assert context.counts["would_tickets"] == 1


def test_historic_signals_are_never_decided() -> None:
    context = InMemoryContext(now=AT)
    assert decided(context, signal_row(historic=True), release_row(historic=True)) == {}
    assert context.rows(DECISION).num_rows == 0


def test_the_same_signal_again_is_not_decided_again() -> None:
    context = InMemoryContext(now=AT)
    decided(context, signal_row())
    before = context.rows(DECISION)
    context.next_pass(now=AT + timedelta(hours=1))
    assert decided(context, signal_row(count=15)) == {"s1": [Action.REVIEW]}
    assert context.rows(DECISION).equals(before)


def test_an_action_rises_and_never_falls() -> None:
    context = InMemoryContext(now=AT)
    assert decided(context, signal_row(severity="P4")) == {"s1": [Action.DIGEST]}
    rising = decided(context, signal_row(severity="P1", fdr_pass=False))
    assert rising == {"s1": [Action.DIGEST, Action.REVIEW]}
    earn(context)
    everything = [Action.DIGEST, Action.REVIEW, Action.TICKET]
    assert decided(context, signal_row(severity="P1")) == {"s1": everything}
    assert decided(context, signal_row(severity="P4")) == {"s1": everything}
    (item,) = context.ops.reviews()
    assert (item.status, item.decided_by) == (ReviewStatus.APPROVED, "policy")


def test_a_review_that_grows_into_a_would_be_ticket_is_counted_and_asked_once() -> None:
    context = InMemoryContext(now=AT)
    context.merge(BRIEF, BRIEF.from_rows([brief_row()]))
    decided(context, signal_row(fdr_pass=False))
    assert context.rows(DECISION).column("would_ticket").to_pylist() == [False]
    context.next_pass(now=AT + timedelta(hours=6))
    assert decided(context, signal_row(count=60)) == {"s1": [Action.REVIEW, Action.REVIEW]}
    assert sorted(context.rows(DECISION).column("would_ticket").to_pylist()) == [False, True]
    (item,) = context.ops.reviews()
    assert item.status is ReviewStatus.OPEN
    assert not any("does not stand" in reason for reason in item.reasons)
    context.next_pass(now=AT + timedelta(hours=12))
    decided(context, signal_row(count=90))
    assert context.rows(DECISION).num_rows == 2


def test_after_a_person_has_answered_a_signal_is_left_alone() -> None:
    context = InMemoryContext(now=AT)
    decided(context, signal_row())
    answer(context, ReviewStatus.REJECTED)
    earn(context)
    assert decided(context, signal_row(count=60)) == {"s1": [Action.REVIEW]}


def test_a_theme_that_is_no_issue_stays_suppressed_until_a_person_says_otherwise() -> None:
    context = InMemoryContext(now=AT)
    theme = {"kind": "theme", "series_id": "th1", "theme_id": "th1"}
    for number, value in enumerate((NOT_AN_ISSUE, REAL)):
        context.ops.put_label(
            Label(
                f"l{number}",
                LabelKind.TICKET,
                "shop-app",
                "payment failure",
                ("old", "shop-app/theme/th1"),
                value,
                REAL,
                None,
                "mia",
                AT,
            )
        )
        found = decided(context, signal_row(f"s{number}", **theme))
        wanted = Action.SUPPRESS if value == NOT_AN_ISSUE else Action.REVIEW
        assert found[f"s{number}"] == [wanted]


def test_content_free_and_merged_themes_and_praise_are_suppressed() -> None:
    context = InMemoryContext(now=AT)
    context.merge(
        THEME,
        THEME.from_rows(
            [
                {"theme_id": "empty", "label": "good", "content_free": True},
                {"theme_id": "gone", "label": "x", "merged_into": "other", "content_free": False},
            ]
        ),
    )
    found = decided(
        context,
        signal_row("a", kind="theme", series_id="empty", theme_id="empty"),
        signal_row("b", kind="theme", series_id="gone", theme_id="gone"),
        signal_row("c", series_id="praise", category="praise"),
    )
    assert found == {s: [Action.SUPPRESS] for s in "abc"}
    reasons = {d.signal_id: d.reasons[0] for d in context.ops.decisions()}
    assert "'praise' is no complaint" in reasons["c"]


def test_a_quotation_that_may_hold_personal_data_sends_the_signal_to_a_person() -> None:
    context = InMemoryContext(now=AT)
    earn(context)
    quotations = [{"feedback_id": "a", "text": "mail me at bob@example.org"}]
    context.merge(BRIEF, BRIEF.from_rows([brief_row(quotations=quotations)]))
    assert decided(context, signal_row()) == {"s1": [Action.REVIEW]}
    (decision,) = context.ops.decisions()
    assert not decision.would_ticket
    assert "bob" not in " ".join(decision.reasons)


def test_a_release_signal_needs_no_labels() -> None:
    context = InMemoryContext(now=AT)
    assert decided(context, release_row()) == {"r1": [Action.TICKET]}


def test_a_pass_without_new_signals_does_not_open_the_database() -> None:
    context = InMemoryContext(now=AT).as_step(decide.NAME)
    context._open_ops = None  # type: ignore[assignment]
    decide.run(context)


def test_a_part_of_a_problem_gets_no_ticket_and_no_question_of_its_own() -> None:
    context = InMemoryContext(now=AT)
    parent = signal_row("s1", feedback_ids=["a", "b", "c", "d"])
    child = signal_row("s2", parent_id="s1", kind="theme", series_id="t1", theme_id=None)
    child["feedback_ids"] = ["b", "c", "d"]
    found = decided(context, parent, child)
    assert found == {"s1": [Action.REVIEW], "s2": [Action.DIGEST]}
    assert len(context.ops.reviews()) == 1
    rows = {r["signal_id"]: r for r in context.rows(DECISION).to_pylist()}
    assert (rows["s1"]["would_ticket"], rows["s2"]["would_ticket"]) == (True, False)
    assert rows["s2"]["rule"] == "part of a problem that is known"
    assert "the same problem as signal s1" in rows["s2"]["reasons"][0]


def test_a_trial_of_the_same_policy_finds_the_same_links() -> None:
    context = InMemoryContext(now=AT)
    ids = ["a", "b", "c", "d"]
    decided(
        context,
        signal_row("s1", feedback_ids=ids, severity_terms=[]),
        signal_row(
            "s2",
            parent_id="s1",
            kind="theme",
            series_id="t1",
            feedback_ids=ids[1:],
            severity_terms=[],
        ),
    )
    context.as_step("reader")
    found = tried(judged_states(context.rows(JUDGED).to_pylist()), context.config.policy)
    made = {d.signal_id: (d.action, d.would_ticket) for d in context.ops.decisions()}
    assert {i: (t.action, t.would_ticket) for i, t in found.items()} == made
    assert made["s2"] == (Action.DIGEST, False)


def test_a_part_that_came_later_is_linked_to_what_was_decided_before() -> None:
    context = InMemoryContext(now=AT)
    earn(context)
    decided(context, signal_row("s1"))
    found = decided(context, signal_row("s2", parent_id="s1", window_start=AT))
    assert found == {"s1": [Action.TICKET], "s2": [Action.DIGEST]}


def test_a_part_that_is_worth_a_ticket_leads_where_the_first_was_only_doubtful() -> None:
    context = InMemoryContext(now=AT)
    found = decided(context, signal_row("s1", fdr_pass=False), signal_row("s2", parent_id="s1"))
    assert found == {"s1": [Action.REVIEW], "s2": [Action.REVIEW]}
    assert sorted(context.rows(DECISION).column("would_ticket").to_pylist()) == [False, True]


def test_another_owner_of_the_same_cause_is_asked_too() -> None:
    context = InMemoryContext(now=AT)
    other = signal_row("s2", parent_id="s1", series_id="account access", category="account access")
    other["feedback_ids"] = ["x", "y", "z"]
    found = decided(context, signal_row("s1"), other)
    assert found == {"s1": [Action.REVIEW], "s2": [Action.REVIEW]}


def test_another_product_under_the_same_parent_is_asked_too() -> None:
    context = InMemoryContext(now=AT)
    found = decided(
        context, signal_row("s1"), signal_row("s2", parent_id="s1", product="other-app")
    )
    assert found == {"s1": [Action.REVIEW], "s2": [Action.REVIEW]}
