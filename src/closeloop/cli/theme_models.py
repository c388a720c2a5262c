"""Which embedding model each product's themes are of, and when they were moved, for `closeloop models`."""

from __future__ import annotations

from dataclasses import dataclass

from closeloop.app import Workspace
from closeloop.stages.theme_memory import ThemeMemory
from closeloop.stages.theme_migrate import ACTION
from closeloop.stages.theme_recall import MEMORY
from closeloop.tables import STATE


@dataclass(frozen=True, slots=True)
class ThemeModel:
    """One product's themes: how many, of which model, whether the next run moves them.

    `moved` says when and how they came to this model last ("" where they began with it).
    """

    product: str
    themes: int
    model: str
    current: bool
    moved: str


def theme_models(workspace: Workspace, *, model_id: str) -> list[ThemeModel]:
    """Return a line for each product with themes, `model_id` being the configured model."""
    rows = workspace.committed(
        STATE, columns=["scope", "version", "blob"], where=[("name", "=", MEMORY)]
    ).to_pylist()
    newest = {row["scope"]: row for row in sorted(rows, key=lambda row: int(row["version"]))}
    with workspace.database.transaction() as operations:
        moves = {
            entry.subject: f"{entry.made_at:%Y-%m-%d %H:%M} {entry.detail}"
            for entry in operations.audit_entries()
            if entry.action == ACTION
        }
    found = []
    for product, row in sorted(newest.items()):
        memory = ThemeMemory.held(bytes(row["blob"]))
        if memory is None:
            continue
        current = memory.model_id == model_id
        moved = moves.get(product, "")
        found.append(ThemeModel(product, len(memory.ids), memory.model_id, current, moved))
    return found


def told(line: ThemeModel, *, model_id: str) -> str:
    """Return what people read of one product."""
    text = f"themes of {line.product}: {line.themes}, by {line.model}"
    if not line.current:
        return f"{text}; the next run moves them to {model_id} (ids, names and corrections stay)"
    return f"{text}; moved {line.moved}" if line.moved else text
