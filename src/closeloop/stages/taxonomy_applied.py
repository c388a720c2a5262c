"""Keeps which taxonomies were applied, when and by whom; the last of them files all texts."""

from __future__ import annotations

from closeloop.domain.taxonomy import Taxonomy
from closeloop.ports import StepContext
from closeloop.tables import TAXONOMY

ACTOR = "closeloop"
"""Applied the first taxonomy: before it no text was filed, so nothing moves."""


def note_first(context: StepContext) -> None:
    """Record the taxonomy of the files as the one that holds, where none was applied yet."""
    if context.rows(TAXONOMY, columns=["number"]).num_rows == 0:
        record_applied(context, context.offered_taxonomy, by=ACTOR, texts=0, moved=0)


def record_applied(
    context: StepContext, taxonomy: Taxonomy, *, by: str, texts: int, moved: int
) -> None:
    """Record that a taxonomy holds from now on, and how many texts it moved."""
    held = context.rows(TAXONOMY, columns=["number"]).column("number").to_pylist()
    row = {
        **taxonomy.as_record(),
        "number": max(held, default=0) + 1,
        "applied_at": context.now,
        "applied_by": by,
        "texts": texts,
        "moved": moved,
    }
    context.append(TAXONOMY, TAXONOMY.from_rows([row]))
