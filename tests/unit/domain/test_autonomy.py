"""Autonomy is earned by labels that were right, for one product and category at a time."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from closeloop.domain.autonomy import standing_of, standings
from closeloop.domain.review import Label, LabelKind
from closeloop.testing.configuration import example_policy


def labels(
    right: int, wrong: int, *, category: str = "billing", predicted: str | None = "same"
) -> list[Label]:
    return [
        Label(
            f"{category}-{i}",
            LabelKind.PAIR,
            "shop-app",
            category,
            ("a", str(i)),
            "same" if i < right else "different",
            predicted,
            None,
            "mia",
            datetime(2024, 3, 1, tzinfo=UTC),
        )
        for i in range(right + wrong)
    ]


@given(right=st.integers(0, 150), wrong=st.integers(0, 60))
def test_autonomy_needs_enough_labels_and_enough_of_them_right(right: int, wrong: int) -> None:
    known = standings(labels(right, wrong), example_policy())
    standing = standing_of(known, product="shop-app", category="billing")
    assert (standing.labels, standing.right) == (right + wrong, right)
    total = right + wrong
    assert standing.earned == (total >= 100 and right >= 0.85 * total)


def test_one_category_earns_nothing_for_another() -> None:
    known = standings([*labels(100, 0), *labels(3, 0, category="performance")], example_policy())
    assert standing_of(known, product="shop-app", category="billing").earned
    assert not standing_of(known, product="shop-app", category="performance").earned
    assert not standing_of(known, product="wallet", category="billing").earned


def test_labels_about_which_nothing_was_said_do_not_count() -> None:
    assert standings(labels(100, 0, predicted=None), example_policy()) == {}


def test_without_labels_there_is_no_precision() -> None:
    assert standing_of({}, product="p", category="c").precision is None
