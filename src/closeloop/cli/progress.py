"""Progress for people: a bar on a terminal, plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from closeloop.ports import Progress

PLAIN_EVERY_S = 10.0
"""Without a terminal a line this often says that work goes on."""
SHOWN_AFTER_S = 0.5
"""A step that takes no longer shows no bar."""


def make_progress(*, quiet: bool) -> Progress:
    """Return the progress that fits where standard error goes."""
    if quiet:
        return PlainProgress(every_s=None)
    if sys.stderr.isatty():
        return BarProgress()
    return PlainProgress(every_s=PLAIN_EVERY_S)


@dataclass(slots=True)
class _Step:
    name: str
    total: int | None
    unit: str
    done: int = 0
    started: float = field(default_factory=time.monotonic)

    def counted(self) -> str:
        """Return how far it is, "" where it does not count."""
        if not self.total and not self.done:
            return ""
        of = f" of {self.total:,}" if self.total else ""
        return f"{self.done:,}{of} {self.unit}"

    def rate(self) -> str:
        """Return units a second; a decimal where there are few (passes of a backtest)."""
        rate = self.done / max(time.monotonic() - self.started, 1e-9)
        return f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s"


class PlainProgress:
    """Writes notes, and a line now and then while a long step runs (`every_s` None: never)."""

    def __init__(self, *, every_s: float | None) -> None:
        self._every_s = every_s
        self._steps: list[_Step] = []
        self._said = time.monotonic()

    def start(self, step: str, *, total: int | None = None, unit: str = "rows") -> None:
        """Begin a step."""
        if not self._steps:
            self._said = time.monotonic()
        self._steps.append(_Step(step, total, unit))

    def advance(self, count: int = 1) -> None:
        """Count, and say so when the last line is long past."""
        if not self._steps:
            return
        step = self._steps[-1]
        step.done += count
        now = time.monotonic()
        if self._every_s is not None and now - self._said > self._every_s:
            self._said = now
            print(f"{step.name}: {step.counted()}, {step.rate()}", file=sys.stderr)  # noqa: T201

    def note(self, text: str) -> None:
        """Write one line."""
        print(text, file=sys.stderr)  # noqa: T201

    def finish(self) -> None:
        """End the step."""
        if self._steps:
            self._steps.pop()


class BarProgress:
    """A bar with rate and time left, shown only for work that takes longer than a moment.

    The bar counts the outermost step that has a total (a replay's passes); the steps inside that
    one are named before it, with how far they are, so that a first pass of a minute tells what it
    does.
    """

    def __init__(self) -> None:
        self._live: Any = None
        self._task: Any = None
        self._steps: list[_Step] = []
        self._counting: _Step | None = None
        self._timer: threading.Timer | None = None
        self._showing = threading.RLock()

    def start(self, step: str, *, total: int | None = None, unit: str = "rows") -> None:
        """Begin a step, maybe inside another."""
        with self._showing:
            self._steps.append(_Step(step, total, unit))
            self._update()
            if len(self._steps) > 1:
                return
        # A timer, since the first unit of a step may itself take seconds.
        self._timer = threading.Timer(SHOWN_AFTER_S, self._show)
        self._timer.daemon = True
        self._timer.start()

    def advance(self, count: int = 1) -> None:
        """Count; the bar appears once the work has taken half a second."""
        with self._showing:
            if self._steps:
                self._steps[-1].done += count
                self._update()

    def note(self, text: str) -> None:
        """Write one line above the bar."""
        if self._live is not None:
            self._live.console.print(text, markup=False, highlight=False)
        else:
            print(text, file=sys.stderr)  # noqa: T201

    def finish(self) -> None:
        """End the innermost step; the bar goes away with the outermost."""
        with self._showing:
            if self._steps:
                self._steps.pop()
            if self._steps:
                self._update()
                return
            if self._timer is not None:
                self._timer.cancel()
            if self._live is not None:
                self._live.stop()
            self._live = self._task = self._counting = None

    def _show(self) -> None:
        with self._showing:
            if self._steps and self._live is None:
                self._begin_bar()
                self._update()

    def _update(self) -> None:
        if self._live is None or not self._steps:
            return
        counting = next((s for s in self._steps if s.total), self._steps[0])
        if counting is not self._counting:
            # Another step has another speed: the time left is reckoned anew.
            self._live.reset(self._task, total=counting.total)
            self._counting = counting
        self._live.update(
            self._task,
            description=_told(self._steps, counting),
            completed=counting.done,
            total=counting.total,
            counted=counting.counted(),
            rate=counting.rate() if counting.done else "",
        )

    def _begin_bar(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._live = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[counted]}"),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._live.add_task("", total=None, counted="", rate="")
        self._live.start()


def _told(steps: Sequence[_Step], counting: _Step) -> str:
    """Return the names of the steps, outermost first; those inside the counting one say how far."""
    parts: list[str] = []
    inside = False
    for step in steps:
        if not parts or step.name != parts[-1]:
            parts.append(step.name)
        if inside and step.total:
            parts[-1] = f"{step.name} {step.counted()}"
        inside = inside or step is counting
    return ": ".join(parts)
