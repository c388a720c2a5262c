"""Runs commands as a user does, on a workspace that the loop has been over."""

from __future__ import annotations

import atexit
import functools
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from closeloop.app import Workspace
from closeloop.cli.main import cli
from closeloop.stages import act, decide
from closeloop.tables import (
    ASSIGNMENT,
    ATTRIBUTION,
    BRIEF,
    BRONZE_FEEDBACK,
    ENRICHMENT,
    FEEDBACK,
    SIGNAL,
    THEME,
)
from closeloop.testing.example_rows import AT, attribution_row, brief_row, release_row, signal_row
from closeloop.testing.example_workspace import example_workspace

MINE, OTHER = "aaaaaaaa11112222", "bbbbbbbb11112222"
WORDS = {MINE: "money is gone and payment failed", OTHER: "upi does not work since the update"}


def command(folder: Path, *arguments: str, given: str | None = None) -> Result:
    """Run one command in the workspace."""
    return CliRunner().invoke(cli, ["-w", str(folder), "-q", *arguments], input=given)


def told(folder: Path, *arguments: str) -> Any:
    """Run one command with --json and return what it printed."""
    result = command(folder, *arguments, "--json")
    assert result.exit_code == 0, (result.output, result.exception)
    return json.loads(result.output)


def shop(folder: Path) -> Workspace:
    """Return a workspace with one open ticket (r1), one question for a person (s1), two authors."""
    shutil.copytree(_made_once(), folder, dirs_exist_ok=True)
    return example_workspace(folder, now=AT)


@functools.cache
def _made_once() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="closeloop-shop-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    workspace = example_workspace(folder, now=AT)
    with workspace.step("test") as step:
        for table in (BRONZE_FEEDBACK, FEEDBACK, ENRICHMENT, ASSIGNMENT):
            step.append(table, table.from_rows([_row(table.schema.names, i) for i in WORDS]))
        step.merge(
            THEME,
            THEME.from_rows(
                {"theme_id": t, "product": "shop-app", "label": t, "size": 9}
                for t in ("th-a", "th-b")
            ),
        )
        step.merge(SIGNAL, SIGNAL.from_rows([signal_row(), release_row()]))
        step.merge(BRIEF, BRIEF.from_rows([brief_row(), brief_row("r1", title="2.8.5 is bad")]))
        step.merge(ATTRIBUTION, ATTRIBUTION.from_rows([attribution_row("r1")]))
    for name, stage in ((decide.NAME, decide.run), (act.NAME, act.run)):
        with workspace.step(name) as step:
            stage(step)
    workspace.database.close()
    return folder


def _row(names: list[str], feedback_id: str) -> dict[str, Any]:
    row = {
        "bronze_id": f"b-{feedback_id}",
        "feedback_id": feedback_id,
        "revision": 1,
        "source": "play",
        "source_id": f"src-{feedback_id}",
        "product": "shop-app",
        "author": "Asha" if feedback_id == MINE else "Bob",
        "text": WORDS[feedback_id],
        "payload": json.dumps({"text": WORDS[feedback_id]}),
        "text_hash": feedback_id * 2,
        "masker": "1",
        "event_time": AT,
        "ingested_at": AT,
        "category": "payment failure",
        "category_confidence": 0.9,
        "content_free": False,
        "theme_id": "th-a",
        "theme_confidence": 0.8,
    }
    return {name: row.get(name) for name in names}
