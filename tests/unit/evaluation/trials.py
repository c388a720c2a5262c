"""Labelled files and a runner over memory, with an embedder that needs no weights."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from closeloop.domain.configuration import Configuration
from closeloop.engines.memory import MemoryEngine
from closeloop.evaluation.labelled import Columns, Labelled, read_labelled
from closeloop.models.deterministic_writer import DeterministicWriter
from closeloop.ports import Recogniser
from closeloop.runner import Runner
from closeloop.step import StepServices
from closeloop.store.database import Database
from closeloop.store.memory_ledger import MemoryLedger
from closeloop.testing.configuration import example_configuration
from closeloop.testing.embedders import HashedWordEmbedder
from closeloop.testing.example_rows import AT
from closeloop.testing.example_workspace import FixedClock
from closeloop.testing.progress import SilentProgress


@contextmanager
def memory_runner(
    config: Configuration | None = None, *, recogniser: Recogniser | None = None
) -> Iterator[Runner]:
    """Yield a runner over empty tables."""
    embedder = HashedWordEmbedder()
    database = Database("sqlite://")
    try:
        yield Runner(
            services=StepServices(
                engine=MemoryEngine(keep=2),
                config=config or example_configuration(),
                make_embedder=lambda: embedder,
                writer=DeterministicWriter(),
                token_key=bytes(32),
                progress=SilentProgress(),
                make_recogniser=lambda: recogniser,
            ),
            ledger=MemoryLedger(database),
            clock=FixedClock(AT),
        )
    finally:
        database.close()


def jsonl(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """Write rows as JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def read(path: Path, *, sample: int | None = None, seed: int = 7, **columns: str) -> Labelled:
    """Read a labelled file with the columns text and label, and others as named."""
    return read_labelled(
        path,
        Columns(**{"text": "text", "label": "label", **columns}),
        format_name=None,
        encoding=None,
        sample=sample,
        seed=seed,
        progress=SilentProgress(),
    )


def labelled(folder: Path, rows: Sequence[tuple[str, Any]], **columns: str) -> Labelled:
    """Return (text, label) rows by way of a file."""
    given = [{"text": text, "label": label} for text, label in rows]
    return read(jsonl(folder / "labelled.jsonl", given), **columns)
