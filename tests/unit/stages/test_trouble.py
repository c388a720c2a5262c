"""Over which hours a trouble is looked at, and which changes can be behind it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from closeloop.domain.signal import SignalKind
from closeloop.stages.candidates import changes_of, weigh
from closeloop.stages.leader import Leader
from closeloop.stages.product_view import ProductView, hour_of, product_view
from closeloop.stages.trouble import Span, complaints_of, span_of
from closeloop.testing.context import InMemoryContext
from tests.unit.stages.history import NOW, PRODUCT, History, change, release, write_changes

HOUR = timedelta(hours=1)
DAY = 24 * HOUR


def seen(
    history: History, *changes: dict[str, Any], now: Any = NOW + 20 * DAY
) -> tuple[InMemoryContext, ProductView]:
    context = InMemoryContext(now=now)
    history.write(context)
    write_changes(context, *changes)
    context.as_step("reader")
    return context, product_view(context, PRODUCT)


def weighed(
    context: InMemoryContext, view: ProductView, row: dict[str, Any], leader: Leader | None = None
) -> dict[str, dict[str, Any]]:
    rows = weigh(context, view, row, changes_of(context, PRODUCT), leader=leader)
    return {r["name"]: r for r in rows}


def signal(start: Any, end: Any, **columns: Any) -> dict[str, Any]:
    return {
        "signal_id": "s",
        "kind": SignalKind.CATEGORY.value,
        "series_id": "payment failure",
        "window_start": start,
        "window_end": end,
        "baseline": 1.5 * ((end - start) / DAY),
        "version": None,
        **columns,
    }


def span(view: ProductView, row: dict[str, Any], now: Any = NOW + 20 * DAY) -> Span:
    return span_of(view, row, complaints_of(view, row), now=hour_of(now))


def test_raised_half_days_before_the_window_belong_to_the_trouble_calm_ones_do_not():
    history = History().calm()
    for i in range(60):
        history.add(NOW + i * HOUR / 2)
    _, view = seen(history)
    row = signal(NOW + 20 * HOUR, NOW + 30 * HOUR)
    assert span(view, row).onset == hour_of(NOW) - 4
    calm = signal(NOW, NOW + 30 * HOUR)
    assert span(view, calm).onset == hour_of(NOW)


def test_the_hours_that_are_looked_at_hold_the_onset_and_the_last_alarm():
    history = History().calm()
    for i in range(14 * 24):
        history.add(NOW + i * HOUR)
    _, view = seen(history)
    found = span(view, signal(NOW, NOW + 14 * DAY))
    assert found.first <= found.onset - 100
    assert found.until >= hour_of(NOW + 14 * DAY)


def test_a_trouble_that_lasts_does_not_outlive_its_cause():
    """Two weeks later the release that began it is still a candidate."""
    history = History().calm()
    for i in range(14 * 8):
        at = NOW + HOUR + i * 3 * HOUR
        history.add(at, version="2.0")
        history.add(at, "praise", version="1.0")
        history.add(at, "praise", version="2.0" if i % 2 else "1.0")
    context, view = seen(history, release("2.0", NOW), now=NOW + 14 * DAY)
    assert weighed(context, view, signal(NOW, NOW + 14 * DAY))["2.0"]["blamed"]


@pytest.mark.parametrize(("hours_before", "candidate"), [(0, True), (12, True), (30, False)])
def test_what_was_over_for_a_day_is_no_candidate(hours_before: int, candidate: bool):
    history = History().calm()
    history.burst(8, end=NOW + 5 * HOUR, hours=3)
    ended = NOW - hours_before * HOUR
    incident = change("incident", "bank down", NOW - 2 * DAY, ended_at=ended)
    context, view = seen(history, incident, now=NOW + 5 * HOUR)
    found = weighed(context, view, signal(NOW, NOW + 5 * HOUR))
    assert ("bank down" in found) is candidate


def test_what_the_larger_trouble_tells_is_not_counted_again_for_a_part_of_it():
    history = History().calm()
    for i in range(30):
        history.add(NOW + HOUR + i * HOUR, version="2.0")
        history.add(NOW + HOUR + i * HOUR, "praise", version="1.0" if i % 3 else "2.0")
    context, view = seen(history, release("2.0", NOW), now=NOW + 31 * HOUR)
    row = signal(NOW, NOW + 31 * HOUR)

    def share(leader: Leader | None) -> float:
        return float(weighed(context, view, row, leader)["2.0"]["posterior"])

    alone = share(None)
    held = {None: 1.0 - alone, "r-2.0": alone}
    assert share(Leader(held, 1.0)) == pytest.approx(alone)
    assert share(Leader(held, 0.0)) > alone


@pytest.mark.parametrize(
    ("larger", "own", "allowed"),
    [(0.9, 0.81, True), (0.6, 0.9, False), (0.6, 0.96, True), (0.4, 0.99, False)],
)
def test_a_part_is_blamed_on_what_is_blamed_for_the_whole_or_when_sure(
    larger: float, own: float, allowed: bool
):
    leader = Leader({None: 1.0 - larger, "r-2.0": larger}, 0.0)
    assert leader.allows("r-2.0", own) is allowed


def young(*, days: int, fault: str) -> History:
    """A product whose feedback began so many days ago, by the dozen an hour and less at night.

    From a day ago on a third of it is on version 1.1, which brings `fault` as well.
    """
    history = History()
    for hour in range(days * 24):
        at = NOW - (days * 24 - hour) * HOUR
        busy = 12 if 6 <= at.hour < 22 else 2
        for category in ("payment failure", "praise"):
            for n in range(busy):
                new = hour >= (days - 1) * 24 and n % 3 == 0
                history.add(at + n * HOUR / 20, category, version="1.1" if new else "1.0")
        if hour >= (days - 1) * 24:
            history.burst(2 * busy, end=at + HOUR, hours=1, category=fault, version="1.1")
    return history


@pytest.mark.parametrize("days", [5, 9])
def test_the_beginning_of_a_short_history_is_not_taken_for_that_of_the_trouble(days):
    history = young(days=days, fault="payment failure")
    _, view = seen(history)
    found = span(view, signal(NOW - 20 * HOUR, NOW), now=NOW)
    assert found.first > hour_of(NOW - days * DAY)
    calm = slice(0, found.onset - found.first)
    # Nights and weekdays that the base never saw have their usual hours, too.
    for start in range(0, calm.stop - 12, 12):
        half_day = slice(start, start + 12)
        assert found.counts[half_day].sum() == pytest.approx(
            found.expected[half_day].sum(), rel=0.3
        )
    assert found.counts[calm.stop :].sum() > 2 * found.expected[calm.stop :].sum()


@pytest.mark.parametrize("days", [5, 9])
def test_a_release_is_found_behind_trouble_in_a_short_history(days):
    history = young(days=days, fault="payment failure")
    context, view = seen(history, release("1.1", NOW - DAY), now=NOW)
    row = signal(NOW - 20 * HOUR, NOW)
    found = weighed(context, view, row)
    assert found["1.1"]["posterior"] > 0.9
    assert found["1.1"]["blamed"]
