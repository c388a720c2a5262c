"""The loop: refine, embed, enrich, theme, detect, attribute, brief, decide, act, verify, learn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa

from closeloop.ports import CallLedger, StepContext, Tracker
from closeloop.progress import shown
from closeloop.runner import Runner
from closeloop.stages import (
    account,
    act,
    attribute,
    brief,
    decide,
    detect,
    embed,
    enrich,
    learn,
    refine,
    theme,
    verify,
)

STAGES: tuple[tuple[str, Callable[[StepContext], None]], ...] = (
    (refine.NAME, refine.run),
    (embed.NAME, embed.run),
    (enrich.NAME, enrich.run),
    (theme.NAME, theme.run),
    (detect.NAME, detect.run),
    (attribute.NAME, attribute.run),
    (brief.NAME, brief.run),
    (decide.NAME, decide.run),
    (act.NAME, act.run),
    (verify.NAME, verify.run),
    (learn.NAME, learn.run),
)

DELIVER = "deliver"
"""The step that brings the outbox to the trackers, after act has committed its intents."""


LONG_S = 1.0
"""A step of so many seconds has used memory worth giving back."""


@dataclass(slots=True)
class PassReport:
    """What one pass did: figures by step, and how long each step took in seconds."""

    now: datetime
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def add(self, step: str, counts: dict[str, int]) -> None:
        """Add the figures of one run of a step."""
        held = self.counts.setdefault(step, {})
        for name, value in counts.items():
            held[name] = held.get(name, 0) + value

    def count(self, step: str, name: str) -> int:
        """Return one figure, 0 where the step did not state it."""
        return self.counts.get(step, {}).get(name, 0)


def run_pass(
    runner: Runner,
    *,
    now: datetime,
    trackers: Sequence[Tracker],
    stopwatch: Callable[[], float],
    call_ledger: CallLedger | None = None,
) -> PassReport:
    """Run every stage over what is new at `now`, then deliver the outbox and account for models.

    A stage that works in portions is run, and committed, once a portion.
    """
    report = PassReport(now=now)
    stages = [*STAGES, (DELIVER, lambda step: act.deliver(step, trackers))]
    if call_ledger is not None:
        stages.append((account.NAME, lambda step: account.run(step, call_ledger)))
    for name, stage in stages:
        started = stopwatch()
        left = True
        while left:
            with shown(runner.services.progress, name), runner.step(name, now=now) as step:
                stage(step)
            report.add(name, step.counts)
            left = step.left
            report.seconds[name] = stopwatch() - started
            if left or report.seconds[name] > LONG_S:
                # Arrow keeps what it freed; what comes next would come on top of it.
                pa.default_memory_pool().release_unused()
    return report
