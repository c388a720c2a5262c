"""Runs queries on Spark over pinned versions and the gold views: one SELECT, nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from closeloop.engines.spark_names import Names, quoted
from closeloop.engines.spark_parameters import bound
from closeloop.engines.spark_session import spark_faults
from closeloop.errors import QueryError, redact
from closeloop.stages.views import VIEWS
from closeloop.tables import TABLES, Table

CALLS_OUT = re.compile(r"(?i)\b(reflect|try_reflect|java_method|identifier)\b")
"""Functions that call any Java method, and the clause that makes a name out of text."""

ON_FILES = "spark.sql.runSQLOnFiles"
"""Whether a query may name a file in place of a table."""


def run_query(
    session: Any,
    query: str,
    names: Names,
    *,
    versions: Mapping[str, int | None],
    parameters: Sequence[Any] = (),
) -> pa.Table:
    """Return the result of one query over the tables at their versions, and over the gold views.

    The query is put in parentheses, so that only a SELECT can stand there. That it may not name
    files is the caller's to set (ON_FILES). Raises QueryError with Spark's reason.
    """
    word = CALLS_OUT.search(query)
    if word is not None:
        raise QueryError(
            f"the query was refused: {word[1]!r} may not occur in it",
            hint="give a text that holds this word as a parameter",
        )
    names.enter(session)
    _define(session, query, names, versions)
    try:
        # The query is the caller's own; what it may do is bounded above and by the parentheses.
        whole = f"SELECT * FROM (\n{bound(query, parameters)}\n)"  # noqa: S608
        return session.sql(whole).toArrow()
    except spark_faults() as error:
        raise QueryError(
            f"the query was refused: {redact(str(error).partition(' JVM stacktrace')[0], keep=600)}",
            hint="'closeloop query --tables' lists tables, views and columns",
        ) from error


def _define(session: Any, query: str, names: Names, versions: Mapping[str, int | None]) -> None:
    """Make the views that a query names, by it or by one another, and the tables beneath them."""
    text = query.lower()
    wanted = []
    for view in reversed(VIEWS):
        if view.full_name in text:
            wanted.append(view)
            text += view.select.lower()
    for layer in ("bronze", "silver", "gold"):
        session.sql(f"CREATE SCHEMA IF NOT EXISTS {layer}")
    for table in TABLES:
        if table.full_name in text:
            session.sql(_pinned(session, table, names, versions.get(table.full_name)))
    for view in reversed(wanted):
        session.sql(view.sql)


def _pinned(session: Any, table: Table, names: Names, version: int | None) -> str:
    view = f"CREATE OR REPLACE VIEW {table.layer}.{quoted(table.name)} AS SELECT "
    if version is None:
        columns = (f"CAST(NULL AS {spark_type(c.type)}) AS {quoted(c.name)}" for c in table.columns)
        return view + ", ".join(columns) + " WHERE false"
    name = names.publish(session, table)
    held = set(session.table(name).columns)
    columns = (
        quoted(c.name)
        if c.name in held
        else f"CAST(NULL AS {spark_type(c.type)}) AS {quoted(c.name)}"
        for c in table.columns
    )
    return view + ", ".join(columns) + f" FROM {name} VERSION AS OF {int(version)}"


_SIMPLE = {
    pa.string(): "string",
    pa.int64(): "bigint",
    pa.int32(): "int",
    pa.float64(): "double",
    pa.float32(): "float",
    pa.bool_(): "boolean",
    pa.binary(): "binary",
}


def spark_type(type_: pa.DataType) -> str:
    """Return the Spark SQL name of a column's Arrow type. Raises TypeError for one not in use."""
    if type_ in _SIMPLE:
        return _SIMPLE[type_]
    if pa.types.is_timestamp(type_):
        return "timestamp"
    if pa.types.is_date(type_):
        return "date"
    if pa.types.is_list(type_):
        return f"array<{spark_type(type_.value_type)}>"
    if pa.types.is_struct(type_):
        fields = (f"{quoted(f.name)}: {spark_type(f.type)}" for f in type_)
        return f"struct<{', '.join(fields)}>"
    raise TypeError(f"no Spark type is declared for {type_}")
