"""A StepContext in memory, for tests of stages: no disk, no database, no model."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Self

from closeloop.domain.configuration import Configuration
from closeloop.engines.memory import MemoryEngine
from closeloop.ports import Embedder, Head, PairJudge, Recogniser, ThemeNamer, Writer
from closeloop.step import StepRun, StepServices
from closeloop.testing.configuration import example_configuration
from closeloop.testing.embedders import HashedWordEmbedder
from closeloop.testing.operations import InMemoryOperations
from closeloop.testing.progress import SilentProgress

TEST_KEY = bytes(range(32))


def _deterministic_writer() -> Writer:
    try:
        from closeloop.models.deterministic_writer import DeterministicWriter
    except ImportError:
        return None  # type: ignore[return-value]
    return DeterministicWriter()


class InMemoryContext(StepRun):
    """Runs stages one after another over the memory engine, committing each as the loop does.

    `as_step(name)` commits what was written and goes on as that step (with its own cursors);
    `next_pass(now=…)` does the same and moves the time.
    """

    def __init__(
        self,
        *,
        config: Configuration | None = None,
        now: datetime = datetime(2024, 3, 1, tzinfo=UTC),
        embedder: Embedder | None = None,
        writer: Writer | None = None,
        pair_judge: PairJudge | None = None,
        theme_namer: ThemeNamer | None = None,
        recogniser: Recogniser | None = None,
    ) -> None:
        chosen: Embedder = embedder or HashedWordEmbedder()
        self.engine = MemoryEngine()
        self.operations = InMemoryOperations()
        self.all_cursors: dict[str, dict[str, int]] = {}
        heads: dict[str, Head] = {}
        super().__init__(
            name="test",
            batch_id=1,
            now=now,
            services=StepServices(
                engine=self.engine,
                config=config or example_configuration(),
                make_embedder=lambda: chosen,
                writer=writer or _deterministic_writer(),
                token_key=TEST_KEY,
                progress=SilentProgress(),
                pair_judge=pair_judge,
                theme_namer=theme_namer,
                make_recogniser=lambda: recogniser,
            ),
            heads=heads,
            cursors={},
            open_ops=lambda: self.operations,
        )

    def as_step(self, name: str) -> Self:
        """Commit, and go on as the step of that name."""
        self._commit(name=name, now=self.now)
        return self

    def next_pass(self, *, now: datetime | None = None) -> Self:
        """Commit, and go on as the same step at a later time."""
        self._commit(name=self.name, now=now or self.now)
        return self

    def _commit(self, *, name: str, now: datetime) -> None:
        heads, cursors = self.settle()
        self.all_cursors[self.name] = cursors
        StepRun.__init__(
            self,
            name=name,
            batch_id=self.batch_id + 1,
            now=now,
            services=self.services,
            heads=heads,
            cursors=self.all_cursors.get(name, {}),
            open_ops=lambda: self.operations,
        )
