"""Carries Arrow batches through Spark whole: each is one value, so no type changes on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pyarrow as pa

from closeloop.ports import BatchFunction

CARRIER = "number bigint, batch binary"
"""Spark's schema of batches on their way: their place in the order, and Arrow's stream format."""

CARRIER_SCHEMA = pa.schema([("number", pa.int64()), ("batch", pa.binary())])


def dense(rows: pa.Table) -> pa.Table:
    """Return the same rows without batches that hold none.

    pyspark 4.2 makes a DataFrame of a table up to its first empty batch, and says nothing of the
    rows behind it.
    """
    batches = [batch for batch in rows.to_batches() if batch.num_rows]
    return pa.Table.from_batches(batches, rows.schema)


def packed(rows: pa.Table, *, batch_size: int) -> pa.Table:
    """Return a table of batches of so many rows, in order; rows without any give one empty batch."""
    batches = rows.combine_chunks().to_batches(batch_size)
    if not batches:
        batches = [pa.RecordBatch.from_pylist([], schema=rows.schema)]
    return pa.table(
        [pa.array(range(len(batches)), pa.int64()), pa.array(map(_to_bytes, batches), pa.binary())],
        schema=CARRIER_SCHEMA,
    )


def unpacked(carried: pa.Table) -> pa.Table:
    """Return the rows of a table of batches, in the order of their numbers."""
    ordered = carried.sort_by([("number", "ascending")])
    return pa.concat_tables(
        pa.Table.from_batches([_from_bytes(blob)]) for blob in ordered.column("batch").to_pylist()
    )


def over_carried(
    function: BatchFunction,
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Return the function for `mapInArrow` that applies a batch step to each carried batch."""

    def each(carried: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for some in carried:
            for number, blob in zip(
                some.column("number").to_pylist(), some.column("batch").to_pylist(), strict=True
            ):
                yield _carrier(number, function(_from_bytes(blob)))

    return each


def _carrier(number: int, batch: pa.RecordBatch) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(
        [pa.array([number], pa.int64()), pa.array([_to_bytes(batch)], pa.binary())],
        schema=CARRIER_SCHEMA,
    )


def _to_bytes(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    return bytes(sink.getvalue())


def _from_bytes(blob: bytes) -> pa.RecordBatch:
    with pa.ipc.open_stream(blob) as stream:
        table = stream.read_all().combine_chunks()
    batches = table.to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)
