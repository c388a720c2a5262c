"""Brings what arrives to the driver by Spark's streaming sources; the ledger says what was new."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from closeloop.connectors.intake.arrivals import Arrival
from closeloop.connectors.intake.messages import MESSAGES
from closeloop.errors import CloseloopError, OutsideError

FILES_A_BATCH = 100


def drain_kafka(
    session: Any,
    options: Mapping[str, str],
    on_batch: Callable[[pa.Table], None],
    *,
    checkpoint: str,
    batch_rows: int,
) -> int:
    """Hand over all messages that are there, batch by batch (MESSAGES); return how many batches.

    Spark's checkpoint says where to go on, and may hand a batch over twice after a kill: `on_batch`
    leaves out what the ledger has committed already. A checkpoint that is lost costs time only.
    """
    reader = session.readStream.format("kafka").option("startingOffsets", "earliest")
    # What the log dropped is told by the ledger's offsets; a stopped stream would help nobody.
    reader = reader.option("failOnDataLoss", "false").option("maxOffsetsPerTrigger", batch_rows)
    for name, value in options.items():
        reader = reader.option(name, value)
    columns = ("topic", "partition", "offset", "timestamp", "value")

    def batch(frame: Any) -> None:
        messages = frame.select(*columns).toArrow().cast(MESSAGES)
        if messages.num_rows:
            on_batch(messages)

    return _drain(reader.load(), batch, checkpoint=checkpoint)


def drain_files(
    session: Any,
    folder: str,
    on_files: Callable[[list[Arrival]], None],
    *,
    checkpoint: str,
    auto_loader: Mapping[str, str] | None = None,
) -> int:
    """Hand over the files that came into a folder since the last time; return how many batches.

    With Auto Loader's options they are found by it (on Databricks), else by the file source. They
    are handed over as files of this machine that last as long as the call.
    """
    reader = session.readStream.format("cloudFiles" if auto_loader else "binaryFile")
    for name, value in (auto_loader or {}).items():
        reader = reader.option(name, value)
    most = "cloudFiles.maxFilesPerTrigger" if auto_loader else "maxFilesPerTrigger"
    reader = reader.option("recursiveFileLookup", "true").option(most, FILES_A_BATCH)
    if not auto_loader:
        reader = reader.schema(
            "path string, modificationTime timestamp, length bigint, content binary"
        )

    def batch(frame: Any) -> None:
        rows = frame.select("path", "modificationTime", "length", "content").toArrow()
        with _as_files(rows) as arrivals:
            on_files(arrivals)

    return _drain(reader.load(folder), batch, checkpoint=checkpoint)


def _drain(frame: Any, batch: Callable[[Any], None], *, checkpoint: str) -> int:
    batches = 0
    failed: list[CloseloopError] = []

    def handle(some: Any, _number: int) -> None:
        nonlocal batches
        try:
            batch(some)
        except CloseloopError as error:
            failed.append(error)
            raise
        batches += 1

    query = (
        frame.writeStream.foreachBatch(handle)
        .option("checkpointLocation", checkpoint)
        .trigger(availableNow=True)
        .start()
    )
    from pyspark.errors import PySparkException

    try:
        query.awaitTermination()
    except PySparkException as error:
        if failed:
            raise failed[0] from error
        raise OutsideError(
            f"the stream ended: {str(error).strip().partition(chr(10))[0]}",
            hint="what was committed stays; run again and it goes on there",
        ) from error
    finally:
        query.stop()
    return batches


@contextmanager
def _as_files(rows: pa.Table) -> Iterator[list[Arrival]]:
    with tempfile.TemporaryDirectory(prefix="closeloop-") as folder:
        arrivals = []
        for number, row in enumerate(rows.to_pylist()):
            name = Path(row["path"]).name
            path = Path(folder, str(number), name)
            path.parent.mkdir()
            path.write_bytes(row["content"])
            arrivals.append(Arrival(row["path"], path, row["length"], row["modificationTime"]))
        yield arrivals
