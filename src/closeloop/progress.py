"""Shows the parts of a long work: a step that always ends, and a model's texts as a share of rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from closeloop.ports import Progress


@contextmanager
def shown(
    progress: Progress, step: str, *, total: int | None = None, unit: str = "rows"
) -> Iterator[None]:
    """Show a step while the block runs; it ends with the block, also by an error."""
    progress.start(step, total=total, unit=unit)
    try:
        yield
    finally:
        progress.finish()


class Share:
    """Counts the `units` of an outer step while a model works through `parts` texts of them.

    A model is given each distinct text once, or the clauses of texts: what it says it has done is
    passed on as a share of the outer units, never more than all of them.
    """

    def __init__(self, progress: Progress, *, units: int, parts: int) -> None:
        self._progress = progress
        self._units = units
        self._parts = max(parts, 1)
        self._done = 0
        self._told = 0

    def start(self, step: str, *, total: int | None = None, unit: str = "rows") -> None:
        """Do nothing: the outer step is shown."""

    def advance(self, count: int = 1) -> None:
        """Pass on what so many parts more are worth."""
        self._done = min(self._done + count, self._parts)
        self._tell(self._units * self._done // self._parts)

    def note(self, text: str) -> None:
        """Show the line."""
        self._progress.note(text)

    def finish(self) -> None:
        """Count what was not told: the work is done."""
        self._tell(self._units)

    def _tell(self, units: int) -> None:
        if units > self._told:
            self._progress.advance(units - self._told)
            self._told = units
