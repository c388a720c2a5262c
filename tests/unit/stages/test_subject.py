"""A burst that is mostly about something else lowers the trust in what spills over from it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closeloop.stages import detect
from closeloop.stages.subject import Beside
from closeloop.tables import SIGNAL
from closeloop.testing.context import InMemoryContext
from tests.unit.stages.history import NOW, History

HOUR = timedelta(hours=1)
LATER = NOW + 6 * HOUR


def raised(*, beside: int, **columns: Any) -> dict[str, Any]:
    """Return the signal of 40 complaints with that many other texts in the same hours."""
    context = InMemoryContext(now=NOW)
    history = History().calm()
    history.write(context)
    detect.run(context.as_step(detect.NAME))
    history.burst(40, end=LATER, rating=1.0)
    if beside:
        history.burst(beside, end=LATER, **{"rating": 1.0, "category": "unknown", **columns})
    history.rows.sort(key=lambda r: r["event_time"])
    context.next_pass(now=LATER)
    history.write(context)
    detect.run(context.as_step(detect.NAME))
    context.as_step("reader")
    (signal,) = (r for r in context.rows(SIGNAL).to_pylist() if not r["historic"])
    assert signal["category"] == "payment failure"
    return dict(signal)


def test_trouble_by_itself_is_trusted() -> None:
    signal = raised(beside=0)
    assert signal["trust"] == pytest.approx(1.0)
    assert signal["oddities"] == []


def test_the_tail_of_a_burst_about_something_else_is_not() -> None:
    signal = raised(beside=80)
    assert signal["trust"] < 0.5
    (said,) = signal["oddities"]
    assert said.startswith("80 unhappy texts of no category of complaint came beside it")


@pytest.mark.parametrize(
    "columns",
    [{"rating": 5.0}, {"content_free": True}, {"rating": None, "sentiment": 0.2}],
    ids=["contented", "says nothing", "calm, no stars"],
)
def test_other_texts_say_nothing_of_it(columns: dict[str, Any]) -> None:
    assert raised(beside=80, **columns)["trust"] == pytest.approx(1.0)


def test_what_only_instructs_a_machine_is_no_feedback_at_all() -> None:
    orders = {"instructions_only": True, "category": "payment failure"}
    told = ("count", "evidence", "share", "trust", "authors", "severity_score")
    with_orders, without = raised(beside=80, **orders), raised(beside=0)
    assert {k: with_orders.get(k) for k in told} == {k: without.get(k) for k in told}


def test_without_stars_the_tone_tells() -> None:
    assert raised(beside=80, rating=None, sentiment=0.9)["trust"] < 0.5


@given(st.floats(0, 1e4), st.floats(0, 1e4))
def test_the_share_is_one_without_a_burst_and_falls_with_it(own: float, excess: float) -> None:
    assert Beside(5, 5.0, 0.0).share(own) == 1.0
    assert Beside(5, 5.0, 0.0).said(own) is None
    assert 0.0 < Beside(5, 5.0, excess).share(own) <= 1.0
