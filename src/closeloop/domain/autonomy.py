"""Autonomy: how often people agreed with closeloop, and what it may do without them for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from closeloop.domain.policy import Policy
from closeloop.domain.review import Label
from closeloop.domain.signal import Signal

REAL = "real"
NOT_AN_ISSUE = "not_an_issue"
"""Values of a ticket label."""

FEW_LABELS = 10
"""From here on a bad record takes autonomy away from signals that need no labels to have it."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What people's judgements say of one product and category."""

    product: str
    category: str
    labels: int
    right: int
    earned: bool

    @property
    def precision(self) -> float | None:
        """Share of the labels that agreed with closeloop; None without any."""
        return self.right / self.labels if self.labels else None


def standings(labels: Iterable[Label], policy: Policy) -> dict[tuple[str, str], Standing]:
    """Return the standing of each (product, category) that has labels.

    A label counts where closeloop had said something (`predicted`), and is right where the person
    said the same. Autonomy is earned with `labels_for_autonomy` labels of which at least
    `precision_for_autonomy` were right.
    """
    counted: dict[tuple[str, str], tuple[int, int]] = {}
    for label in labels:
        if label.predicted is None or label.category is None:
            continue
        key = (label.product, label.category)
        total, right = counted.get(key, (0, 0))
        counted[key] = (total + 1, right + (label.value == label.predicted))
    return {
        key: Standing(
            product=key[0],
            category=key[1],
            labels=total,
            right=right,
            earned=total >= policy.labels_for_autonomy
            and right / total >= policy.precision_for_autonomy,
        )
        for key, (total, right) in sorted(counted.items())
    }


def standing_of(known: dict[tuple[str, str], Standing], *, product: str, category: str) -> Standing:
    """Return the standing of a product and category; without labels it has none yet."""
    nothing = Standing(product=product, category=category, labels=0, right=0, earned=False)
    return known.get((product, category), nothing)


def autonomy_category(signal: Signal) -> str:
    """Return the category whose labels count for a signal; without one, its kind's."""
    return signal.category or signal.kind.value


def series_key(signal: Signal) -> str:
    """Name what a signal tested: later signals of a series that is no issue are none either."""
    return f"{signal.product}/{signal.kind.value}/{signal.series_id}"
