"""Turns conditions into Spark columns, so that Delta leaves out files that can't hold a match."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import pyarrow as pa

from closeloop.engines.spark_names import quoted
from closeloop.errors import UsageError
from closeloop.ports import Condition
from closeloop.tables import Table

MAX_LISTED = 500
"""More values than this of an `in` are joined as rows: a longer list is a plan that takes longer
to make than to run."""

COMPARISONS = {"=", "!=", "<", "<=", ">", ">="}


def filtered(frame: Any, conditions: Sequence[Condition], table: Table, *, session: Any) -> Any:
    """Return the rows of a DataFrame for which all conditions hold; values never become SQL."""
    from pyspark.sql import functions

    for column, operator, value in conditions:
        field = frame[column]
        if operator == "in":
            values = pa.array(list(value), table.schema.field(column).type)
            if len(values) > MAX_LISTED:
                listed = session.createDataFrame(pa.table({column: values.unique()}))
                frame = frame.join(functions.broadcast(listed), column, "left_semi")
            else:
                frame = frame.filter(field.isin([functions.lit(v) for v in values.to_pylist()]))
            continue
        if operator not in COMPARISONS:
            raise UsageError(f"unknown operator {operator!r} in a condition on {column}")
        if value is None and operator in ("=", "!="):
            frame = frame.filter(field.isNull() if operator == "=" else field.isNotNull())
            continue
        literal = functions.lit(pa.scalar(value).cast(table.schema.field(column).type).as_py())
        frame = frame.filter(_compared(field, operator, literal))
    return frame


def _compared(field: Any, operator: str, value: Any) -> Any:
    match operator:
        case "=":
            return field == value
        case "!=":
            return field != value
        case "<":
            return field < value
        case "<=":
            return field <= value
        case ">":
            return field > value
        case _:
            return field >= value


def as_match(conditions: Sequence[Condition], table: Table) -> tuple[str, pa.Table]:
    """Return the conditions as the ON of a MERGE and the rows that it is matched with.

    DELETE takes no parameters, a MERGE takes a DataFrame: so values stay values. A row is matched
    once at most: the rows are all combinations of the distinct values asked for.
    """
    clauses: list[str] = []
    columns: list[pa.Array] = []
    for column, operator, value in conditions:
        name = f"target.{quoted(column)}"
        type_ = table.schema.field(column).type
        if operator == "in":
            columns.append(pa.array(list(value), type_).drop_null().unique())
            clauses.append(f"{name} = source.v{len(columns) - 1}")
        elif operator not in COMPARISONS:
            raise UsageError(f"unknown operator {operator!r} in a condition on {column}")
        elif value is None and operator in ("=", "!="):
            clauses.append(f"{name} IS {'NULL' if operator == '=' else 'NOT NULL'}")
        else:
            columns.append(pa.array([pa.scalar(value).cast(type_).as_py()], type_))
            clauses.append(f"{name} {operator} source.v{len(columns) - 1}")
    places = list(product(*(range(len(c)) for c in columns)))
    arrays = [
        column.take(pa.array([p[i] for p in places], pa.int64()))
        for i, column in enumerate(columns)
    ]
    rows = {f"v{i}": array for i, array in enumerate(arrays)}
    return " AND ".join(clauses), pa.table(rows or {"one": pa.array([1], pa.int64())})
