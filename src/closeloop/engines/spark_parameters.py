"""Puts parameters into a query for Spark as literals: Delta's parser binds none over Connect."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from closeloop.errors import QueryError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_TOKEN = re.compile(
    r"""
    (?P<asked>\?)
    | --[^\n]*                            # comments
    | /\*.*?(?:\*/|\Z)
    | (?<![\w`])[rR](?:'[^']*'|"[^"]*")   # raw strings: a backslash stands for itself
    | '(?:[^'\\]|\\.)*'                   # strings; '' is the end of one and the start of the next
    | "(?:[^"\\]|\\.)*"
    | `(?:[^`]|``)*`                      # names
    """,
    re.VERBOSE | re.DOTALL,
)


def bound(query: str, parameters: Sequence[Any]) -> str:
    """Return the query with each `?` that stands outside of strings, names and comments replaced.

    A text becomes hexadecimal digits, so that none of it is ever read as SQL. Raises QueryError
    where the number of `?` is another than that of the parameters, or a type has no literal.
    """
    left = list(parameters)
    asked = sum(match["asked"] is not None for match in _TOKEN.finditer(query))
    if asked != len(left):
        raise QueryError(
            f"the query asks for {asked} parameters, and {len(left)} were given",
            hint="give a value for each ? in the query",
        )

    def put(match: re.Match[str]) -> str:
        return literal(left.pop(0)) if match["asked"] else match[0]

    return _TOKEN.sub(put, query)


def literal(value: object) -> str:
    """Return a value as Spark SQL. Raises QueryError for a type that has no literal here."""
    match value:
        case None:
            return "NULL"
        case bool():
            return "true" if value else "false"
        case int():
            return f"({value})"
        case float():
            text = repr(value) if math.isfinite(value) else str(value).replace("inf", "Infinity")
            return f"CAST('{text}' AS DOUBLE)"
        case str():
            return f"CAST(X'{value.encode().hex()}' AS STRING)"
        case datetime():
            at = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
            return f"timestamp_micros({(at - _EPOCH) // timedelta(microseconds=1)})"
        case date():
            return f"DATE '{value.isoformat()}'"
        case list() | tuple():
            return f"array({', '.join(literal(item) for item in value)})"
        case _:
            raise QueryError(
                f"a parameter of type {type(value).__name__} can't be given to a query",
                hint="give text, a number, a date, a time or a list of these",
            )
