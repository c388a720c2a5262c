"""100,000 messages; broker and consumer are killed in the middle: none is lost, none comes twice."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow.compute as pc
from confluent_kafka import Producer

from closeloop.app import Workspace
from closeloop.stages import refine
from closeloop.tables import BRONZE_FEEDBACK, FEEDBACK, QUARANTINE
from closeloop.testing.progress import SilentProgress
from tests.kafka.conftest import CLOSELOOP

MESSAGES = int(os.environ.get("CLOSELOOP_KAFKA_MESSAGES", "100000"))
POISON_EVERY = 1_000
KILLS_OF_CONSUMER, KILLS_OF_BROKER = 4, 2
WAIT_S = 600.0
SENTENCE = (
    "payment login screen order parcel refund card crash slow update button account code support "
    "delivery price coupon search basket photo chat bank transfer night morning phone tablet"
)
WORDS = SENTENCE.split()


def value(i: int) -> bytes:
    if i % POISON_EVERY == 0:
        return b"poison \xff %d" % i
    draw = random.Random(i)
    text = " ".join(draw.choices(WORDS, k=9))
    return json.dumps({"id": f"m{i}", "text": f"{text} {i}", "at": "2024-02-06T11:00Z"}).encode()


class Producing(threading.Thread):
    """Sends all messages, each acknowledged, through whatever happens to the broker."""

    def __init__(self, servers: str, topic: str) -> None:
        super().__init__(daemon=True)
        self.acknowledged = 0
        self._topic = topic
        self._producer = Producer(
            {
                "bootstrap.servers": servers,
                "enable.idempotence": True,
                "delivery.timeout.ms": 600_000,
                "reconnect.backoff.max.ms": 1_000,
                "log_level": 0,
            }
        )

    def run(self) -> None:
        for i in range(MESSAGES):
            while True:
                try:
                    self._producer.produce(self._topic, value(i), str(i), on_delivery=self._came)
                    break
                except BufferError:
                    self._producer.poll(0.5)
            self._producer.poll(0)
            if i % 2_000 == 0:
                time.sleep(0.1)
        self._producer.flush(WAIT_S)

    def _came(self, error: object, _message: object) -> None:
        assert error is None, error
        self.acknowledged += 1


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, "nothing moved for too long"
        time.sleep(0.05)


def committed_steps(folder: Path) -> int:
    database = folder / "closeloop.db"
    if not database.exists():
        return 0
    try:
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
            query = "SELECT count(*) FROM ledger_step WHERE status = 'committed'"
            return int(connection.execute(query).fetchone()[0])
    except sqlite3.OperationalError:
        return 0


def consume(folder: Path) -> subprocess.Popen[str]:
    command = [*CLOSELOOP, "-w", str(folder), "stream", "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def kill_consumer_at_work(folder: Path, *, after_s: float) -> None:
    """Start a consumer and kill it while it is in a batch after one that it has committed."""
    while True:
        before = committed_steps(folder)
        consumer = consume(folder)
        while committed_steps(folder) == before and consumer.poll() is None:
            time.sleep(0.05)
        time.sleep(after_s)
        consumer.send_signal(signal.SIGKILL)
        consumer.communicate()
        if consumer.returncode == -signal.SIGKILL:
            return


def test_nothing_is_lost_and_nothing_comes_twice(broker, topic, workspace_folder):
    producing = Producing(broker.servers, topic)
    producing.start()
    draw = random.Random(7)
    for kill in range(KILLS_OF_CONSUMER):
        share = (kill + 1) / (KILLS_OF_CONSUMER + 2)
        wait_for(lambda share=share: producing.acknowledged >= share * MESSAGES * 0.5)
        kill_consumer_at_work(workspace_folder, after_s=draw.uniform(0, 1))
        if kill < KILLS_OF_BROKER:
            broker.kill()
            time.sleep(1)
            broker.start()
    producing.join(WAIT_S)
    assert producing.acknowledged == MESSAGES
    report = {"lag": -1}
    for _ in range(5):
        done = consume(workspace_folder)
        out, err = done.communicate()
        assert done.returncode in (0, 3), err
        report = json.loads(out)["streams"][0] if done.returncode == 0 else report
        if report["lag"] == 0:
            break
    assert report["lag"] == 0
    workspace = Workspace(workspace_folder, progress=SilentProgress())
    bronze = workspace.committed(BRONZE_FEEDBACK, columns=["bronze_id"])
    assert bronze.num_rows == MESSAGES
    with workspace.hold():
        left = True
        while left:
            with workspace.runner.step(refine.NAME, now=workspace.now()) as step:
                refine.run(step)
            left = step.left
    silver = workspace.committed(FEEDBACK, columns=["source_id", "revision"])
    expected = {f"m{i}" for i in range(MESSAGES) if i % POISON_EVERY}
    assert silver.num_rows == len(expected)
    assert set(silver.column("source_id").to_pylist()) == expected
    quarantined = workspace.committed(QUARANTINE, columns=["reason"]).column("reason")
    assert pc.value_counts(quarantined).to_pylist() == [
        {"values": "invalid_utf8", "counts": MESSAGES // POISON_EVERY}
    ]


def test_status_shows_lag_and_takes_in_nothing(broker, topic, workspace_folder):
    producer = Producer({"bootstrap.servers": broker.servers})
    for i in range(1, 8):
        producer.produce(topic, value(i))
    producer.flush(60)
    command = [*CLOSELOOP, "-w", str(workspace_folder), "stream"]

    def run(*options: str) -> dict:
        done = subprocess.run([*command, *options, "--json"], capture_output=True, check=True)
        return json.loads(done.stdout)["streams"][0]

    assert (run("--status")["lag"], run("--status")["rows"]) == (7, 0)
    taken = run()
    assert (taken["new"], taken["lag"], taken["batches"]) == (7, 0, 1)
    after = run("--status")
    assert (after["lag"], after["rows"]) == (0, 7)
    assert sum(p["next_offset"] for p in after["partitions"]) == 7


def test_servers_that_do_not_answer_are_named_and_nothing_is_lost(tmp_path):
    (tmp_path / "closeloop.yaml").write_text(
        "sources: {stream: {kafka: {servers: '127.0.0.1:9', topics: [t]}}}\n"
    )
    done = subprocess.run(
        [*CLOSELOOP, "-w", str(tmp_path), "stream"], capture_output=True, text=True
    )
    assert done.returncode == 3
    assert "127.0.0.1:9 does not answer" in done.stderr
    assert "Traceback" not in done.stderr
