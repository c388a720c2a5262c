"""Finds the rows of one table in another: by feedback and revision."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc


def places_in(rows: pa.Table, others: pa.Table) -> pa.Array:
    """Return where in `others` the row of the same feedback and revision stands, null: nowhere.

    Both hold feedback_id and revision. Where only first revisions are looked for, the usual case,
    ids are compared as they are: to write id and revision into one text costs more than to look.
    """
    wanted, given = _keys(rows, others)
    places = pc.index_in(wanted, value_set=given)
    return places.combine_chunks() if isinstance(places, pa.ChunkedArray) else places


def are_in(rows: pa.Table, others: pa.Table) -> pa.Array:
    """Return whether `others` holds a row of the same feedback and revision, for each of `rows`."""
    return pc.is_valid(places_in(rows, others))


def _keys(rows: pa.Table, others: pa.Table) -> tuple[pa.ChunkedArray, pa.Array]:
    if not _only_first(rows):
        return _joined(rows), _joined(others).combine_chunks()
    given = others.column("feedback_id")
    if not _only_first(others):
        first = pc.equal(others.column("revision"), 1)
        given = pc.if_else(first, given, pa.scalar(None, given.type))
    return rows.column("feedback_id"), given.combine_chunks()


def _only_first(rows: pa.Table) -> bool:
    lowest, highest = pc.min_max(rows.column("revision")).as_py().values()
    return highest is None or (lowest == 1 and highest == 1)


def _joined(rows: pa.Table) -> pa.ChunkedArray:
    revision = rows.column("revision").cast(pa.string())
    return pc.binary_join_element_wise(rows.column("feedback_id"), revision, "/")
