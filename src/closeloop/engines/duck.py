"""Runs SQL over Arrow relations with DuckDB: locked down, in UTC, views included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds

from closeloop.errors import QueryError, redact
from closeloop.stages.views import VIEWS


def run_sql(
    query: str, relations: Mapping[str, pa.Table | ds.Dataset], *, parameters: Sequence[Any] = ()
) -> pa.Table:
    """Return the result of one query over relations named `layer.table`, and over the gold views.

    The query can't reach files, the network or other databases, and can't change settings.
    Raises QueryError with DuckDB's reason.
    """
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET python_enable_replacements = false")
        for layer in sorted({name.split(".")[0] for name in relations}):
            connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{layer}"')
        for name, relation in relations.items():
            layer, table = name.split(".")
            connection.register(f"{layer}__{table}", relation)
            connection.execute(
                f'CREATE VIEW "{layer}"."{table}" AS SELECT * FROM "{layer}__{table}"'  # noqa: S608
            )
        for view in VIEWS:
            connection.execute(view.sql)
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        try:
            result = connection.sql(query, params=list(parameters))
            # A statement that is no query (SET, COPY) gives no relation.
            return pa.table({}) if result is None else result.to_arrow_table()
        except duckdb.Error as error:
            raise QueryError(
                f"the query was refused: {redact(error, keep=600)}",
                hint="'closeloop query --tables' lists tables, views and columns",
            ) from error
