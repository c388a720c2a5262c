"""Reads Kafka and Event Hubs topics on one machine, from the offsets that closeloop has committed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from closeloop.connectors.intake.messages import MESSAGES, Offsets
from closeloop.errors import OutsideError, SettingsError, TransientError, redact

EVENT_HUBS_PORT = 9093
_ENDPOINT = re.compile(r"Endpoint=sb://([^/;]+)", re.IGNORECASE)

POLL_S = 1.0
"""Kafka answers a poll as soon as there is something; an empty one ends after so long."""
QUIET_POLLS = 5
"""After so many empty polls short of the end, the log is taken to have nothing more for now."""
ANSWER_S = 20.0


@dataclass(frozen=True, slots=True)
class KafkaPlace:
    """Which topics of which servers, and with what (names of librdkafka and of Kafka's clients).

    `password` is read when it is needed, and stands in no message.
    """

    servers: str
    topics: tuple[str, ...]
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    mechanism: str = "PLAIN"
    tls: bool = False
    options: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def event_hubs(connection_string: str, topics: tuple[str, ...]) -> KafkaPlace:
        """Return the place that an Event Hubs connection string names: Kafka on port 9093.

        Raises SettingsError where it names no namespace; it is not shown.
        """
        found = _ENDPOINT.search(connection_string)
        if found is None:
            raise SettingsError(
                "the Event Hubs connection string names no namespace",
                hint="it begins with Endpoint=sb://NAMESPACE.servicebus.windows.net/",
            )
        return KafkaPlace(
            servers=f"{found[1]}:{EVENT_HUBS_PORT}",
            topics=topics,
            username="$ConnectionString",
            password=connection_string,
            tls=True,
        )


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a partition is behind: messages between what is committed and its end."""

    topic: str
    partition: int
    next_offset: int
    end: int
    expired: int
    """Messages that the log dropped before they were read."""

    @property
    def messages(self) -> int:
        """Messages that are there and not taken in."""
        return max(self.end - self.next_offset, 0)


class KafkaReader:
    """Hands out messages from given offsets on. It commits nothing: the ledger does."""

    def __init__(self, place: KafkaPlace, *, source: str) -> None:
        self._place = place
        self._kafka = _client()
        settings: dict[str, Any] = {
            "bootstrap.servers": place.servers,
            "group.id": f"closeloop-{source}",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "enable.partition.eof": False,
            "log_level": 0,
            **_security(place),
            **place.options,
        }
        self._consumer = self._kafka.Consumer(settings)
        self._ends: dict[tuple[str, int], int] = {}
        self._next: dict[tuple[str, int], int] = {}

    def start(self, offsets: Offsets) -> list[Lag]:
        """Go to the offsets (new partitions: to their beginning); return how far each is behind.

        Raises TransientError where the servers don't answer, SettingsError where a topic is absent.
        """
        lags = [self._lag(topic, partition, offsets) for topic, partition in self._partitions()]
        self._ends = {(lag.topic, lag.partition): lag.end for lag in lags}
        self._next = {(lag.topic, lag.partition): lag.next_offset for lag in lags}
        place = self._kafka.TopicPartition
        self._consumer.assign([place(lag.topic, lag.partition, lag.next_offset) for lag in lags])
        return lags

    def take(self, rows: int) -> pa.Table:
        """Return up to so many messages; fewer where the ends that `start` saw are reached.

        A topic's markers and aborted messages take up offsets: the position counts, not the number.
        """
        found: list[Any] = []
        quiet = 0
        while len(found) < rows and quiet < QUIET_POLLS and self._left():
            some = self._consumer.consume(min(rows - len(found), 10_000), timeout=POLL_S)
            quiet = 0 if some else quiet + 1
            for message in some:
                if message.error() is not None:
                    self._judge(message.error())
                    continue
                found.append(message)
                self._next[(message.topic(), message.partition())] = message.offset() + 1
            if not some:
                self._skip_markers()
        return _table(found)

    def close(self) -> None:
        """Leave the servers."""
        self._consumer.close()

    def _left(self) -> bool:
        return any(self._next[key] < end for key, end in self._ends.items())

    def _skip_markers(self) -> None:
        for place in self._consumer.position(
            [self._kafka.TopicPartition(topic, partition) for topic, partition in self._next]
        ):
            key = (place.topic, place.partition)
            self._next[key] = max(self._next[key], place.offset)

    def _partitions(self) -> list[tuple[str, int]]:
        found = []
        for topic in self._place.topics:
            try:
                known = self._consumer.list_topics(topic, timeout=ANSWER_S).topics[topic]
            except self._kafka.KafkaException as error:
                raise self._unanswered(error) from error
            if known.error is not None or not known.partitions:
                raise SettingsError(
                    f"{self._place.servers} has no topic {redact(topic)!r}",
                    hint="correct sources.NAME.kafka.topics, or make the topic",
                )
            found += [(topic, partition) for partition in sorted(known.partitions)]
        return found

    def _lag(self, topic: str, partition: int, offsets: Offsets) -> Lag:
        try:
            low, high = self._consumer.get_watermark_offsets(
                self._kafka.TopicPartition(topic, partition), timeout=ANSWER_S
            )
        except self._kafka.KafkaException as error:
            raise self._unanswered(error) from error
        committed = offsets.next_of.get((topic, partition))
        start = low if committed is None else max(committed, low)
        expired = 0 if committed is None else max(low - committed, 0)
        return Lag(topic, partition, start, high, expired)

    def _judge(self, error: Any) -> None:
        """Raise for what will not pass; a broker that is away for a while is waited for."""
        if error.fatal() or not (error.retriable() or error.code() < 0):
            raise self._unanswered(error)

    def _unanswered(self, error: object) -> TransientError:
        return TransientError(
            f"Kafka at {redact(self._place.servers, keep=200)} does not answer: "
            f"{redact(error, keep=200)}",
            hint="check servers, credentials and network; nothing was taken in, nothing is lost",
        )


def _table(found: list[Any]) -> pa.Table:
    milliseconds = [m.timestamp()[1] if m.timestamp()[0] else None for m in found]
    return pa.table(
        [
            pa.array([m.topic() for m in found], pa.string()),
            pa.array([m.partition() for m in found], pa.int64()),
            pa.array([m.offset() for m in found], pa.int64()),
            pa.array([None if t is None else t * 1_000 for t in milliseconds], pa.int64()).cast(
                MESSAGES.field("timestamp").type
            ),
            pa.array([m.value() for m in found], pa.binary()),
        ],
        schema=MESSAGES,
    )


def _security(place: KafkaPlace) -> dict[str, str]:
    if place.username is None:
        return {"security.protocol": "SSL"} if place.tls else {}
    return {
        "security.protocol": "SASL_SSL" if place.tls else "SASL_PLAINTEXT",
        "sasl.mechanism": place.mechanism,
        "sasl.username": place.username,
        "sasl.password": place.password or "",
    }


def _client() -> Any:
    try:
        import confluent_kafka
    except ImportError as error:
        raise OutsideError(
            "a source is a Kafka topic, and confluent-kafka is not installed",
            hint="pip install 'closeloop[kafka]'",
        ) from error
    return confluent_kafka
