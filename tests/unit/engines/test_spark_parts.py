"""The parts of the Spark engine that need no Spark: batches on their way, conditions, names."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from closeloop.engines.databricks import UnityNames
from closeloop.engines.filters import expression
from closeloop.engines.spark_batches import dense, over_carried, packed, unpacked
from closeloop.engines.spark_filters import as_match
from closeloop.engines.spark_names import FolderNames, quoted
from closeloop.engines.spark_sql import CALLS_OUT, spark_type
from closeloop.errors import UsageError
from closeloop.tables import TABLES, THEME

NOON = datetime(2024, 2, 6, 12, tzinfo=UTC)


@given(st.integers(0, 40), st.integers(1, 12), st.randoms())
def test_batches_come_back_in_order_whatever_order_they_travel_in(rows, batch_size, draw):
    table = pa.table({"n": pa.array(range(rows), pa.int64()), "t": [f"é{i}" for i in range(rows)]})
    carried = packed(table, batch_size=batch_size)
    assert carried.num_rows == max(-(-rows // batch_size), 1)
    order = list(range(carried.num_rows))
    draw.shuffle(order)
    sizes = []

    def step(batch: pa.RecordBatch) -> pa.RecordBatch:
        sizes.append(batch.num_rows)
        return batch

    shuffled = carried.take(pa.array(order, pa.int64())).combine_chunks().to_batches()
    back = unpacked(pa.Table.from_batches(over_carried(step)(iter(shuffled))))
    assert back.equals(table)
    assert max(sizes) <= batch_size


@given(st.lists(st.integers(0, 3)))
def test_a_table_without_its_empty_batches_has_the_same_rows(sizes):
    schema = pa.schema([("n", pa.int64())])
    pieces = [pa.table({"n": range(size)}, schema=schema) for size in sizes]
    rows = pa.concat_tables([schema.empty_table(), *pieces])
    assert dense(rows).equals(rows)
    assert all(len(chunk) for chunk in dense(rows)["n"].chunks)


THEMES = THEME.from_rows(
    {"theme_id": t, "product": p, "size": n, "first_seen": NOON}
    for t in ("a", "b", None)
    for p in ("p", None)
    for n in (1, 5)
)
CONDITION = st.one_of(
    st.tuples(st.just("product"), st.sampled_from(["=", "!="]), st.sampled_from(["p", "q", None])),
    st.tuples(
        st.just("size"), st.sampled_from(["=", "!=", "<", "<=", ">", ">="]), st.integers(0, 6)
    ),
    st.tuples(st.just("theme_id"), st.just("in"), st.lists(st.sampled_from("abc"), max_size=5)),
)


@given(st.lists(CONDITION, min_size=1, max_size=3))
def test_a_delete_matches_the_rows_that_the_conditions_select_each_once(conditions):
    """The ON of the MERGE, run by DuckDB, says the same as the other engines' filter."""
    import duckdb

    match, values = as_match(conditions, THEME)
    position = pa.array(np.arange(THEMES.num_rows))
    target = THEMES.append_column("row_number", position)
    with duckdb.connect() as connection:
        connection.register("target", target)
        connection.register("source", values)
        on = match.replace("`", '"')
        query = f"SELECT row_number FROM target JOIN source ON {on} ORDER BY 1"
        matched = [row[0] for row in connection.execute(query).fetchall()]
    kept = target.filter(expression(conditions, THEME)).column("row_number").to_pylist()
    assert matched == kept


def test_values_of_a_delete_never_stand_in_its_sql():
    hostile = "x' OR 1=1; DROP TABLE silver.theme --"
    match, values = as_match([("product", "=", hostile)], THEME)
    assert "DROP" not in match
    assert values.to_pylist() == [{"v0": hostile}]
    with pytest.raises(UsageError):
        as_match([("product", "LIKE", "%")], THEME)


def test_names_can_not_end_their_quotation(tmp_path):
    assert quoted("a`b") == "`a``b`"
    names = FolderNames(tmp_path / "it's `here`")
    assert names.identifier(THEME).endswith("it's ``here``/silver/theme`")
    assert names.newest(None, THEME) is None
    assert UnityNames("main").identifier(THEME) == "`main`.`silver`.`theme`"


@pytest.mark.parametrize("table", TABLES, ids=lambda t: t.full_name)
def test_every_column_has_a_type_on_spark(table):
    assert all(spark_type(column.type) for column in table.columns)


def test_types_are_named_through_lists_and_structs():
    nested = pa.list_(pa.struct([("at", pa.timestamp("us", tz="UTC")), ("n", pa.int64())]))
    assert spark_type(nested) == "array<struct<`at`: timestamp, `n`: bigint>>"
    with pytest.raises(TypeError, match="no Spark type"):
        spark_type(pa.decimal128(10, 2))


@pytest.mark.parametrize("text", ["reflect('a')", "`Java_Method`('a')", "IDENTIFIER('x')"])
def test_what_calls_out_is_seen(text):
    assert CALLS_OUT.search(f"SELECT {text}")
