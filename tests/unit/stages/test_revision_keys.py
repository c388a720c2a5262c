"""Rows are found by feedback and revision, whichever revisions there are."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from closeloop.stages.revision_keys import are_in, places_in

Keys = list[tuple[str, int]]
ROWS = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 2)), max_size=6, unique=True)


def table(keys: Keys) -> pa.Table:
    ids, revisions = [i for i, _ in keys], [r for _, r in keys]
    return pa.table(
        {"feedback_id": pa.array(ids, pa.string()), "revision": pa.array(revisions, pa.int64())}
    )


@given(ROWS, ROWS)
def test_each_row_is_found_where_it_stands(rows: Keys, others: Keys) -> None:
    places = [others.index(key) if key in others else None for key in rows]
    assert places_in(table(rows), table(others)).to_pylist() == places
    assert are_in(table(rows), table(others)).to_pylist() == [p is not None for p in places]


def test_tables_of_several_chunks_are_read_as_one() -> None:
    rows = pa.concat_tables([table([("a", 1)]), table([("b", 1)])])
    others = pa.concat_tables([table([("b", 2)]), table([("b", 1), ("a", 1)])])
    assert places_in(rows, others).to_pylist() == [2, 1]
