"""A workspace that stands before its brief step, a service that writes its briefs, and what it left."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from closeloop.app import Workspace
from closeloop.domain.brief import FactSheet
from closeloop.loop import STAGES, PassReport
from closeloop.stages import brief
from closeloop.stages.fact_sheet import from_json
from closeloop.tables import TABLES
from closeloop.testing.embedders import HashedWordEmbedder
from closeloop.testing.example_workspace import example_workspace
from closeloop.testing.openai_server import FakeOpenAI
from tests.acceptance.bad_day import NOW, prepare

BY_MODEL = frozenset({"gold.brief", "gold.model_call", "silver.state", "gold.audit"})
"""Tables that may differ by what a model did; all others may not."""


def attributed(folder: Path) -> None:
    """Make a workspace in which all steps before the brief have run."""
    prepare(folder)
    workspace = opened(folder)
    with workspace.hold():
        for name, stage in STAGES:
            if name == brief.NAME:
                break
            with workspace.runner.step(name, now=NOW) as step:
                stage(step)
    workspace.close()


def opened(folder: Path) -> Workspace:
    """Open a workspace with the time and the embedder of the tests."""
    workspace = example_workspace(folder, now=NOW)
    workspace.models._embedder = HashedWordEmbedder()
    return workspace


def configure(folder: Path, fake: FakeOpenAI, **writer: Any) -> None:
    """Let a service write the briefs of a workspace."""
    given = {
        "kind": "azure_openai",
        "endpoint": fake.endpoint,
        "deployment": "gpt-5-mini",
        "api_key": "${env:PLANTED_KEY}",
        "timeout": "0.5s",
    } | writer
    path = folder / "closeloop.yaml"
    path.write_text(f"{path.read_text()}writer: {json.dumps(given)}\n")


def run(folder: Path) -> PassReport:
    """Run the loop once."""
    workspace = opened(folder)
    try:
        return workspace.run()
    finally:
        workspace.close()


def query(folder: Path, sql: str) -> list[dict[str, Any]]:
    """Return the rows of a query."""
    workspace = opened(folder)
    try:
        return workspace.query(sql).to_pylist()
    finally:
        workspace.close()


def sheets_of(workspace: Workspace) -> list[FactSheet]:
    """Return the fact sheets of a workspace's briefs."""
    rows = workspace.query("SELECT facts FROM gold.brief").to_pylist()
    return [from_json(row["facts"]) for row in rows]


def left_untouched(folder: Path) -> dict[str, Any]:
    """Return all that no model has a say in: tables, decisions, reviews, tickets, outbox.

    The words of a review's or a ticket's title and text are the brief's, and left out.
    """
    workspace = opened(folder)
    found: dict[str, Any] = {}
    for table in TABLES:
        if table.full_name in BY_MODEL:
            continue
        names = [c.name for c in table.columns if not c.operational]
        rows = workspace.committed(table, columns=names).to_pylist()
        found[table.full_name] = sorted(json.dumps(r, default=str, sort_keys=True) for r in rows)
    with workspace.database.transaction() as operations:
        found["decisions"] = sorted(map(repr, operations.decisions()))
        found["reviews"] = sorted(repr(replace(r, title="")) for r in operations.reviews())
        found["tickets"] = sorted(repr(replace(t, title="", body="")) for t in operations.tickets())
        found["outbox"] = sorted(map(repr, operations.outbox()))
    workspace.close()
    return found
