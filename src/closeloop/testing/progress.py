"""A progress that shows nothing."""

from __future__ import annotations


class SilentProgress:
    """Takes every call and shows nothing; keeps the notes for a test to read."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def start(self, step: str, *, total: int | None = None, unit: str = "rows") -> None:
        """Do nothing."""

    def advance(self, count: int = 1) -> None:
        """Do nothing."""

    def note(self, text: str) -> None:
        """Keep the line."""
        self.notes.append(text)

    def finish(self) -> None:
        """Do nothing."""
