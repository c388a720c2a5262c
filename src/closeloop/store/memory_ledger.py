"""The ledger of a replay: kept in memory, since a replay that is killed starts anew."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, insert

from closeloop.ports import Head, StepCommit
from closeloop.store.database import Database
from closeloop.store.ledger import write_cursors, write_heads
from closeloop.store.schema import ledger_step
from closeloop.store.transaction import OpenTransaction


class MemoryLedger:
    """Counts steps and keeps heads and cursors; effects still go to a database of their own."""

    def __init__(self, database: Database, *, first_step_id: int = 1) -> None:
        self._database = database
        self._next = first_step_id
        self._heads: dict[str, Head] = {}
        self._cursors: dict[str, dict[str, int]] = {}

    def heads(self) -> dict[str, Head]:
        """Return the committed version of each table."""
        return dict(self._heads)

    def cursors(self, step: str) -> dict[str, int]:
        """Return what a step has consumed."""
        return dict(self._cursors.get(step, {}))

    def begin(self, step: str, *, as_of: datetime, started_at: datetime) -> int:  # noqa: ARG002
        """Return the next id."""
        self._next += 1
        return self._next

    def open(self) -> OpenTransaction:
        """Return the database side of a step; only effects reach the database."""
        return OpenTransaction(self._database, write=self._record, always=False)

    def unfinished(self) -> list[int]:
        """Return nothing: a replay that was killed has no tables."""
        return []

    def mark_undone(self, step_ids: Sequence[int], *, heads: dict[str, Head]) -> None:  # noqa: ARG002
        """Keep the heads after the undoing."""
        self._heads = dict(heads)

    def _record(self, _connection: Connection | None, commit: StepCommit) -> None:
        self._heads = dict(commit.heads)
        self._cursors[commit.step] = dict(commit.cursors)

    def persist(self, *, heads: dict[str, Head], as_of: datetime, finished_at: datetime) -> None:
        """Write heads and cursors to the database, so that readers and later runs go on there.

        The newest id is recorded too: ids given out later must be larger.
        """
        with self._database.begin() as connection:
            connection.execute(
                insert(ledger_step).values(
                    step_id=self._next,
                    step="replay",
                    status="committed",
                    as_of=as_of,
                    started_at=finished_at,
                    finished_at=finished_at,
                )
            )
            write_heads(connection, heads)
            for step, cursors in sorted(self._cursors.items()):
                write_cursors(connection, step, cursors)
