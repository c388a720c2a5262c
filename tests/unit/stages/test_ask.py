"""Questions for people: balanced, resumable, about masked texts, answers kept as labels."""

from __future__ import annotations

from collections import Counter

import pytest

from closeloop.domain.review import LabelKind
from closeloop.errors import NotFoundError, UsageError
from closeloop.stages import ask
from closeloop.tables import ASSIGNMENT, ENRICHMENT, FEEDBACK
from closeloop.testing.context import InMemoryContext
from closeloop.testing.example_rows import AT

CATEGORIES = ("payment failure", "broken UI", "praise")


@pytest.fixture
def context() -> InMemoryContext:
    """Sixty texts: three categories in turn, one theme a category, one text never masked."""
    context = InMemoryContext(now=AT)
    ids = [f"f{i:02d}" for i in range(60)]
    rows = [
        {
            "feedback_id": f,
            "revision": 1,
            "product": "shop-app",
            "text": f"text {f}",
            "masker": None if f == "f00" else "1",
            "category": CATEGORIES[i % 3],
            "category_confidence": 0.9,
            "content_free": False,
            "theme_id": f"th{i % 3}",
            "theme_confidence": 0.7,
        }
        for i, f in enumerate(ids)
    ]
    for table in (FEEDBACK, ENRICHMENT, ASSIGNMENT):
        context.append(
            table, table.from_rows([{k: r.get(k) for k in table.schema.names} for r in rows])
        )
    return context.as_step("review")


def test_pairs_and_categories_come_in_turn_balanced_over_complaints(
    context: InMemoryContext,
) -> None:
    asked = ask.questions(context, limit=20)
    assert [q.kind for q in asked[:4]] == [
        LabelKind.PAIR,
        LabelKind.CATEGORY,
        LabelKind.PAIR,
        LabelKind.CATEGORY,
    ]
    counts = Counter(q.category for q in asked if q.kind is LabelKind.CATEGORY)
    assert set(counts) == {"payment failure", "broken UI"}
    assert abs(counts["payment failure"] - counts["broken UI"]) <= 1
    assert {q.predicted for q in ask.questions(context, limit=99) if q.kind is LabelKind.PAIR} == {
        "same",
        "different",
    }


def test_a_text_without_recorded_masking_is_never_shown(context: InMemoryContext) -> None:
    assert all("f00" not in q.subject for q in ask.questions(context, limit=500))


def test_what_was_answered_is_not_asked_again(context: InMemoryContext) -> None:
    first = ask.questions(context, limit=6)
    assert ask.questions(context, limit=6) == first
    for question in first[:3]:
        ask.record(
            context,
            kind=question.kind.value,
            subject=question.subject,
            value=question.predicted,
            by="mia",
        )
    left = ask.questions(context.next_pass(), limit=500)
    assert not {q.question_id for q in first[:3]} & {q.question_id for q in left}


def test_an_answer_is_kept_with_what_closeloop_said(context: InMemoryContext) -> None:
    question = next(q for q in ask.questions(context, limit=9) if q.kind is LabelKind.CATEGORY)
    label = ask.record(
        context, kind="category", subject=question.subject, value="unknown", by="mia"
    )
    assert (label.value, label.predicted, label.confidence) == ("unknown", question.category, 0.9)
    again = ask.record(
        context, kind="category", subject=question.subject, value=question.category, by="mia"
    )
    assert context.ops.labels() == [again]


def test_impossible_answers_are_refused(context: InMemoryContext) -> None:
    with pytest.raises(UsageError, match="is no answer"):
        ask.record(context, kind="pair", subject=("f01", "f02"), value="maybe", by="mia")
    with pytest.raises(UsageError, match="no kind of question"):
        ask.record(context, kind="opinion", subject=("f01",), value="same", by="mia")
    for kind, subject in (("pair", ("f01",)), ("pair", ("f01", "f01")), ("category", ("zz",))):
        with pytest.raises(NotFoundError):
            ask.record(context, kind=kind, subject=subject, value="same", by="mia") if kind == (
                "pair"
            ) else ask.record(context, kind=kind, subject=subject, value="unknown", by="mia")
