"""Bots and insistent authors weigh less and are named; trouble that many tell of is not touched."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from closeloop.stages import detect
from closeloop.tables import SIGNAL
from closeloop.testing.context import InMemoryContext
from tests.unit.stages.history import NOW, History

HOUR = timedelta(hours=1)


def signals(
    *, count: int, days: float = 60, repeated: int = 1, **columns: Any
) -> list[dict[str, Any]]:
    """Signals of a burst after calm days; the burst's authors write `repeated` texts each."""
    context = InMemoryContext(now=NOW)
    history = History().calm(days=days)
    regulars = len(history.rows) // 4
    for i, row in enumerate(history.rows):
        row["author_key"] = f"a{i % regulars}"
    history.write(context)
    detect.run(context.as_step(detect.NAME))
    begin = len(history.rows)
    history.burst(count, end=NOW + 3 * HOUR, **columns)
    for i, row in enumerate(history.rows[begin:]):
        row["author_key"] = f"new{i // repeated}"
    context.next_pass(now=NOW + 3 * HOUR)
    history.write(context)
    detect.run(context.as_step(detect.NAME))
    context.as_step("reader")
    return context.rows(SIGNAL, where=[("historic", "=", False)]).to_pylist()


def test_many_voices_are_trusted():
    (signal,) = signals(count=14)
    assert signal["trust"] == 1.0
    assert signal["oddities"] == []


def test_a_campaign_weighs_less_and_is_named():
    (honest,), (bots,) = signals(count=60), signals(count=60, campaign_id="shop-app-000000")
    assert bots["count"] >= 60
    assert bots["trust"] < 0.35
    assert bots["evidence"] < honest["evidence"]
    assert "(a campaign)" in bots["oddities"][0]


def test_one_insistent_author_raises_nothing():
    assert signals(count=14, repeated=14) == []


def test_a_crowd_that_never_wrote_before_is_named_where_authors_come_back():
    (signal,) = signals(count=40, days=200)
    assert any("never written before" in oddity for oddity in signal["oddities"])
    assert signal["trust"] == 1.0
