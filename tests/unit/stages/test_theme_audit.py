"""A theme's own judged pairs say how sure it is, once there are enough: a person's, else a model's."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from closeloop.domain.review import Label, LabelKind, PairAnswer
from closeloop.stages.theme_audit import ASKED_PAIRS, JUDGED, audited_themes, theme_shares
from closeloop.stats.calibration import AUDIT_PAIRS, audited_share
from closeloop.tables import ASSIGNMENT, FEEDBACK
from closeloop.testing.context import InMemoryContext

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)


def _judged(context: InMemoryContext, theme: str, pairs: int, *, different: int) -> None:
    rows = []
    for number in range(pairs):
        ids = (f"{theme}{number}a", f"{theme}{number}b")
        rows += [{"feedback_id": i, "revision": 1, "theme_id": theme} for i in ids]
        value = "different" if number < different else "same"
        context.ops.put_label(
            Label(
                f"{theme}{number}", LabelKind.PAIR, "p", None, ids, value, None, None, "ann", NOON
            )
        )
    context.append(ASSIGNMENT, ASSIGNMENT.from_rows(rows))


def test_enough_judged_pairs_give_a_theme_its_share() -> None:
    context = InMemoryContext()
    _judged(context, "big", AUDIT_PAIRS, different=3)
    _judged(context, "few", AUDIT_PAIRS - 1, different=0)
    share = audited_share(same=AUDIT_PAIRS - 3, pairs=AUDIT_PAIRS)
    assert audited_themes(context, ["big", "few"]) == {"big": share}
    assert audited_themes(context, ["other"]) == {}
    assert audited_themes(context, []) == {}


def test_a_pair_that_has_parted_counts_no_more() -> None:
    context = InMemoryContext()
    _judged(context, "big", AUDIT_PAIRS, different=0)
    moved = [{"feedback_id": "big0a", "revision": 1, "theme_id": "else"}]
    context.merge(ASSIGNMENT, ASSIGNMENT.from_rows(moved))
    assert audited_themes(context, ["big"]) == {}


class Judge:
    """Answers so in turn, and remembers what it was asked."""

    name = "scripted"

    def __init__(self, *answers: PairAnswer) -> None:
        self._answers = answers
        self.asked: list[tuple[str, str]] = []

    def judge(self, pairs: Sequence[tuple[str, str]]) -> list[PairAnswer]:
        self.asked += pairs
        return [self._answers[n % len(self._answers)] for n in range(len(pairs))]


def _with_texts(judge: Judge | None, texts: int = 8, *, unmasked: int = 0) -> InMemoryContext:
    context = InMemoryContext(pair_judge=judge)
    rows = [
        {"feedback_id": f"r{n}", "revision": 1, "product": "p", "text": f"pay fails {n}",
         "masker": "m" if n >= unmasked else None}
        for n in range(texts)
    ]  # fmt: skip
    context.append(FEEDBACK, FEEDBACK.from_rows(rows))
    return context


def _signal(texts: int = 8, **more: Any) -> dict[str, Any]:
    ids = [f"r{n}" for n in range(texts)]
    return {"theme_id": "t", "historic": False, "count": texts, "feedback_ids": ids} | more


def test_a_model_judges_a_live_theme_that_nobody_judged_and_is_asked_once() -> None:
    judge = Judge(PairAnswer.SAME, PairAnswer.SAME, PairAnswer.SAME, PairAnswer.DIFFERENT)
    context = _with_texts(judge)
    share = audited_share(same=12, pairs=ASKED_PAIRS)
    assert theme_shares(context, [_signal()]) == {"t": share}
    assert len(set(judge.asked)) == ASKED_PAIRS
    assert theme_shares(context.next_pass(), [_signal(count=11)]) == {"t": share}
    assert len(judge.asked) == ASKED_PAIRS
    theme_shares(context, [_signal(count=12)])
    assert len(judge.asked) == 2 * ASKED_PAIRS
    assert b"r1" not in (context.state(JUDGED) or b"")


def test_what_people_judged_counts_before_a_model() -> None:
    judge = Judge(PairAnswer.SAME)
    context = _with_texts(judge)
    _judged(context, "t", AUDIT_PAIRS, different=AUDIT_PAIRS)
    expected = audited_share(same=0, pairs=AUDIT_PAIRS)
    assert theme_shares(context, [_signal()]) == {"t": expected}
    assert judge.asked == []


@pytest.mark.parametrize(
    ("judge", "row", "unmasked"),
    [
        (None, {}, 0),
        (Judge(PairAnswer.SAME), {"historic": True}, 0),
        (Judge(PairAnswer.SAME), {"theme_id": None}, 0),
        (Judge(PairAnswer.SAME), {"feedback_ids": ["r0", "r1"]}, 0),
        (Judge(PairAnswer.SAME), {}, 8),
        (Judge(PairAnswer.UNSURE), {}, 0),
        (Judge(PairAnswer.SAME, PairAnswer.UNSURE, PairAnswer.UNSURE), {}, 0),
    ],
)
def test_without_enough_answers_a_theme_has_no_share(
    judge: Judge | None, row: dict[str, Any], unmasked: int
) -> None:
    context = _with_texts(judge, unmasked=unmasked)
    assert theme_shares(context, [_signal(**row)]) == {}
    if judge is not None and (row or unmasked):
        assert judge.asked == []


def test_a_theme_that_could_not_be_asked_about_is_asked_about_again() -> None:
    judge = Judge(PairAnswer.UNSURE)
    context = _with_texts(judge)
    theme_shares(context, [_signal()])
    theme_shares(context, [_signal()])
    assert len(judge.asked) == 2 * ASKED_PAIRS
