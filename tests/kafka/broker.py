"""A real Kafka broker (KRaft, one node) on loopback, which a test can kill and start again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

JARS = Path(os.environ.get("CLOSELOOP_KAFKA_JARS", ".spark/jars/kafka"))
START_S = 180.0
CLUSTER = "MkU3OEVBNTcwNTJENDM2Qg"
QUICK = ("-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


class Broker:
    """Keeps its log in a folder, so that what was acknowledged outlives `kill -9`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, controller = free_port(), free_port()
        self.servers = f"127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        self._properties = folder / "server.properties"
        folder.mkdir(parents=True)
        self._properties.write_text(
            "process.roles=broker,controller\nnode.id=1\n"
            f"controller.quorum.voters=1@127.0.0.1:{controller}\n"
            f"listeners=PLAINTEXT://{self.servers},CONTROLLER://127.0.0.1:{controller}\n"
            f"advertised.listeners=PLAINTEXT://{self.servers}\n"
            "controller.listener.names=CONTROLLER\n"
            f"log.dirs={folder / 'log'}\n"
            "offsets.topic.replication.factor=1\noffsets.topic.num.partitions=1\n"
            "transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n"
            "transaction.state.log.num.partitions=1\nauto.create.topics.enable=false\n"
        )
        self._java("kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c").wait(START_S)

    def start(self) -> None:
        self._process = self._java("kafka.Kafka")
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            assert self._process.poll() is None, (self.folder / "broker.out").read_text()[-2000:]
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.2)
        raise TimeoutError(f"no broker on {self.servers} after {START_S:.0f} s")

    def kill(self) -> None:
        """As if the machine had lost the process: no flush, no farewell."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _java(self, name: str, *before: str) -> subprocess.Popen[bytes]:
        assert list(JARS.glob("kafka_2.13-*.jar")), (
            f"no broker in {JARS}: make test-kafka fetches it"
        )
        command = ["java", *QUICK, "-cp", f"{JARS.resolve()}/*", name, *before]
        out = (self.folder / "broker.out").open("ab")
        return subprocess.Popen([*command, str(self._properties)], stdout=out, stderr=out)
