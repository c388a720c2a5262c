"""How much feedback a backtest's period holds: none is no clean result, it is a wrong period."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from closeloop.errors import UsageError

if TYPE_CHECKING:
    from closeloop.replay import ReplayPlan


def feedback_inside(times: pa.ChunkedArray, plan: ReplayPlan) -> int:
    """Return how many of these times of feedback lie in the period.

    Raises UsageError, which names the time that the feedback is of, where none does.
    """
    within = pc.and_(pc.greater_equal(times, plan.start), pc.less_equal(times, plan.end))
    inside = int(pc.sum(within).as_py() or 0)
    if inside == 0:
        first, last = (pc.min_max(times)[end].as_py() for end in ("min", "max"))
        span = "no feedback has a time" if first is None else f"it goes from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"  # fmt: skip
        raise UsageError(
            f"there is no feedback between {plan.start:%Y-%m-%d %H:%M} and "
            f"{plan.end:%Y-%m-%d %H:%M} UTC, so a backtest would say nothing",
            hint=f"{span}; choose --from and --to within",
        )
    return inside
