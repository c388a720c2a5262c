"""Which signal leads another: the larger of the same days."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from closeloop.domain.signal import SignalKind
from closeloop.stages.leader import leader_of
from closeloop.stages.product_view import ProductView, product_view
from closeloop.testing.context import InMemoryContext
from tests.unit.stages.history import NOW, PRODUCT, History

HOUR = timedelta(hours=1)
DAY = 24 * HOUR
POSTERIORS: dict[str, dict[str | None, float]] = {
    "access": {"2.0": 0.9, None: 0.1},
    "low ratings": {"2.0": 0.2, None: 0.8},
}


@pytest.fixture(scope="module")
def view() -> ProductView:
    """Return ten complaints of account access and ten of payment, within hours."""
    context = InMemoryContext(now=NOW + 10 * DAY)
    history = History().calm()
    history.burst(10, end=NOW + 10 * HOUR, hours=10, category="account access")
    history.burst(10, end=NOW + 10 * HOUR, hours=10)
    history.write(context)
    context.as_step("reader")
    return product_view(context, PRODUCT)


def signal(name: str, count: int, baseline: float, **columns: Any) -> dict[str, Any]:
    return {
        "signal_id": name,
        "kind": SignalKind.CATEGORY.value,
        "series_id": "account access",
        "count": count,
        "baseline": baseline,
        "window_start": NOW,
        "window_end": NOW + 2 * DAY,
        **columns,
    }


ACCESS = signal("access", 43, 6.7)
LOW_RATINGS = signal("low ratings", 86, 57.4, series_id="payment failure")
"""More of them, and most are usual: they tell less of what is behind the trouble."""


def test_the_larger_leads_by_what_came_beyond_the_usual(view: ProductView) -> None:
    family = [ACCESS, LOW_RATINGS]
    assert leader_of(view, ACCESS, np.arange(3), family, POSTERIORS) is None
    leader = leader_of(view, LOW_RATINGS, np.arange(3), family, POSTERIORS)
    assert leader is not None
    assert leader.posteriors == POSTERIORS["access"]


@pytest.mark.parametrize(
    ("count", "baseline"),
    [(22, 11.9), (12, 0.1)],
    ids=["brought more, stands out less", "brought fewer, stands out more"],
)
def test_what_is_not_larger_in_both_ways_does_not_lead(
    view: ProductView, count: int, baseline: float
) -> None:
    """Low ratings of a version, 10 beyond the usual, tell nothing sure of 8 broken screens."""
    screens = signal("screens", 8, 0.2) if baseline > 1 else signal("screens", 30, 10.0)
    other = signal("low ratings", count, baseline)
    assert leader_of(view, screens, np.arange(3), [screens, other], POSTERIORS) is None


def test_what_is_shared_is_the_part_of_the_smaller_ones_complaints(view: ProductView) -> None:
    access = view.members(SignalKind.CATEGORY, "account access")
    payment = view.members(SignalKind.CATEGORY, "payment failure")
    own = np.concatenate([access[-6:], payment[-2:]])
    leader = leader_of(view, LOW_RATINGS, own, [ACCESS], POSTERIORS)
    assert leader is not None
    assert leader.shared == pytest.approx(0.75)


@pytest.mark.parametrize(("overlap_h", "leads"), [(7, False), (23, False), (24, True), (48, True)])
def test_trouble_that_runs_into_the_next_does_not_lead_it(
    view: ProductView, overlap_h: int, leads: bool
) -> None:
    """Half of the shorter window, 48 hours, has to lie in the other."""
    start = NOW + 2 * DAY - overlap_h * HOUR
    later = LOW_RATINGS | {"window_start": start, "window_end": start + 5 * DAY}
    found = leader_of(view, later, np.arange(3), [ACCESS, later], POSTERIORS)
    assert (found is not None) is leads


def test_what_is_not_weighed_yet_does_not_lead(view: ProductView) -> None:
    assert leader_of(view, LOW_RATINGS, np.arange(3), [ACCESS], {}) is None
