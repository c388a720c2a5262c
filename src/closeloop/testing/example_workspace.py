"""A workspace on disk for tests of commands: small configuration, rows put in without the loop."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from closeloop.app import Workspace
from closeloop.testing.progress import SilentProgress

FILES = {
    "closeloop.yaml": "products: [{id: shop-app}, {id: wallet}]\n",
    "taxonomy.yaml": (
        "categories:\n"
        "- {name: payment failure, description: money is stuck, examples: [payment failed]}\n"
        "- {name: broken UI, description: the screen is broken, examples: [buttons are dead]}\n"
        "- {name: praise, description: happy, examples: [great], complaint: false}\n"
    ),
    "owners.yaml": "rules: [{owner: payments-team, category: payment failure}]\n",
    "policy.yaml": (
        "rules:\n"
        "- {name: severe, action: ticket, severities: [P1, P2], require_fdr: true}\n"
        "- {name: the rest, action: digest}\n"
    ),
}


class FixedClock:
    """Shows one time."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def now(self) -> datetime:
        """Return the time."""
        return self._now


def example_workspace(folder: Path, *, now: datetime | None = None) -> Workspace:
    """Return a workspace in this folder; its files are written where they are absent."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in FILES.items():
        if not (folder / name).exists():
            (folder / name).write_text(text, encoding="utf-8")
    clock = FixedClock(now or datetime(2024, 3, 1, 12, tzinfo=UTC))
    return Workspace(folder, progress=SilentProgress(), clock=clock)
