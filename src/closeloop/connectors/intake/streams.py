"""Takes in what has arrived on a stream, batch by batch, each in a ledgered step of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa

from closeloop.connectors.intake.messages import MessageReport, Offsets, take_in_messages
from closeloop.connectors.intake.request import IntakeRequest, IntakeStep

OpenStep = Callable[[], AbstractContextManager[IntakeStep]]


class PartitionLag(Protocol):
    """How far a partition is behind."""

    @property
    def topic(self) -> str:
        """The topic."""
        ...

    @property
    def partition(self) -> int:
        """The partition."""
        ...

    @property
    def next_offset(self) -> int:
        """The next offset to be taken in."""
        ...

    @property
    def messages(self) -> int:
        """Messages that are there and not taken in."""
        ...

    @property
    def expired(self) -> int:
        """Messages that the log dropped before they were taken in."""
        ...


class MessageReader(Protocol):
    """Hands out messages of a log from given offsets on."""

    def start(self, offsets: Offsets) -> Sequence[PartitionLag]:
        """Go to the offsets; return how far each partition is behind."""
        ...

    def take(self, rows: int) -> pa.Table:
        """Return up to so many messages, none where the end is reached."""
        ...

    def close(self) -> None:
        """Leave the servers."""
        ...


@dataclass(slots=True)
class StreamReport:
    """What was taken in from a log, and how far it is behind now."""

    source: str
    taken: MessageReport = field(default_factory=MessageReport)
    batches: int = 0
    expired: int = 0
    lags: Sequence[PartitionLag] = ()

    @property
    def lag(self) -> int:
        """Messages that are there and not taken in."""
        return sum(lag.messages for lag in self.lags)

    def as_dict(self) -> dict[str, Any]:
        """Return the report for programs."""
        return {
            "source": self.source,
            **self.taken.as_dict(),
            "batches": self.batches,
            "expired": self.expired,
            "lag": self.lag,
            "newest_message_at": self.taken.newest_sent_at,
            "partitions": [
                {
                    "topic": lag.topic,
                    "partition": lag.partition,
                    "next_offset": lag.next_offset,
                    "lag": lag.messages,
                }
                for lag in self.lags
            ],
        }


def drain(
    reader: MessageReader,
    open_step: OpenStep,
    request: IntakeRequest,
    *,
    committed: Callable[[], Offsets],
    batch_rows: int,
) -> StreamReport:
    """Take in all messages up to the end of the log as it is now; return what came and what is left.

    `committed` returns the offsets in the ledger. The workspace is free for others between batches.
    """
    report = StreamReport(source=request.source)
    report.lags = reader.start(committed())
    report.expired = sum(lag.expired for lag in report.lags)
    while True:
        messages = reader.take(batch_rows)
        if not messages.num_rows:
            break
        with open_step() as step:
            taken = take_in_messages(step, messages, request)
        # Counted once it is committed: a step that fails has taken in nothing.
        report.taken.add(taken)
        report.batches += 1
    report.lags = reader.start(committed())
    return report
