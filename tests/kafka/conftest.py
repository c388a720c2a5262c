"""A broker for all tests of the folder, and a workspace that reads from it."""

from __future__ import annotations

import sys

import pytest

from tests.kafka.broker import Broker


@pytest.fixture(scope="session")
def broker(tmp_path_factory):
    broker = Broker(tmp_path_factory.mktemp("kafka") / "broker")
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture
def topic(broker, request):
    """A topic of four partitions, named after the test."""
    from confluent_kafka.admin import AdminClient, NewTopic

    name = request.node.name.replace("[", "-").replace("]", "")[:80]
    admin = AdminClient({"bootstrap.servers": broker.servers})
    for made in admin.create_topics([NewTopic(name, 4, 1)]).values():
        made.result(60)
    return name


@pytest.fixture
def workspace_folder(tmp_path, broker, topic):
    """A folder whose closeloop.yaml names the topic as the source `stream`."""
    (tmp_path / "closeloop.yaml").write_text(
        "sources:\n  stream:\n    kafka:\n"
        f"      servers: {broker.servers}\n      topics: [{topic}]\n      batch: 5000\n"
        "      options: {socket.timeout.ms: '20000', reconnect.backoff.max.ms: '1000'}\n"
    )
    return tmp_path


CLOSELOOP = [sys.executable, "-m", "closeloop"]
