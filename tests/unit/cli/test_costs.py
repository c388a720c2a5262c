"""`closeloop costs`: what was spent, by what, and an estimate of what waits."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from closeloop.cli.cost_estimate import ASSUMED, usage_of_a_brief
from closeloop.domain.model_answer import AnswerState, Usage
from closeloop.domain.model_call import ModelCall
from closeloop.store.model_calls import SqlCallLedger
from closeloop.tables import BRIEF
from tests.unit.cli.commands import command, shop, told

NOW = datetime.now(UTC)
CALL = ModelCall(
    key="k", purpose="brief", prompt_version="brief@1", model="azure_openai/briefs", run="r",
    at=NOW, reserved_usd=0.05,
)  # fmt: skip


def put(ledger: SqlCallLedger, call: ModelCall, state: AnswerState = AnswerState.ANSWERED) -> None:
    number = ledger.begin(call)
    cost = None if call.reserved_usd is None else 0.002
    done = replace(call, number=number, state=state, usage=Usage(3_000, 1_024, 500), cost_usd=cost)
    ledger.finish(done, keep=None)


def spent(folder: Path) -> None:
    """Make a workspace in which six calls were made, and one was not."""
    ledger = shop(folder).call_ledger
    put(ledger, CALL)
    put(ledger, replace(CALL, purpose="pair"), AnswerState.REFUSED)
    put(ledger, replace(CALL, at=NOW - timedelta(days=3)))
    put(ledger, replace(CALL, at=NOW - timedelta(days=60)))
    put(ledger, replace(CALL, purpose="pair", reserved_usd=None))
    ledger.begin(CALL)
    ledger.begin(replace(CALL, sent=False, state=AnswerState.BUDGET_SPENT))
    ledger.close()


def test_what_was_spent_is_shown_by_purpose(tmp_path: Path) -> None:
    spent(tmp_path)
    found = told(tmp_path, "costs")
    by_purpose = {group["purpose"]: group for group in found["groups"]}
    brief, pair = by_purpose["brief"], by_purpose["pair"]
    assert (brief["calls"], brief["answered"], brief["not_made"]) == (3, 2, 1)
    assert (brief["usd"], brief["unsure"], brief["unsure_usd"]) == (pytest.approx(0.054), 1, 0.05)
    assert (pair["calls"], pair["answered"], pair["unknown_cost"]) == (2, 1, 1)
    assert pair["input_tokens"] == 6_000
    assert found["today"]["calls"] == 4
    assert found["budget"]["daily_usd"] == 2.0


def test_the_table_says_what_is_unknown_and_unsure(tmp_path: Path) -> None:
    spent(tmp_path)
    shown = command(tmp_path, "costs", "--by", "state", "--since", "90d").output
    assert "of $2, 4 of 2,000 calls" in shown
    assert "lost" in shown
    assert "1 call(s) of unknown cost (?)" in shown
    assert "1 call(s) without a known end count with all they may have cost ($0.0500)" in shown
    assert "prices of 2026-11-25" in shown


@pytest.mark.parametrize(("by", "groups"), [("day", 2), ("model", 1), ("state", 4)])
def test_it_is_shown_by_other_groups_too(by: str, groups: int, tmp_path: Path) -> None:
    spent(tmp_path)
    assert len(told(tmp_path, "costs", "--by", by)["groups"]) == groups


def test_where_no_model_was_asked_nothing_is_made(tmp_path: Path) -> None:
    shop(tmp_path)
    assert told(tmp_path, "costs")["groups"] == []
    assert "no language model was asked" in command(tmp_path, "costs").output
    assert not list(tmp_path.glob("*-models.db"))


def test_an_estimate_prices_the_briefs_that_wait(tmp_path: Path) -> None:
    workspace = shop(tmp_path)
    written = {r["signal_id"] for r in workspace.committed(BRIEF).to_pylist()}
    signals = workspace.query("SELECT signal_id FROM gold.signal WHERE NOT historic").to_pylist()
    waiting = sum(r["signal_id"] not in written for r in signals)
    found = told(tmp_path, "costs", "estimate", "--model", "gpt-5-mini", "--model", "mine")
    assert found["briefs"] == waiting
    assert found["basis"].startswith("assumed")
    one = (4_000 * 0.25 + 700 * 2.0) / 1e6
    assert found["models"] == [
        {"model": "gpt-5-mini", "usd": pytest.approx(waiting * one),
         "batch_usd": pytest.approx(waiting * one / 2)},
        {"model": "mine", "usd": None, "batch_usd": None},
    ]  # fmt: skip
    every = told(tmp_path, "costs", "estimate")["models"]
    assert {m["model"] for m in every} == {
        "gpt-6-luna", "gpt-5-mini", "gpt-6.1-terra", "gpt-5.6-terra"
    }  # fmt: skip


def test_past_briefs_and_their_repairs_make_the_mean() -> None:
    brief = replace(CALL, state=AnswerState.ANSWERED, usage=Usage(3_000, 1_000, 600))
    repair = replace(brief, purpose="repair", usage=Usage(4_000, 2_000, 400))
    assert usage_of_a_brief([]) == (ASSUMED, "assumed: none was written yet")
    usage, basis = usage_of_a_brief([brief, brief, repair, replace(brief, purpose="pair")])
    assert (usage, basis) == (Usage(5_000, 2_000, 800), "mean of 2 so far")


def test_an_age_that_is_none_is_refused(tmp_path: Path) -> None:
    shop(tmp_path)
    assert command(tmp_path, "costs", "--since", "soon").exit_code != 0
    assert json.loads(command(tmp_path, "costs", "--since", "2026-01-01", "--json").output)
