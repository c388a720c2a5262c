"""Nothing is paid twice, budgets hold, a sick service is left alone, and all of it is counted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from closeloop.domain.model_answer import AnswerState, ModelAnswer, ModelRequest, Usage
from closeloop.domain.model_call import Budget, Price, PriceTable
from closeloop.errors import TransientError
from closeloop.models.metered_model import MeteredLanguageModel, Terms
from closeloop.models.openai_language_model import Heard
from closeloop.store.model_calls import SqlCallLedger
from closeloop.testing.language_model_contract import REQUEST

PRICES = PriceTable({"scripted": Price(1.0, 10.0, cached_input=0.1)}, "2026-11-01", "a test")
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


class Scripted:
    """A model at hand that gives what it is told and counts how often it is asked."""

    name = "scripted"

    def __init__(self) -> None:
        self.asked: list[ModelRequest] = []
        self.next: list[Heard] = []

    def bounded(self, request: ModelRequest) -> ModelRequest:
        return request

    def hear(self, request: ModelRequest) -> Heard:
        self.asked.append(request)
        return self.next.pop(0) if self.next else answered()


USED = Usage(100, 40, 20)


def answered(text: str = "{}", *, usage: Usage | None = USED) -> Heard:
    answer = ModelAnswer(AnswerState.ANSWERED, "scripted", text=text, usage=usage or Usage())
    return Heard(answer, usage)


def without(state: AnswerState, *, uncertain: bool = False, wait_s: float | None = None) -> Heard:
    answer = ModelAnswer(state, "scripted", detail=f"it was {state}")
    return Heard(answer, None if uncertain else Usage(), uncertain=uncertain, wait_s=wait_s)


class Bench:
    """A metered model over a ledger in memory, with a clock that a test moves."""

    def __init__(self, ledger: SqlCallLedger) -> None:
        self.ledger = ledger
        self.model = Scripted()
        self.now = NOON

    def metered(
        self, *, daily: float = 1.0, run: float = 1.0, calls: int = 100, prices: PriceTable = PRICES
    ) -> MeteredLanguageModel:
        terms = Terms(
            prices=prices,
            budget=Budget(daily, run, calls),
            now=lambda: self.now,
            priced_as=("scripted",),
        )
        made = MeteredLanguageModel(
            self.model, ledger=self.ledger, terms=terms, stopwatch=lambda: self.now.timestamp()
        )
        made.begin_run("run-1")
        return made

    def states(self) -> list[str | None]:
        return [c.state and c.state.value for c in self.ledger.calls()]


@pytest.fixture
def bench() -> Iterator[Bench]:
    ledger = SqlCallLedger("sqlite://")
    yield Bench(ledger)
    ledger.close()


def other(number: int) -> ModelRequest:
    return replace(REQUEST, text=f"pair {number}")


def test_the_same_request_is_paid_once(bench: Bench) -> None:
    first = bench.metered().answer(REQUEST)
    again = bench.metered().answer(REQUEST)
    assert len(bench.model.asked) == 1
    assert (first.kept, again.kept) == (False, True)
    assert again.text == first.text
    assert (again.cost_usd, again.usage) == (0.0, Usage())
    # 60 tokens read at $1, 40 from the cache at $.1, 20 written at $10, a million each
    assert first.cost_usd == pytest.approx((60 * 1.0 + 40 * 0.1 + 20 * 10.0) / 1e6)


@pytest.mark.parametrize("field", ["purpose", "prompt_version", "instructions", "text", "schema_name"])  # fmt: skip
def test_a_request_that_differs_is_another(field: str, bench: Bench) -> None:
    metered = bench.metered()
    metered.answer(REQUEST)
    metered.answer(replace(REQUEST, **{field: "different"}))
    assert len(bench.model.asked) == 2


def test_whom_a_request_is_about_is_no_part_of_it(bench: Bench) -> None:
    metered = bench.metered()
    metered.answer(REQUEST)
    assert metered.answer(replace(REQUEST, about=("f1",))).kept


@pytest.mark.parametrize(
    "state",
    [AnswerState.REFUSED, AnswerState.FILTERED_INPUT, AnswerState.TOO_LONG, AnswerState.CUT_SHORT],
)
def test_an_end_that_would_come_again_is_kept_for_a_week(state: AnswerState, bench: Bench) -> None:
    metered = bench.metered()
    bench.model.next = [without(state)]
    assert metered.answer(REQUEST).state is state
    bench.now += timedelta(days=6)
    again = metered.answer(REQUEST)
    assert (again.state, again.kept) == (state, True)
    bench.now += timedelta(days=2)
    assert metered.answer(REQUEST).state is AnswerState.ANSWERED
    assert metered.answer(REQUEST).kept


@pytest.mark.parametrize(
    "state", [AnswerState.MALFORMED, AnswerState.TIMED_OUT, AnswerState.RATE_LIMITED]
)
def test_an_end_that_may_pass_is_asked_again(state: AnswerState, bench: Bench) -> None:
    bench.model.next = [without(state)]
    metered = bench.metered()
    metered.answer(REQUEST)
    bench.now += timedelta(minutes=6)
    assert metered.answer(REQUEST).state is AnswerState.ANSWERED


def test_a_kept_answer_of_another_model_does_not_count(bench: Bench) -> None:
    bench.metered().answer(REQUEST)
    bench.model.name = "scripted/2"  # type: ignore[misc]
    assert not bench.metered().answer(REQUEST).kept


def test_a_day_ends_the_daily_budget_and_not_before(bench: Bench) -> None:
    # Each call sets aside some $.0022 and costs $.000264.
    metered = bench.metered(daily=0.003)
    states = [metered.answer(other(n)).state for n in range(6)]
    assert states[0] is AnswerState.ANSWERED
    assert states[-1] is AnswerState.BUDGET_SPENT
    spent = bench.ledger.spent()
    assert spent.usd <= 0.003
    assert spent.calls == len(bench.model.asked) == states.count(AnswerState.ANSWERED)
    assert bench.ledger.calls()[-1].sent is False
    bench.now += timedelta(hours=13)
    assert bench.metered(daily=0.003).answer(other(9)).state is AnswerState.ANSWERED


def test_a_run_has_a_budget_of_its_own(bench: Bench) -> None:
    metered = bench.metered(run=0.003)
    while metered.answer(other(len(bench.model.asked))).state is AnswerState.ANSWERED:
        assert len(bench.model.asked) < 20
    assert "writer.budget.per_run_usd ($0.003)" in metered.answer(other(99)).detail
    metered.begin_run("run-2")
    assert metered.answer(other(99)).state is AnswerState.ANSWERED


def test_without_a_price_calls_are_counted_and_cost_is_unknown(bench: Bench) -> None:
    metered = bench.metered(calls=2, daily=0.0, prices=PriceTable({}, "2026-11-01", "a test"))
    answers = [metered.answer(other(n)) for n in range(3)]
    assert [a.state for a in answers] == [
        AnswerState.ANSWERED, AnswerState.ANSWERED, AnswerState.BUDGET_SPENT
    ]  # fmt: skip
    assert answers[0].cost_usd is None
    spent = bench.ledger.spent()
    assert (spent.calls, spent.unpriced, spent.usd, spent.tokens) == (2, 2, 0.0, 240)


def test_a_model_that_the_service_names_gives_the_price(bench: Bench) -> None:
    bench.model.next = [replace(answered(), served="gpt-x-2026-01-02")]
    prices = PriceTable({"gpt-x": Price(1.0, 1.0)}, "2026-11-01", "a test")
    metered = bench.metered(prices=prices)
    assert metered.answer(other(1)).cost_usd == pytest.approx(120e-6)
    metered.answer(other(2))
    assert bench.ledger.calls()[1].reserved_usd is not None


def test_an_answer_without_stated_use_has_unknown_cost(bench: Bench) -> None:
    bench.model.next = [answered(usage=None)]
    assert bench.metered().answer(REQUEST).cost_usd is None
    assert bench.ledger.spent().unpriced == 1


def test_a_call_without_an_answer_counts_with_all_that_was_set_aside(bench: Bench) -> None:
    bench.model.next = [without(AnswerState.TIMED_OUT, uncertain=True)]
    bench.metered().answer(REQUEST)
    (call,) = bench.ledger.calls()
    assert call.uncertain
    assert bench.ledger.spent().usd == pytest.approx(call.reserved_usd)
    assert call.reserved_usd > 200 * 10 / 1e6


class Killed(BaseException):
    """Stands for a kill: nothing after it runs."""


def test_killed_between_call_and_write_one_call_is_repeated(bench: Bench) -> None:
    metered = bench.metered()
    metered.answer(other(1))

    def killed(request: ModelRequest) -> Heard:
        bench.model.asked.append(request)
        raise Killed

    working, bench.model.hear = bench.model.hear, killed  # type: ignore[method-assign]
    with pytest.raises(Killed):
        metered.answer(other(2))
    bench.model.hear = working  # type: ignore[method-assign]
    metered = bench.metered()
    assert [metered.answer(other(n)).kept for n in (1, 2, 2)] == [True, False, True]
    assert len(bench.model.asked) == 3
    assert bench.states() == ["answered", None, "answered"]
    lost = bench.ledger.calls()[1]
    assert lost.charged_usd == lost.reserved_usd


def test_nothing_is_sent_that_can_not_be_recorded(bench: Bench, monkeypatch: Any) -> None:
    def full(call: Any) -> int:
        raise TransientError("the operational database failed: disk full")

    monkeypatch.setattr(bench.ledger, "begin", full)
    with pytest.raises(TransientError, match="disk full"):
        bench.metered().answer(REQUEST)
    assert bench.model.asked == []


@pytest.mark.parametrize("state", [AnswerState.UNAUTHORISED, AnswerState.UNKNOWN_DEPLOYMENT])
def test_what_every_request_would_meet_is_not_asked_again_at_once(
    state: AnswerState, bench: Bench
) -> None:
    bench.model.next = [without(state)]
    metered = bench.metered()
    answers = [metered.answer(other(n)) for n in range(5)]
    assert {a.state for a in answers} == {state}
    assert answers[1].detail == f"not asked for another 300 s: it was {state}"
    assert len(bench.model.asked) == 1
    bench.now += timedelta(seconds=301)
    assert metered.answer(other(6)).state is AnswerState.ANSWERED
    assert metered.counts == {state.value: 5, "answered": 1}


def test_a_service_that_fails_three_times_is_left_alone(bench: Bench) -> None:
    bench.model.next = [without(AnswerState.TIMED_OUT, uncertain=True)] * 9
    metered = bench.metered()
    states = [metered.answer(other(n)).state for n in range(6)]
    assert set(states) == {AnswerState.TIMED_OUT}
    assert len(bench.model.asked) == 3
    metered.begin_run("run-2")
    metered.answer(other(7))
    assert len(bench.model.asked) == 4


def test_an_answer_between_failures_starts_the_count_anew(bench: Bench) -> None:
    failing = without(AnswerState.UNAVAILABLE)
    bench.model.next = [failing, failing, answered(), failing, failing, answered()]
    metered = bench.metered()
    for number in range(6):
        metered.answer(other(number))
    assert len(bench.model.asked) == 6


def test_a_busy_service_is_left_alone_as_long_as_it_asks(bench: Bench) -> None:
    bench.model.next = [without(AnswerState.RATE_LIMITED, wait_s=900.0)]
    metered = bench.metered()
    metered.answer(REQUEST)
    bench.now += timedelta(seconds=899)
    assert metered.answer(REQUEST).state is AnswerState.RATE_LIMITED
    bench.now += timedelta(seconds=2)
    assert metered.answer(REQUEST).state is AnswerState.ANSWERED
    assert len(bench.model.asked) == 2
