"""The engine of a cluster: Delta tables written and queried by Spark, classic or over Connect."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from closeloop.engines.keys import last_of_each_key
from closeloop.engines.spark_batches import CARRIER, dense, over_carried, packed, unpacked
from closeloop.engines.spark_filters import as_match, filtered
from closeloop.engines.spark_names import Names, quoted
from closeloop.engines.spark_session import spark_faults
from closeloop.engines.spark_sql import ON_FILES, run_query, spark_type
from closeloop.engines.storage import plain_columns
from closeloop.errors import OutsideError, QueryError
from closeloop.ports import BatchFunction, Condition, Transaction
from closeloop.tables import Table

ROWS_A_FILE = 200_000
"""So many rows are written as one file; Spark would write one for each core."""

ROWS_A_TASK = 10_000
"""The most rows in a task of a batch step: .2 s of refining, against some .02 s to start a task."""

APP_ID = "spark.databricks.delta.write.txnAppId"
APP_VERSION = "spark.databricks.delta.write.txnVersion"
UNCHECKED_VACUUM = "spark.databricks.delta.retentionDurationCheck.enabled"


class SparkEngine:
    """Holds tables where `names` says, through the DataFrame API alone, so that Connect will do.

    Rows that a stage asks for come to the driver; `map_batches` spreads a step over the executors.
    """

    def __init__(self, session: Any, names: Names) -> None:
        self._session = session
        self._names = names

    @property
    def session(self) -> Any:
        """The Spark session."""
        return self._session

    def version(self, table: Table) -> int | None:
        """Return the newest version, or None where the table does not exist yet."""
        return self._names.newest(self._session, table)

    def read(
        self,
        table: Table,
        *,
        version: int | None,
        columns: Sequence[str] | None = None,
        where: Sequence[Condition] = (),
    ) -> pa.Table:
        """Return the rows of a version (None: a table without rows)."""
        wanted = list(columns) if columns is not None else table.schema.names
        schema = pa.schema([table.schema.field(name) for name in wanted])
        if version is None:
            return schema.empty_table()
        with self._told(table, "read"):
            return self._frame(table, version, wanted, where).toArrow().cast(schema)

    def bytes_on_disk(self, table: Table) -> int | None:
        """Return about how large the table is, None where that is not known."""
        return self._names.bytes_on_disk(self._session, table)

    def append(self, table: Table, rows: pa.Table, *, transaction: Transaction) -> int:
        """Add rows; return the new version. A transaction already written changes nothing."""
        return self._write(table, table.conform(rows), "append", transaction)

    def merge(self, table: Table, rows: pa.Table, *, transaction: Transaction) -> int:
        """Put rows in place of those with the same key, and add the others."""
        rows = last_of_each_key(table.conform(rows), table.key)
        if self.version(table) is None:
            return self._write(table, rows, "append", transaction)
        same = " AND ".join(f"target.{quoted(k)} <=> source.{quoted(k)}" for k in table.key)
        then = "WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *"
        return self._merge(table, rows, same, then, transaction)

    def replace(self, table: Table, rows: pa.Table, *, transaction: Transaction) -> int:
        """Put rows in place of all that is there."""
        return self._write(table, table.conform(rows), "overwrite", transaction)

    def delete(
        self, table: Table, where: Sequence[Condition], *, transaction: Transaction
    ) -> int | None:
        """Delete the rows for which all conditions hold; None where the table does not exist."""
        current = self.version(table)
        if current is None or not where:
            return current
        match, values = as_match(where, table)
        return self._merge(table, values, match, "WHEN MATCHED THEN DELETE", transaction)

    def restore(self, table: Table, version: int | None) -> None:
        """Go back to a version (None: no rows), as a new commit."""
        current = self.version(table)
        if current is None or current == version:
            return
        with self._told(table, "restored"):
            if version is None:
                frame = self._session.createDataFrame(table.empty(), schema=_ddl(table))
                self._names.save(self._writer(frame, table, "overwrite", None), table)
            else:
                name = self._names.identifier(table)
                self._session.sql(f"RESTORE TABLE {name} TO VERSION AS OF {int(version)}")

    def forget(self, table: Table) -> None:
        """Remove from disk what no current row needs, so that deleted rows are gone for good."""
        if self.version(table) is None:
            return
        with self._told(table, "vacuumed"), self._set({UNCHECKED_VACUUM: "false"}):
            self._session.sql(f"VACUUM {self._names.identifier(table)} RETAIN 0 HOURS")

    def map_batches(self, function: BatchFunction, rows: pa.Table, *, batch_size: int) -> pa.Table:
        """Run a batch step over rows, its batches spread over the executors.

        A batch may be smaller than asked: so many cores can share the work.
        """
        carried = packed(rows, batch_size=min(batch_size, ROWS_A_TASK))
        if carried.num_rows == 1:
            # One batch is no work to share; it would only travel.
            return pa.Table.from_batches(
                [function(b) for b in unpacked(carried).combine_chunks().to_batches()]
                or [function(pa.RecordBatch.from_pylist([], schema=rows.schema))]
            )
        # In turn, not by a hash of the number: that would give one task two batches, another none.
        frame = self._session.createDataFrame(carried).repartition(carried.num_rows)
        return unpacked(frame.mapInArrow(over_carried(function), CARRIER).toArrow())

    def sql(
        self, query: str, *, versions: dict[str, int | None], parameters: Sequence[Any] = ()
    ) -> pa.Table:
        """Run SQL over the tables at the given versions (by full name)."""
        with self._set({ON_FILES: "false"}):
            return run_query(
                self._session, query, self._names, versions=versions, parameters=parameters
            )

    def _frame(
        self, table: Table, version: int, columns: Sequence[str], where: Sequence[Condition]
    ) -> Any:
        from pyspark.sql import functions

        frame = self._names.load(self._session, table, version)
        # A table that an earlier release wrote may lack a column: it is null there.
        held = set(frame.columns)
        for column in table.columns:
            if column.name not in held:
                null = functions.lit(None).cast(spark_type(column.type))
                frame = frame.withColumn(column.name, null)
        return filtered(frame, where, table, session=self._session).select(*columns)

    def _write(self, table: Table, rows: pa.Table, mode: str, transaction: Transaction) -> int:
        with self._told(table, "written"):
            frame = self._session.createDataFrame(dense(rows), schema=_ddl(table))
            frame = frame.coalesce(1 + rows.num_rows // ROWS_A_FILE)
            self._names.save(self._writer(frame, table, mode, transaction), table)
        return self._newest(table)

    def _writer(self, frame: Any, table: Table, mode: str, transaction: Transaction | None) -> Any:
        writer = frame.write.format("delta").mode(mode)
        writer = writer.option("mergeSchema" if mode == "append" else "overwriteSchema", "true")
        # Delta's log holds each file's smallest and largest values: never those of texts.
        columns = ",".join(plain_columns(table))
        if self.version(table) is None:
            writer = writer.option("delta.dataSkippingStatsColumns", columns)
        if transaction is None:
            return writer
        return writer.option("txnAppId", transaction.app_id).option(
            "txnVersion", str(transaction.version)
        )

    def _merge(
        self, table: Table, rows: pa.Table, match: str, then: str, transaction: Transaction
    ) -> int:
        view = f"closeloop_{secrets.token_hex(8)}"
        named = {APP_ID: transaction.app_id, APP_VERSION: str(transaction.version)}
        with self._told(table, "written"), self._set(named):
            self._session.createDataFrame(dense(rows)).createOrReplaceTempView(view)
            try:
                self._session.sql(
                    f"MERGE WITH SCHEMA EVOLUTION INTO {self._names.identifier(table)} AS target "
                    f"USING {view} AS source ON {match} {then}"
                )
            finally:
                self._session.catalog.dropTempView(view)
        return self._newest(table)

    def _newest(self, table: Table) -> int:
        newest = self.version(table)
        assert newest is not None
        return newest

    @contextmanager
    def _set(self, values: dict[str, str]) -> Iterator[None]:
        """Hold settings of the session: Delta takes a merge's transaction from nowhere else."""
        before = {name: self._session.conf.get(name, None) for name in values}
        for name, value in values.items():
            self._session.conf.set(name, value)
        try:
            yield
        finally:
            for name, held in before.items():
                if held is None:
                    self._session.conf.unset(name)
                else:
                    self._session.conf.set(name, held)

    @contextmanager
    def _told(self, table: Table, what: str) -> Iterator[None]:
        """Turn Spark's errors into ours, with the first line of the reason."""
        try:
            yield
        except QueryError:
            raise
        except spark_faults() as error:
            reason = str(error).strip().partition("\n")[0]
            raise OutsideError(
                f"table {table.full_name} can't be {what} by Spark: {reason}",
                hint="'closeloop doctor' looks at the session; the cluster's log says more",
            ) from error


def _ddl(table: Table) -> str:
    return ", ".join(f"{quoted(c.name)} {spark_type(c.type)}" for c in table.columns)
