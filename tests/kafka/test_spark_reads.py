"""Spark's own Kafka source on a real broker: `foreachBatch` until all is there, each message once."""

from __future__ import annotations

import json
import shutil

import pytest
from confluent_kafka import Producer

from closeloop.app import Workspace
from closeloop.streaming import checkpoint, streams_of, take_in_stream
from closeloop.tables import BRONZE_FEEDBACK
from closeloop.testing.progress import SilentProgress
from tests.spark.conftest import JARS, QUICK

BATCH = 100


def value(i: int) -> bytes:
    if i % 50 == 0:
        return b"poison \xff %d" % i
    return json.dumps({"id": f"m{i}", "text": f"payment failed {i} times"}).encode()


def send(broker, topic, numbers) -> None:
    producer = Producer({"bootstrap.servers": broker.servers})
    for i in numbers:
        producer.produce(topic, value(i), str(i))
    assert producer.flush(60) == 0


@pytest.fixture
def workspace(broker, topic, tmp_path):
    conf = json.dumps(QUICK)
    (tmp_path / "closeloop.yaml").write_text(
        f"engine: spark\nspark: {{master: 'local[2]', jars: '{JARS.resolve()}', conf: {conf}}}\n"
        "sources:\n  stream:\n    kafka:\n"
        f"      servers: {broker.servers}\n      topics: [{topic}]\n      batch: {BATCH}\n"
    )
    workspace = Workspace(tmp_path, progress=SilentProgress())
    yield workspace
    workspace.spark_session().stop()
    workspace.close()


@pytest.mark.slow
def test_each_message_once_in_batches_also_where_the_checkpoint_was_lost(broker, topic, workspace):
    def taken() -> list[str]:
        rows = workspace.committed(BRONZE_FEEDBACK, columns=["source_id", "defect"])
        return sorted(r["source_id"] for r in rows.to_pylist() if r["defect"] is None)

    def expected(count: int) -> list[str]:
        return sorted(f"m{i}" for i in range(count) if i % 50)

    (source,) = streams_of(workspace).values()
    send(broker, topic, range(400))
    first = take_in_stream(workspace, "stream", source)
    assert first["batches"] >= 400 // BATCH
    assert taken() == expected(400)
    send(broker, topic, range(400, 450))
    assert take_in_stream(workspace, "stream", source)["batches"] >= 1
    assert taken() == expected(450)
    # Spark hands everything over again; the ledger's offsets say that it is known.
    shutil.rmtree(checkpoint(workspace, "stream", "topics"))
    again = take_in_stream(workspace, "stream", source)
    assert again["batches"] >= 450 // BATCH
    assert again["new"] == 0
    assert workspace.committed(BRONZE_FEEDBACK, columns=["bronze_id"]).num_rows == 450
