"""Exposed against unexposed: what counts as a side, which hours, which users."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from closeloop.stages.comparison import Comparison, Sample, compare
from closeloop.stages.exposed import Adoption, reaches
from closeloop.stages.product_view import ProductView, hour_of, product_view
from closeloop.stats.odds import odds_ratio
from closeloop.testing.context import InMemoryContext
from tests.unit.stages.history import NOW, PRODUCT, History, release

HOUR = timedelta(hours=1)


def view_of(history: History) -> ProductView:
    context = InMemoryContext(now=NOW + timedelta(days=10))
    history.write(context)
    return product_view(context.as_step("reader"), PRODUCT)


def compared(
    view: ProductView, *, hours: int, adoption: Adoption | None = None, **overrides: Any
) -> Comparison:
    change = release("2.0", NOW, region=None, platform=None)
    (reach,) = reaches(view, change, [change])
    held: dict[str, Any] = {
        "complaints": view.members("category", "payment failure"),
        "among": view.testable,
        "usual": 0.0,
    }
    found = compare(
        Sample(view, **(held | overrides)),
        reach,
        adoption or Adoption({}),
        since=(hour_of(NOW),),
        until=hour_of(NOW) + hours,
    )
    assert found is not None
    return found


def test_a_rollout_that_meets_a_trouble_of_everybody_is_not_made_guilty_by_the_calm_before_it():
    """Pooled, hours in which few had the version and nobody complained say it brings complaints."""
    history = History()
    for i in range(288):
        at, reached = NOW + i * HOUR / 4, 1.0 - np.exp(-i / 96)
        version = "2.0" if (i * 0.618) % 1.0 < reached else "1.0"
        hit = i >= 144 and (i * 0.414) % 1.0 < 0.4
        history.add(at, "payment failure" if hit else "praise", version=version)
    view = view_of(history)
    found = compared(view, hours=72)
    rows = view.coded("version").equal("2.0")
    hit = np.zeros(len(rows), dtype=bool)
    hit[view.members("category", "payment failure")] = True
    sides = (rows & hit, rows, ~rows & hit, ~rows)
    pooled = odds_ratio([tuple(int(side.sum()) for side in sides)])
    assert pooled.bayes_factor > 10
    assert found.ratio.bayes_factor < 1
    assert not found.allows_blame


def test_unrated_feedback_is_no_side_of_a_comparison_of_ratings():
    history = History()
    for i in range(160):
        version = "2.0" if i % 2 else "1.0"
        history.add(NOW + i * HOUR / 8, "praise", version=version, rating=1.0 if i % 8 < 2 else 5.0)
        history.add(NOW + i * HOUR / 8, "praise", version="1.0", rating=None)
    view = view_of(history)
    low = np.flatnonzero(view.rating <= 2)
    every = compared(view, hours=24, complaints=low)
    rated = compared(view, hours=24, complaints=low, among=np.isfinite(view.rating))
    assert every.allows_blame
    assert not rated.allows_blame
    assert rated.ratio.exposed == rated.ratio.unexposed == 80


def test_complaints_are_held_against_the_users_of_their_own_hours():
    """A mean over the rollout would say that few had it when the complaints came: nearly all had."""
    history = History()
    for i in range(18):
        history.add(NOW + 48 * HOUR + i * HOUR, version="1.0" if i % 9 == 0 else "2.0")
    hours = hour_of(NOW) + np.arange(0, 96, 6)
    shares = 1.0 - np.exp(-np.arange(0, 96, 6) / 24.0)
    found = compared(view_of(history), hours=72, adoption=Adoption({"2.0": (hours, shares)}))
    assert found.ratio.of_users == pytest.approx(0.9, abs=0.02)
    assert not found.allows_blame


def test_complaints_newer_than_the_newest_figures_are_not_held_against_older_ones():
    """Users are told by the day: what is known of yesterday says too little of today."""
    history = History()
    for i in range(28):
        history.add(NOW + i * 3 * HOUR, version="1.0" if i % 2 else "2.0")
    hours = hour_of(NOW) + np.arange(0, 36, 6)
    shares = np.linspace(0.0, 0.5, len(hours))
    found = compared(view_of(history), hours=80, adoption=Adoption({"2.0": (hours, shares)}))
    assert found.ratio.exposed + found.ratio.unexposed == 11
    assert found.ratio.of_users is not None
    assert found.ratio.of_users < 0.3


def test_few_without_a_change_allow_blame_only_where_nearly_all_have_it():
    history = History()
    for i in range(14):
        history.add(NOW + i * HOUR, "praise", version="1.0")
    history.add(NOW + 2 * HOUR, version="2.0")
    for i in range(80):
        history.add(NOW + i * HOUR / 6, version=None)
    few = compared(view_of(history), hours=24)
    assert few.ratio.unexposed < 16
    assert not few.allows_blame
    for i in range(60):
        history.add(NOW + i * HOUR / 6, "praise", version="2.0")
    assert compared(view_of(history), hours=24).allows_blame


def test_what_is_usual_is_scaled_to_those_who_say_what_they_have():
    """Most complaints name no version: those that do clear a version that one of them comes from."""
    history = History()
    for i in range(11):
        history.add(NOW + i * HOUR, version="1.0")
    history.add(NOW + 2 * HOUR, version="2.0")
    for i in range(88):
        history.add(NOW + i * HOUR / 4, version=None)
    found = compared(view_of(history), hours=24, usual=0.1)
    assert (found.own, found.complaints) == (1, 12)
    assert found.excess > 11
    assert found.log_factor < -2


def test_calm_hours_give_a_side_where_the_trouble_s_own_have_none():
    """When trouble is seen nearly all have the version; before, some had not."""
    history = History()
    for i in range(48):
        history.add(NOW + i * HOUR, "praise", version="2.0" if i % 2 else "1.0")
    for i in range(48):
        hit = "payment failure" if i % 4 else "praise"
        history.add(NOW + 48 * HOUR + i * HOUR / 2, hit, version="1.0" if i % 8 == 0 else "2.0")
    view = view_of(history)
    change = release("2.0", NOW, region=None, platform=None)
    (reach,) = reaches(view, change, [change])
    sample = Sample(view, view.members("category", "payment failure"), view.testable, 0.0)
    onset, until = hour_of(NOW) + 48, hour_of(NOW) + 72
    own = compare(sample, reach, Adoption({}), since=(onset,), until=until)
    wider = compare(sample, reach, Adoption({}), since=(onset, hour_of(NOW)), until=until)
    assert own is not None
    assert wider is not None
    assert not own.ratio.enough
    assert wider.ratio.enough
    assert wider.allows_blame
