"""The run ledger in the operational database: the commit point of every step."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from closeloop.ports import Head, StepCommit
from closeloop.store.database import Database
from closeloop.store.schema import cursor, ledger_step, table_head
from closeloop.store.transaction import OpenTransaction


class SqlLedger:
    """Keeps heads, cursors and steps beside tickets and decisions, so that they commit together."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def heads(self) -> dict[str, Head]:
        """Return the committed version of each table."""
        with self._database.read() as connection:
            rows = connection.execute(select(table_head)).mappings().all()
        return {r["table_name"]: Head(version=r["version"], step_id=r["step_id"]) for r in rows}

    def cursors(self, step: str) -> dict[str, int]:
        """Return what a step has consumed: table to ledger step."""
        with self._database.read() as connection:
            rows = connection.execute(select(cursor).where(cursor.c.step == step)).mappings().all()
        return {r["table_name"]: int(r["batch_id"]) for r in rows}

    def begin(self, step: str, *, as_of: datetime, started_at: datetime) -> int:
        """Record that a step runs; return its id, larger than every one before."""
        with self._database.begin() as connection:
            result = connection.execute(
                insert(ledger_step).values(
                    step=step, status="running", as_of=as_of, started_at=started_at
                )
            )
            key = result.inserted_primary_key
        assert key is not None
        return int(key[0])

    def open(self) -> OpenTransaction:
        """Return the database side of a step: effects and record commit together."""
        return OpenTransaction(self._database, write=_write_commit, always=True)

    def unfinished(self) -> list[int]:
        """Return the ids of steps that began and neither committed nor were undone."""
        with self._database.read() as connection:
            query = select(ledger_step.c.step_id).where(ledger_step.c.status == "running")
            return [int(row[0]) for row in connection.execute(query)]

    def mark_undone(self, step_ids: Sequence[int], *, heads: dict[str, Head]) -> None:
        """Record that steps were undone, with the heads after the undoing."""
        with self._database.begin() as connection:
            connection.execute(
                update(ledger_step)
                .where(ledger_step.c.step_id.in_(list(step_ids)))
                .values(status="undone")
            )
            write_heads(connection, heads)


def _write_commit(connection: Connection | None, record: StepCommit) -> None:
    assert connection is not None
    produced = {t: h.version for t, h in record.heads.items() if h.step_id == record.step_id}
    write_heads(connection, record.heads)
    write_cursors(connection, record.step, record.cursors)
    connection.execute(
        update(ledger_step)
        .where(ledger_step.c.step_id == record.step_id)
        .values(
            status="committed",
            finished_at=record.finished_at,
            inputs=json.dumps(record.cursors, sort_keys=True),
            outputs=json.dumps(produced, sort_keys=True),
            counts=json.dumps(record.counts, sort_keys=True),
        )
    )


def write_heads(connection: Connection, heads: dict[str, Head]) -> None:
    """Put the committed version of each table."""
    connection.execute(delete(table_head))
    if heads:
        connection.execute(
            insert(table_head),
            [
                {"table_name": t, "version": h.version, "step_id": h.step_id}
                for t, h in sorted(heads.items())
            ],
        )


def write_cursors(connection: Connection, step: str, cursors: dict[str, int]) -> None:
    """Put what a step has consumed."""
    connection.execute(delete(cursor).where(cursor.c.step == step))
    if cursors:
        connection.execute(
            insert(cursor),
            [{"step": step, "table_name": t, "batch_id": b} for t, b in sorted(cursors.items())],
        )
