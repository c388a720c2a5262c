"""The engine of one machine: Delta tables written by delta-rs, queried by DuckDB."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import (
    ColumnProperties,
    CommitProperties,
    DeltaTable,
    WriterProperties,
    write_deltalake,
)
from deltalake import Transaction as DeltaTransaction
from deltalake.exceptions import DeltaError, TableNotFoundError

from closeloop.engines.filters import expression, without
from closeloop.engines.keys import last_of_each_key, without_keys
from closeloop.engines.memory import run_batches
from closeloop.engines.storage import plain_columns
from closeloop.errors import REPAIR_MISSING, IntegrityError, OutsideError
from closeloop.ports import BatchFunction, Condition, Transaction
from closeloop.tables import TABLES, VECTOR, Table

REWRITE_UP_TO_ROWS = 50_000
"""Up to here a rewrite (.04 s) beats Delta's merge (1 s for 20k rows into 200k)."""


ROW_GROUP, KEYED_ROW_GROUP = 32_768, 8_192
"""Rows that are read at once, and left out at once. Tables with a row a text are read by ranges of
ids, which are then a few groups, not a whole file. 200,000 vectors are written in .46 s (one group a file: 1.05 s), a quarter of them read by a
range of ids in .11 s (.91 s)."""
VECTOR_ROW_GROUP = 1_024
"""Vectors are dear to read and are asked for by few ids: 50 of 200,000 take .14 s (in larger groups
.5 s), all of them as long as before."""
READ_AHEAD = {"batch_size": 8_192, "batch_readahead": 2, "fragment_readahead": 1}
"""Bounds what waits to be filtered. To find 3,000 of 400,000 vectors takes 300 MB and 1.0 s (with
Arrow's defaults and large groups 1.2 GB and 1.5 s)."""


def _properties(transaction: Transaction) -> CommitProperties:
    named = DeltaTransaction(transaction.app_id, transaction.version)
    return CommitProperties(app_transactions=[named])


def _writer(table: Table) -> WriterProperties:
    """Return how a table's files are laid out.

    Of vectors neither a dictionary of their numbers nor the largest one is of use: without them
    200,000 are written in .5 s instead of 1.2.
    """
    if all(c.type != VECTOR for c in table.columns):
        keyed = "feedback_id" in table.key
        return WriterProperties(max_row_group_size=KEYED_ROW_GROUP if keyed else ROW_GROUP)
    plain = [c.name for c in table.columns if not pa.types.is_list(c.type)]
    return WriterProperties(
        max_row_group_size=VECTOR_ROW_GROUP,
        default_column_properties=ColumnProperties(
            dictionary_enabled=False, statistics_enabled="NONE"
        ),
        column_properties=dict.fromkeys(plain, ColumnProperties(statistics_enabled="CHUNK")),
    )


def _storage(table: Table) -> dict[str, str | None]:
    return {"delta.dataSkippingStatsColumns": ",".join(plain_columns(table))}


class LocalEngine:
    """Holds one Delta table a folder under `root`/layer/name."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._open: dict[str, DeltaTable] = {}
        self._datasets: dict[str, tuple[int, ds.Dataset]] = {}

    def version(self, table: Table) -> int | None:
        """Return the newest version, or None where the table does not exist yet."""
        delta = self._delta(table)
        return None if delta is None else int(delta.version())

    def read(
        self,
        table: Table,
        *,
        version: int | None,
        columns: Sequence[str] | None = None,
        where: Sequence[Condition] = (),
    ) -> pa.Table:
        """Return the rows of a version (None: a table without rows).

        Raises IntegrityError where the table of a version is gone.
        """
        wanted = list(columns) if columns is not None else table.schema.names
        dataset = self._dataset(table, version)
        if dataset is None:
            return table.empty().select(wanted)
        try:
            rows = dataset.to_table(columns=wanted, filter=expression(where, table), **READ_AHEAD)
        except pa.ArrowNotImplementedError:
            # Delta's merge writes files with Arrow's view types, and beside files without them a
            # comparison of two columns is not resolved: then each column is cast first.
            filter_ = expression(where, table, cast=True)
            rows = dataset.to_table(columns=wanted, filter=filter_, **READ_AHEAD)
        schema = pa.schema([table.schema.field(name) for name in wanted])
        return rows if rows.schema.equals(schema) else rows.cast(schema)

    def append(self, table: Table, rows: pa.Table, *, transaction: Transaction) -> int:
        """Add rows; return the new version. A transaction already written changes nothing."""
        return self._write(table, table.conform(rows), "append", transaction)

    def merge(self, table: Table, rows: pa.Table, *, transaction: Transaction) -> int:
        """Put rows in place of those with the same key, and add the others.

        Small tables are rewritten; in large ones Delta's merge touches only files with the keys.
        """
        rows = last_of_each_key(table.conform(rows), table.key)
        current = self.version(table)
        if current is None:
            return self._write(table, rows, "append", transaction)
        keys = self.read(table, version=current, columns=table.key)
        if without_keys(keys, rows, table.key).num_rows == keys.num_rows:
            return self._write(table, rows, "append", transaction)
        if keys.num_rows > REWRITE_UP_TO_ROWS:
            return self._merge_large(table, rows, transaction)
        kept = without_keys(self.read(table, version=current), rows, table.key)
        return self._write(table, pa.concat_tables([kept, rows]), "overwrite", transaction)

    def _merge_large(self, table: Table, rows: pa.Table, transaction: Transaction) -> int:
        delta = self._delta(table)
        assert delta is not None
        if self._already_written(delta, transaction):
            return int(delta.version())
        merge = delta.merge(
            rows,
            predicate=" AND ".join(f"target.{k} = source.{k}" for k in table.key),
            source_alias="source",
            target_alias="target",
            merge_schema=True,
            commit_properties=_properties(transaction),
            writer_properties=_writer(table),
        )
        merge.when_matched_update_all().when_not_matched_insert_all().execute()
        newest = self.version(table)
        assert newest is not None
        return newest

    def replace(self, table: Table, rows: pa.Table, *, transaction: Transaction) -> int:
        """Put rows in place of all that is there."""
        return self._write(table, table.conform(rows), "overwrite", transaction)

    def delete(
        self, table: Table, where: Sequence[Condition], *, transaction: Transaction
    ) -> int | None:
        """Delete the rows for which all conditions hold; None where the table does not exist."""
        current = self.version(table)
        condition = expression(where, table)
        if current is None or condition is None:
            return current
        existing = self.read(table, version=current)
        kept = without(existing, condition)
        if kept.num_rows == existing.num_rows:
            return current
        return self._write(table, kept, "overwrite", transaction)

    def restore(self, table: Table, version: int | None) -> None:
        """Go back to a version (None: no rows), as a new commit."""
        delta = self._delta(table)
        if delta is None:
            return
        if version is None:
            write_deltalake(
                self._path(table), table.empty(), mode="overwrite", configuration=_storage(table)
            )
        elif int(delta.version()) != version:
            delta.restore(version)
        self._open.pop(table.full_name, None)
        self._datasets.pop(table.full_name, None)

    def forget(self, table: Table) -> None:
        """Remove from disk what no current row needs, so that deleted rows are gone for good."""
        delta = self._delta(table)
        if delta is not None:
            delta.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)

    def map_batches(self, function: BatchFunction, rows: pa.Table, *, batch_size: int) -> pa.Table:
        """Run a batch step over rows."""
        return run_batches(function, rows, batch_size=batch_size)

    def sql(
        self, query: str, *, versions: dict[str, int | None], parameters: Sequence[Any] = ()
    ) -> pa.Table:
        """Run SQL over the tables at the given versions (by full name)."""
        from closeloop.engines.duck import run_sql

        relations: dict[str, pa.Table | ds.Dataset] = {}
        for table in TABLES:
            dataset = self._dataset(table, versions.get(table.full_name))
            relations[table.full_name] = table.empty() if dataset is None else dataset
        return run_sql(query, relations, parameters=parameters)

    def _path(self, table: Table) -> str:
        return str(self._root / table.layer / table.name)

    def _delta(self, table: Table) -> DeltaTable | None:
        held = self._open.get(table.full_name)
        try:
            if held is None:
                held = DeltaTable(self._path(table))
                self._open[table.full_name] = held
            else:
                held.update_incremental()
        except TableNotFoundError:
            return None
        except DeltaError as error:
            raise OutsideError(
                f"table {table.full_name} can't be opened: {error}",
                hint="check the disk and the folder's permissions; 'closeloop doctor' looks",
            ) from error
        return held

    def _dataset(self, table: Table, version: int | None) -> ds.Dataset | None:
        if version is None:
            return None
        held = self._datasets.get(table.full_name)
        if held is not None and held[0] == version:
            return held[1]
        delta = self._delta(table)
        if delta is None:
            # Read as empty, what people and steps put there would quietly be made anew.
            raise IntegrityError(
                f"table {table.full_name} is gone: version {version} was committed, and "
                f"{self._path(table)} holds no table",
                hint=REPAIR_MISSING,
            )
        if int(delta.version()) != version:
            delta = DeltaTable(self._path(table), version=version)
        dataset = delta.to_pyarrow_dataset()
        # A table that an earlier release wrote may lack a column: it is null there.
        lacking = [field for field in table.schema if field.name not in dataset.schema.names]
        if lacking:
            dataset = dataset.replace_schema(pa.schema([*dataset.schema, *lacking]))
        # A version never changes, and a step asks for the same one again and again.
        self._datasets[table.full_name] = (version, dataset)
        return dataset

    @staticmethod
    def _already_written(delta: DeltaTable, transaction: Transaction) -> bool:
        written = delta.transaction_version(transaction.app_id)
        return written is not None and written >= transaction.version

    def _write(
        self,
        table: Table,
        rows: pa.Table,
        mode: Literal["append", "overwrite"],
        transaction: Transaction,
    ) -> int:
        delta = self._delta(table)
        if delta is not None and self._already_written(delta, transaction):
            return int(delta.version())
        try:
            write_deltalake(
                delta if delta is not None else self._path(table),
                rows,
                mode=mode,
                configuration=_storage(table) if delta is None else None,
                schema_mode="merge" if mode == "append" else "overwrite",
                commit_properties=_properties(transaction),
                writer_properties=_writer(table),
            )
        except (DeltaError, OSError) as error:
            raise OutsideError(
                f"table {table.full_name} can't be written: {error}",
                hint="check free disk space and the folder's permissions, then run again",
            ) from error
        newest = self.version(table)
        assert newest is not None
        return newest
