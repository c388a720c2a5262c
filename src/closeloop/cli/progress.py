"""Progress for people: a bar on a terminal, plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import sys
import threading
import time
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


class PlainProgress:
    """Writes notes, and a line now and then while a long step runs (`every_s` None: never)."""

    def __init__(self, *, every_s: float | None) -> None:
        self._every_s = every_s
        self._step = ""
        self._unit = ""
        self._total: int | None = None
        self._done = 0
        self._started = self._said = time.monotonic()

    def start(self, step: str, *, total: int | None = None, unit: str = "rows") -> None:
        """Begin a step."""
        self._step, self._total, self._unit, self._done = step, total, unit, 0
        self._started = self._said = time.monotonic()

    def advance(self, count: int = 1) -> None:
        """Count, and say so when the last line is long past."""
        self._done += count
        now = time.monotonic()
        if self._every_s is not None and now - self._said > self._every_s:
            self._said = now
            rate = self._done / max(now - self._started, 1e-9)
            of = f" of {self._total:,}" if self._total else ""
            print(  # noqa: T201
                f"{self._step}: {self._done:,}{of} {self._unit}, {rate:,.0f}/s", file=sys.stderr
            )

    def note(self, text: str) -> None:
        """Write one line."""
        print(text, file=sys.stderr)  # noqa: T201

    def finish(self) -> None:
        """End the step."""


class BarProgress:
    """A bar with rate and time left, shown only for steps that take longer than a moment."""

    def __init__(self) -> None:
        self._live: Any = None
        self._task: Any = None
        self._pending: tuple[str, int | None, str] | None = None
        self._done = 0
        self._started = 0.0
        self._outer: list[tuple[str, int | None, str, int]] = []
        self._timer: threading.Timer | None = None
        self._showing = threading.Lock()

    def start(self, step: str, *, total: int | None = None, unit: str = "rows") -> None:
        """Begin a step; a step inside another shows nothing of its own."""
        if self._pending is not None:
            self._outer.append((step, total, unit, 0))
            return
        self._pending = (step, total, unit)
        self._done, self._started = 0, time.monotonic()
        # A timer, since the first unit of a step may itself take seconds.
        self._timer = threading.Timer(SHOWN_AFTER_S, self._show)
        self._timer.daemon = True
        self._timer.start()

    def advance(self, count: int = 1) -> None:
        """Count; the bar appears once the step has taken half a second."""
        if self._pending is None or self._outer:
            return
        self._done += count
        if self._live is not None:
            rate = self._done / max(time.monotonic() - self._started, 1e-9)
            self._live.update(self._task, completed=self._done, rate=f"{rate:,.0f}/s")

    def note(self, text: str) -> None:
        """Write one line above the bar."""
        if self._live is not None:
            self._live.console.print(text, markup=False, highlight=False)
        else:
            print(text, file=sys.stderr)  # noqa: T201

    def finish(self) -> None:
        """End the step and take the bar away."""
        if self._outer:
            self._outer.pop()
            return
        if self._timer is not None:
            self._timer.cancel()
        with self._showing:
            if self._live is not None:
                self._live.stop()
            self._live = self._task = self._pending = None

    def _show(self) -> None:
        with self._showing:
            if self._pending is not None and self._live is None:
                self._begin_bar()

    def _begin_bar(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        assert self._pending is not None
        step, total, unit = self._pending
        live = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(unit),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = live.add_task(step, total=total, completed=self._done, rate="")
        live.start()
        self._live = live
