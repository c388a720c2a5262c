"""Reads columns of numbers, vectorised; what is no finite number is told apart from what is missing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.connectors.intake.raw import as_text
from closeloop.connectors.intake.times import MISSING, Flags

_PLAIN = r"^[+-]?(?:\d{1,300}(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?$"
_DECIMAL_COMMA = r"^([+-]?\d+),(\d{1,2})$"
_THOUSANDS = r"^[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?$"
_CURRENCY = r"^(?:[$€£¥₹]|EUR|USD|GBP|INR)\s*|\s*(?:[$€£¥₹]|EUR|USD|GBP|INR)$"


@dataclass(frozen=True, slots=True)
class Numbers:
    """A column of numbers: float64 (null where missing or unreadable), which were unreadable."""

    values: pa.Array
    unreadable: Flags


def read_numbers(column: pa.Array) -> Numbers:
    """Return a column as finite float64.

    Understood: 4, -4.5, .5, 1e3; 4,5 and 12,50 (one or two digits after a comma: a decimal
    comma); 1,250.00 (groups of three: thousands); a currency's sign or code before or after.
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        return _finite(column.cast(pa.float64()), ~np.asarray(column.is_null()), nan_missing=True)
    texts = pc.utf8_trim_whitespace(as_text(column))
    missing = pc.is_in(pc.utf8_lower(texts), value_set=pa.array(MISSING))
    present = ~np.asarray(texts.is_null()) & ~np.asarray(missing)
    if not np.asarray(pc.fill_null(pc.match_substring_regex(texts, _PLAIN), True))[present].all():
        texts = pc.replace_substring_regex(texts, _CURRENCY, "")
        texts = pc.replace_substring_regex(texts, _DECIMAL_COMMA, r"\1.\2")
        grouped = pc.match_substring_regex(texts, _THOUSANDS)
        texts = pc.if_else(grouped, pc.replace_substring(texts, ",", ""), texts)
    plain = pc.match_substring_regex(texts, _PLAIN)
    usable = pc.if_else(pc.and_(plain, pa.array(present)), texts, pa.scalar(None, pa.string()))
    return _finite(usable.cast(pa.float64()), present, nan_missing=False)


def _finite(values: pa.Array, present: Flags, *, nan_missing: bool) -> Numbers:
    floats = np.asarray(pc.fill_null(values, np.nan), dtype=np.float64)
    good = present & np.isfinite(floats)
    absent = ~present | (np.isnan(floats) if nan_missing else False)
    return Numbers(values=pa.array(floats, mask=~good), unreadable=~good & ~absent)
