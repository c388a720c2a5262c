"""Messages become rows exactly once, whatever is delivered again; what can't be read says why."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from closeloop.connectors.intake.messages import MESSAGES, Offsets, offsets_of, take_in_messages
from closeloop.connectors.intake.request import IntakeRequest
from closeloop.errors import InputFileError
from closeloop.stages import refine
from closeloop.tables import BRONZE_FEEDBACK, FEEDBACK, QUARANTINE
from closeloop.testing.configuration import example_configuration
from closeloop.testing.context import InMemoryContext

SENT = datetime(2024, 2, 6, 12, tzinfo=UTC)


@pytest.fixture
def context() -> InMemoryContext:
    return InMemoryContext(config=example_configuration(), now=SENT)


def messages(*rows: tuple[int, int, object], topic: str = "t") -> pa.Table:
    """(partition, offset, value): a dict is sent as JSON."""

    def value(v: object) -> bytes | None:
        return json.dumps(v).encode() if isinstance(v, dict) else v  # type: ignore[return-value]

    return pa.Table.from_pylist(
        [
            {"topic": topic, "partition": p, "offset": o, "timestamp": SENT, "value": value(v)}
            for p, o, v in rows
        ],
        schema=MESSAGES,
    )


def review(i: int, **more: object) -> dict[str, object]:
    return {"id": f"r{i}", "text": f"payment failed {i} times", "at": "2024-02-06T11:00Z"} | more


def put(context: InMemoryContext, some: pa.Table):
    report = take_in_messages(context, some, IntakeRequest("kafka"))
    context.next_pass()
    return report


def bronze(context: InMemoryContext) -> list[dict]:
    return context.rows(BRONZE_FEEDBACK).to_pylist()


def test_a_message_is_taken_in_once_however_often_it_is_delivered(context):
    first = put(context, messages((0, 0, review(1)), (0, 1, review(2)), (1, 0, review(3))))
    assert (first.messages, first.new, first.again) == (3, 3, 0)
    second = put(context, messages((0, 1, review(2)), (1, 0, review(3)), (1, 1, review(4))))
    assert (second.messages, second.new, second.again) == (3, 1, 2)
    assert sorted(row["source_id"] for row in bronze(context)) == ["r1", "r2", "r3", "r4"]
    assert offsets_of(context, "kafka").next_of == {("t", 0): 2, ("t", 1): 2}


def test_what_can_not_be_read_goes_to_quarantine_with_its_reason(context):
    put(
        context,
        messages(
            (0, 0, review(1)),
            (0, 1, b"{no json"),
            (0, 2, b"\xff\xfe broken"),
            (0, 3, None),
            (0, 4, b"[1, 2]"),
            (0, 5, review(2, text=" ")),
            (0, 6, review(3, at="yesterday-ish")),
        ),
    )
    refine.run(context.as_step(refine.NAME))
    reasons = {row["line"]: row["reason"] for row in context.rows(QUARANTINE).to_pylist()}
    assert reasons == {
        1: "malformed_row",
        2: "invalid_utf8",
        3: "malformed_row",
        4: "malformed_row",
        5: "no_text",
        6: "unreadable_time",
    }
    assert context.rows(FEEDBACK).num_rows == 1


def test_messages_without_an_id_are_named_by_their_place_and_equal_ones_all_count(context):
    same = {"text": "payment failed again", "at": "2024-02-06T11:00Z"}
    put(context, messages((0, 0, same), (0, 1, same)))
    put(context, messages((0, 2, same), (1, 0, same)))
    assert sorted(row["source_id"] for row in bronze(context)) == [
        "t/0/0",
        "t/0/1",
        "t/0/2",
        "t/1/0",
    ]


def test_a_message_without_a_time_is_as_old_as_its_delivery_to_the_log(context):
    put(context, messages((0, 0, {"text": "payment failed again"})))
    assert [row["event_time"] for row in bronze(context)] == [SENT]


def test_columns_stay_as_the_first_messages_showed_them(context):
    put(context, messages((0, 0, review(1))))
    put(context, messages((0, 1, {"comment": "another field with words", **review(2)})))
    put(context, messages((0, 2, b"poison")))
    assert [row["text"] for row in bronze(context)][:2] == [
        "payment failed 1 times",
        "payment failed 2 times",
    ]


def test_poison_alone_is_kept_and_holds_nothing_up(context):
    report = put(context, messages((0, 0, b"poison"), (0, 1, b"more")))
    assert report.defects == {"malformed_row": 2}
    assert offsets_of(context, "kafka").next_of == {("t", 0): 2}


def test_readable_messages_without_text_stop_with_what_to_do(context):
    with pytest.raises(InputFileError, match="topic t"):
        take_in_messages(context, messages((0, 0, {"n": 1, "m": 2})), IntakeRequest("kafka"))


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30)), min_size=1, max_size=60),
    st.lists(st.integers(1, 10), max_size=8),
)
def test_any_order_of_deliveries_leaves_each_offset_fresh_once(places, cuts):
    log = sorted(set(places))
    offsets, seen = Offsets(), []
    at = 0
    for cut in [*cuts, len(log)]:
        # Every reader goes on from the ledger, or begins again: never beyond what it has read.
        delivered = log[: at + cut]
        fresh = offsets.fresh(messages(*((p, o, None) for p, o in delivered)))
        seen += zip(fresh["partition"].to_pylist(), fresh["offset"].to_pylist(), strict=True)
        if fresh.num_rows:
            offsets = Offsets.from_bytes(offsets.after(fresh).to_bytes())
        at = min(at + cut, len(log))
    assert sorted(seen) == log
