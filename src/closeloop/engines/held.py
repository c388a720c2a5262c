"""Keeps small tables of an engine that is far away in the driver's memory: a version never changes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from closeloop.engines.filters import expression
from closeloop.engines.spark import SparkEngine
from closeloop.ports import BatchFunction, Condition, Transaction
from closeloop.tables import Table

SMALL_BYTES = 16_000_000
"""A table of so many bytes on disk is read whole, once a version: to ask Spark for a part of it
takes a job of .2 s and more, and a pass of the loop asks some hundred times."""
HELD_BYTES = 256_000_000


class HeldEngine:
    """A Spark engine that answers from memory what it wrote or read of small tables.

    Writes go to Spark, always; what is held is a copy of one version, and goes with the next that
    is not an append or a replacement.
    """

    def __init__(self, engine: SparkEngine) -> None:
        self._engine = engine
        self._held: OrderedDict[tuple[str, int], pa.Table] = OrderedDict()

    @property
    def session(self) -> Any:
        """The Spark session."""
        return self._engine.session

    def version(self, table: Table) -> int | None:
        """Return the newest version, or None where the table does not exist yet."""
        return self._engine.version(table)

    def read(
        self,
        table: Table,
        *,
        version: int | None,
        columns: Sequence[str] | None = None,
        where: Sequence[Condition] = (),
    ) -> pa.Table:
        """Return the rows of a version (None: a table without rows)."""
        if version is None:
            return self._engine.read(table, version=None, columns=columns)
        rows = self._held.get((table.full_name, version))
        if rows is None:
            size = self._engine.bytes_on_disk(table)
            if size is None or size > SMALL_BYTES:
                return self._engine.read(table, version=version, columns=columns, where=where)
            rows = self._engine.read(table, version=version)
            self._hold(table, version, rows)
        wanted = list(columns) if columns is not None else table.schema.names
        condition = expression(where, table)
        if condition is None:
            return rows.select(wanted)
        tested = [name for name, _, _ in where if name not in wanted]
        return rows.select([*wanted, *dict.fromkeys(tested)]).filter(condition).select(wanted)

    def append(self, table: Table, rows: pa.Table, *, transaction: Transaction) -> int:
        """Add rows; return the new version. A transaction already written changes nothing."""
        before = self._engine.version(table)
        version = self._engine.append(table, rows, transaction=transaction)
        held = table.empty() if before is None else self._held.get((table.full_name, before))
        if held is not None and version == (0 if before is None else before + 1):
            self._hold(table, version, pa.concat_tables([held, table.conform(rows)]))
        return version

    def merge(self, table: Table, rows: pa.Table, *, transaction: Transaction) -> int:
        """Put rows in place of those with the same key, and add the others."""
        return self._engine.merge(table, rows, transaction=transaction)

    def replace(self, table: Table, rows: pa.Table, *, transaction: Transaction) -> int:
        """Put rows in place of all that is there."""
        before = self._engine.version(table)
        version = self._engine.replace(table, rows, transaction=transaction)
        if version == (0 if before is None else before + 1):
            self._hold(table, version, table.conform(rows))
        return version

    def delete(
        self, table: Table, where: Sequence[Condition], *, transaction: Transaction
    ) -> int | None:
        """Delete the rows for which all conditions hold; None where the table does not exist."""
        return self._engine.delete(table, where, transaction=transaction)

    def restore(self, table: Table, version: int | None) -> None:
        """Go back to a version (None: no rows), as a new commit."""
        self._engine.restore(table, version)

    def forget(self, table: Table) -> None:
        """Remove from disk, and from memory, what no current row needs."""
        self._engine.forget(table)
        newest = self._engine.version(table)
        for key in [k for k in self._held if k[0] == table.full_name and k[1] != newest]:
            del self._held[key]

    def map_batches(self, function: BatchFunction, rows: pa.Table, *, batch_size: int) -> pa.Table:
        """Run a batch step over rows."""
        return self._engine.map_batches(function, rows, batch_size=batch_size)

    def sql(
        self, query: str, *, versions: dict[str, int | None], parameters: Sequence[Any] = ()
    ) -> pa.Table:
        """Run SQL over the tables at the given versions (by full name)."""
        return self._engine.sql(query, versions=versions, parameters=parameters)

    def _hold(self, table: Table, version: int, rows: pa.Table) -> None:
        # The version before may still be read: it is the committed one until the step commits.
        for key in [k for k in self._held if k[0] == table.full_name and k[1] < version - 1]:
            del self._held[key]
        if rows.nbytes > 4 * SMALL_BYTES:
            return
        self._held[(table.full_name, version)] = rows
        while sum(held.nbytes for held in self._held.values()) > HELD_BYTES:
            self._held.popitem(last=False)
