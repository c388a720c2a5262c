"""A period without feedback is told, not reported as clean."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from closeloop.cli.backtest_period import feedback_inside
from closeloop.cli.backtest_signals import amount_of
from closeloop.errors import UsageError
from closeloop.replay import ReplayPlan

LAST = datetime(2021, 2, 14, 9, tzinfo=UTC)
TIMES = pa.chunked_array(
    [pa.array([LAST - timedelta(days=d) for d in range(5)], pa.timestamp("us", tz="UTC"))]
)


def plan(start: datetime, end: datetime) -> ReplayPlan:
    return ReplayPlan(start=start, end=end, every=timedelta(hours=1))


def test_feedback_of_the_period_is_counted_apart_from_what_came_before() -> None:
    assert feedback_inside(TIMES, plan(LAST - timedelta(days=1), LAST)) == 2
    said = amount_of({"rows": 5, "rows_inside": 2})
    assert said == "2 pieces of feedback in the period and 3 before it"


@pytest.mark.parametrize(
    ("start", "end"), [("2022-01-01", "2022-02-01"), ("2020-01-01", "2020-02-01")]
)
def test_where_there_is_none_the_time_of_the_feedback_is_named(start: str, end: str) -> None:
    first, last = (datetime.fromisoformat(t).replace(tzinfo=UTC) for t in (start, end))
    with pytest.raises(UsageError, match=f"no feedback between {start} 00:00") as error:
        feedback_inside(TIMES, plan(first, last))
    assert "from 2021-02-10 09:00 to 2021-02-14 09:00 UTC" in str(error.value.hint)
