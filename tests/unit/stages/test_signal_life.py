"""Signals of one problem have one parent, which is none of its own children."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from closeloop.stages.signal_life import LIVES, follow, parent_of
from closeloop.tables import SIGNAL
from closeloop.testing.context import InMemoryContext
from closeloop.testing.example_rows import signal_row
from tests.unit.stages.history import NOW, PRODUCT, History

START = datetime(2024, 3, 1, tzinfo=UTC)
SNOOZE = timedelta(days=7)


def apart(one: Any, other: Any) -> bool:
    return False


def _signal(name: str, *, hour: int = 0, parent: str | None = None, series: str = "s") -> Any:
    return {
        "signal_id": name,
        "kind": "category",
        "series_id": series,
        "parent_id": parent,
        "window_start": START + timedelta(hours=hour),
        "window_end": START + timedelta(hours=hour + 6),
        "feedback_ids": [f"{name}{i}" for i in range(5)],
    }


def test_the_same_series_again_is_the_same_problem() -> None:
    first, again = _signal("a"), _signal("b", hour=12)
    assert parent_of(again, [first, again], {}, snooze=SNOOZE, shared=apart) == "a"
    assert parent_of(first, [first, again], {}, snooze=SNOOZE, shared=apart) is None


def test_one_cause_makes_one_problem() -> None:
    first, other = _signal("a", series="s"), _signal("b", hour=3, series="t")
    assert parent_of(other, [first, other], {}, snooze=SNOOZE, shared=apart) is None
    causes = {"a": "release 2", "b": "release 2"}
    assert parent_of(other, [first, other], causes, snooze=SNOOZE, shared=apart) == "a"


def test_who_has_children_is_not_its_own_parent() -> None:
    """A signal that is listed after its child (it was found anew) stays the head of both."""
    head, child = _signal("head"), _signal("child", hour=6, parent="head")
    assert parent_of(head, [child, head], {}, snooze=SNOOZE, shared=apart) is None


@given(st.lists(st.tuples(st.integers(0, 40), st.sampled_from("st")), min_size=2, max_size=6))
def test_in_any_order_nobody_is_its_own_parent(hours: list[tuple[int, str]]) -> None:
    family: list[Any] = []
    for number, (hour, series) in enumerate(hours):
        row = _signal(f"n{number}", hour=hour, series=series)
        row["parent_id"] = parent_of(row, family, {}, snooze=SNOOZE, shared=apart)
        family.append(row)
    for row in family:
        for order in (family, family[::-1]):
            assert parent_of(row, order, {}, snooze=SNOOZE, shared=apart) != row["signal_id"]


def test_what_lasts_is_followed_for_45_days_after_its_last_alarm() -> None:
    context, history = InMemoryContext(now=NOW), History().calm()

    def followed(day: int, *, alarm: bool) -> bool:
        """Live with the trouble until that day; return whether it is followed still."""
        now = NOW + timedelta(days=day)
        history.burst(50, end=now, hours=120)
        history.write(context)
        context.next_pass(now=now)
        if alarm:
            row = signal_row(
                "s1", window_start=NOW - timedelta(days=5), window_end=now, baseline=8.0
            )
            context.as_step("detect").merge(SIGNAL, SIGNAL.from_rows([row]))
        step = context.as_step("attribute")
        follow(step, ["s1"] if alarm else [], [PRODUCT])
        blob = step.state(LIVES)
        return blob is not None and "s1" in json.loads(blob)

    assert followed(0, alarm=True)
    assert all(followed(day, alarm=False) for day in range(5, 50, 5))
    assert not followed(50, alarm=False)
    assert followed(55, alarm=True)
    assert all(followed(day, alarm=False) for day in range(60, 105, 5))
    assert not followed(105, alarm=False)
