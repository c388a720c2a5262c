"""Turns conditions into Arrow expressions, the same for every engine that holds Arrow data."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from closeloop.errors import UsageError
from closeloop.ports import Condition
from closeloop.tables import Table


def expression(
    conditions: Sequence[Condition], table: Table, *, cast: bool = False
) -> pc.Expression | None:
    """Return the conjunction of the conditions, or None where there are none.

    `cast` compares each column as the table declares it, whatever a file holds; then files can't
    be left out by their statistics.
    Raises UsageError for an operator that is not among those of ports.Condition.
    """
    result: pc.Expression | None = None
    for column, operator, value in conditions:
        type_ = table.schema.field(column).type
        field = pc.field(column).cast(type_) if cast else pc.field(column)
        one = _one(field, column, operator, value, type_)
        result = one if result is None else result & one
    return result


def holding(rows: pa.Table, conditions: Sequence[Condition], table: Table) -> pa.Table:
    """Return the rows of a table in memory for which all conditions hold.

    Same rows as `rows.filter(expression(…))`, which starts a plan with threads of its own for every
    call: 6 ms on a busy machine, for tables of a few rows, some twenty times a pass.
    """
    mask: pa.ChunkedArray | None = None
    for column, operator, value in conditions:
        one = _mask(rows.column(column), column, operator, value, table.schema.field(column).type)
        mask = one if mask is None else pc.and_kleene(mask, one)
    return rows if mask is None else rows.filter(mask)


def without(rows: pa.Table, condition: pc.Expression) -> pa.Table:
    """Return the rows for which a condition does not hold: a comparison with null does not."""
    positions = pa.array(range(rows.num_rows), pa.int64())
    held = rows.append_column("position__", positions).filter(condition).column("position__")
    if len(held) == 0:
        return rows
    return rows.filter(pc.invert(pc.is_in(positions, value_set=held.combine_chunks())))


_COMPARED = {
    "=": pc.equal,
    "!=": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}


def _mask(
    held: pa.ChunkedArray, column: str, operator: str, value: object, type_: pa.DataType
) -> pa.ChunkedArray:
    if operator == "in":
        return pc.is_in(held, value_set=pa.array(list(value), type_))  # type: ignore[call-overload]
    if value is None and operator in ("=", "!="):
        return pc.is_null(held) if operator == "=" else pc.is_valid(held)
    if operator not in _COMPARED:
        raise _unknown(operator, column)
    return _COMPARED[operator](held, _scalar(value, type_))


def _scalar(value: object, type_: pa.DataType) -> pa.Scalar:
    if isinstance(value, datetime):
        return pa.scalar(value, type_)
    return pa.scalar(value).cast(type_)


def _unknown(operator: str, column: str) -> UsageError:
    return UsageError(f"unknown operator {operator!r} in a condition on {column}")


def _one(
    field: pc.Expression, column: str, operator: str, value: object, type_: pa.DataType
) -> pc.Expression:
    if operator == "in":
        values = list(value)  # type: ignore[call-overload]
        return field.isin(pa.array(values, type_))
    if value is None and operator in ("=", "!="):
        return field.is_null() if operator == "=" else field.is_valid()
    scalar = _scalar(value, type_)
    match operator:
        case "=":
            return field == scalar
        case "!=":
            return field != scalar
        case "<":
            return field < scalar
        case "<=":
            return field <= scalar
        case ">":
            return field > scalar
        case ">=":
            return field >= scalar
        case _:
            raise _unknown(operator, column)
