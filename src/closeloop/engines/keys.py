"""Matches rows by key: which rows of one table are replaced by those of another."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

SEPARATOR = "\x1f"


def key_column(rows: pa.Table, key: Sequence[str]) -> pa.ChunkedArray:
    """Return one text a row that is equal for equal keys (nulls equal one another)."""
    if len(key) == 1 and pa.types.is_string(rows.schema.field(key[0]).type):
        return rows.column(key[0])
    parts = []
    for name in key:
        column = rows.column(name)
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.int64())
        parts.append(column.cast(pa.string()))
    return pc.binary_join_element_wise(
        *parts, SEPARATOR, null_handling="replace", null_replacement="\x00"
    )


def without_keys(existing: pa.Table, replaced_by: pa.Table, key: Sequence[str]) -> pa.Table:
    """Return the existing rows whose key does not occur among the others."""
    if existing.num_rows == 0 or replaced_by.num_rows == 0:
        return existing
    wanted = pa.chunked_array([pc.unique(key_column(replaced_by, key))])
    present = pc.is_in(key_column(existing, key), value_set=wanted.combine_chunks())
    if not pc.any(present).as_py():
        return existing
    return existing.filter(pc.invert(present))


def last_of_each_key(rows: pa.Table, key: Sequence[str]) -> pa.Table:
    """Return the last row of each key, in order: what a merge of repeated keys comes to."""
    if rows.num_rows < 2:
        return rows
    keys = key_column(rows, key)
    if pc.count_distinct(keys, mode="all").as_py() == rows.num_rows:
        return rows
    indexed = pa.table({"key": keys, "position": pa.array(range(rows.num_rows), pa.int64())})
    last = indexed.group_by("key").aggregate([("position", "max")]).column("position_max")
    return rows.take(last.take(pc.sort_indices(last)))
