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


def without(rows: pa.Table, condition: pc.Expression) -> pa.Table:
    """Return the rows for which a condition does not hold: a comparison with null does not."""
    positions = pa.array(range(rows.num_rows), pa.int64())
    held = rows.append_column("position__", positions).filter(condition).column("position__")
    if len(held) == 0:
        return rows
    return rows.filter(pc.invert(pc.is_in(positions, value_set=held.combine_chunks())))


def _one(
    field: pc.Expression, column: str, operator: str, value: object, type_: pa.DataType
) -> pc.Expression:
    if operator == "in":
        values = list(value)  # type: ignore[call-overload]
        return field.isin(pa.array(values, type_))
    if value is None and operator in ("=", "!="):
        return field.is_null() if operator == "=" else field.is_valid()
    scalar = (
        pa.scalar(value, type_) if isinstance(value, datetime) else pa.scalar(value).cast(type_)
    )
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
            raise UsageError(f"unknown operator {operator!r} in a condition on {column}")
