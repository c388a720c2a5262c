"""Accounting: every call reaches gold.model_call once, with how it ended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from closeloop.domain.model_answer import AnswerState, Usage
from closeloop.domain.model_call import ModelCall
from closeloop.stages import account
from closeloop.store.model_calls import SqlCallLedger
from closeloop.tables import MODEL_CALL
from closeloop.testing.context import InMemoryContext
from closeloop.testing.example_rows import AT

CALL = ModelCall(
    key="k", purpose="brief", prompt_version="brief@1", model="m", run="r",
    at=datetime(2026, 11, 25, tzinfo=UTC), reserved_usd=0.5,
)  # fmt: skip


@pytest.fixture
def ledger() -> Iterator[SqlCallLedger]:
    made = SqlCallLedger("sqlite://")
    yield made
    made.close()


def ended(ledger: SqlCallLedger, call: ModelCall, state: AnswerState) -> None:
    number = ledger.begin(call)
    ledger.finish(
        replace(call, number=number, state=state, usage=Usage(9, 3, 2), cost_usd=0.01, seconds=2.0),
        keep=None,
    )


def test_calls_are_mirrored_once_with_their_ends(ledger: SqlCallLedger) -> None:
    context = InMemoryContext(now=AT).as_step(account.NAME)
    ended(ledger, CALL, AnswerState.ANSWERED)
    ended(ledger, CALL, AnswerState.FILTERED_OUTPUT)
    ledger.begin(CALL)
    ledger.begin(replace(CALL, sent=False, state=AnswerState.BUDGET_SPENT, detail="over"))
    account.run(context, ledger)
    assert context.counts == {"model_calls": 4, "filtered_output": 1}
    context = context.next_pass()
    account.run(context, ledger)
    assert context.counts == {}
    rows = sorted(context.rows(MODEL_CALL).to_pylist(), key=lambda r: int(r["call_id"]))
    assert [(r["state"], r["sent"], r["cost_usd"], r["charged_usd"]) for r in rows] == [
        ("answered", True, 0.01, 0.01),
        ("filtered_output", True, 0.01, 0.01),
        ("lost", True, None, 0.5),
        ("budget_spent", False, None, 0.0),
    ]
    assert rows[0]["cached_tokens"] == 3


def test_a_call_of_a_batch_is_brought_up_to_date_when_it_ends(ledger: SqlCallLedger) -> None:
    context = InMemoryContext(now=AT).as_step(account.NAME)
    waiting = replace(CALL, batch="b1")
    number = ledger.begin(waiting)
    ended(ledger, CALL, AnswerState.ANSWERED)
    account.run(context, ledger)
    states = {r["call_id"]: r["state"] for r in context.rows(MODEL_CALL).to_pylist()}
    assert states == {"1": "open", "2": "answered"}
    ledger.finish(replace(waiting, number=number, state=AnswerState.ANSWERED), keep=None)
    account.run(context.next_pass(), ledger)
    states = {r["call_id"]: r["state"] for r in context.rows(MODEL_CALL).to_pylist()}
    assert states == {"1": "answered", "2": "answered"}
