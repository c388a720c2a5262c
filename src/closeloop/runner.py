"""Runs steps: each is begun in the ledger, done, and committed whole, or undone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from closeloop import tracing
from closeloop.ports import Clock, Head, Ledger, StepCommit
from closeloop.step import StepRun, StepServices
from closeloop.tables import TABLES


class Runner:
    """Gives out steps over one set of tables and one ledger.

    The order that makes a kill harmless: the ledger says that the step began; the tables are
    written, invisible to readers, who read at the committed heads; then one database transaction
    records heads, cursors and all effects. Killed before that, the tables are put back to their
    heads by `recover`; killed after it, the step is done.
    """

    def __init__(self, *, services: StepServices, ledger: Ledger, clock: Clock) -> None:
        self.services = services
        self.ledger = ledger
        self._clock = clock
        self._heads: dict[str, Head] | None = None

    def heads(self) -> dict[str, Head]:
        """Return the committed version of each table."""
        if self._heads is None:
            self._heads = self.ledger.heads()
        return self._heads

    def forget_heads(self) -> None:
        """Read the heads anew at the next step: another process may have committed since."""
        self._heads = None
        self.services.state_cache.clear()

    def recover(self) -> int:
        """Undo steps that a kill left unfinished; return how many there were."""
        unfinished = self.ledger.unfinished()
        if unfinished:
            self._undo(unfinished)
        return len(unfinished)

    @contextmanager
    def step(self, name: str, *, now: datetime) -> Iterator[StepRun]:
        """Yield the context of one step; commit at the end, undo on an error."""
        step_id = self.ledger.begin(name, as_of=now, started_at=self._clock.now())
        database = self.ledger.open()
        run = StepRun(
            name=name,
            batch_id=step_id,
            now=now,
            services=self.services,
            heads=self.heads(),
            cursors=self.ledger.cursors(name),
            open_ops=database.operations,
        )
        with tracing.span(f"step {name}", closeloop__step=name, closeloop__step_id=step_id) as span:
            try:
                yield run
                heads, cursors = run.settle()
                database.commit(
                    StepCommit(
                        step_id=step_id,
                        step=name,
                        finished_at=self._clock.now(),
                        heads=heads,
                        cursors=cursors,
                        counts=run.counts,
                    )
                )
            except BaseException:
                database.roll_back()
                self.services.state_cache.clear()
                self._undo([step_id])
                raise
            for figure, value in run.counts.items():
                span.set(f"closeloop.count.{figure}", value)
        self._heads = heads

    def _undo(self, step_ids: list[int]) -> None:
        engine = self.services.engine
        heads = dict(self.ledger.heads())
        for table in TABLES:
            head = heads.get(table.full_name)
            committed = head.version if head else None
            newest = engine.version(table)
            # A table that is gone keeps its head: whoever reads it next is told of the loss.
            if newest is None or newest == committed:
                continue
            engine.restore(table, committed)
            restored = engine.version(table)
            if head is not None:
                heads[table.full_name] = Head(version=restored, step_id=head.step_id)
        self.ledger.mark_undone(step_ids, heads=heads)
        self._heads = None
