"""Batches: half the price, kept as single answers are, and none twice whatever is cut off."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from closeloop.domain.model_answer import AnswerState
from closeloop.domain.model_call import Budget, Price, PriceTable
from closeloop.models import openai_batches
from closeloop.models.batched_model import BatchedModel, DeferringLanguageModel
from closeloop.models.metered_model import MeteredLanguageModel, Terms
from closeloop.store.model_batches import SqlBatchBook
from closeloop.store.model_calls import SqlCallLedger
from closeloop.testing.language_model_contract import REQUEST
from closeloop.testing.openai_replies import Asked, Reply, refusal
from closeloop.testing.openai_server import FakeOpenAI
from tests.unit.models.language import WRITER, model_at
from tests.unit.models.remote import Time

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

PRICES = PriceTable({WRITER: Price(1.0, 10.0)}, "2026-11-01", "a test")
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
REQUESTS = [replace(REQUEST, text=f"pair {n}", about=(f"f{n}",)) for n in range(4)]


class Bench:
    """A fake service and a ledger in memory; models over them are made anew as after a kill."""

    def __init__(self, fake: FakeOpenAI, ledger: SqlCallLedger) -> None:
        self.fake, self.ledger = fake, ledger
        self.book = SqlBatchBook(ledger)
        self.budget = Budget(1.0, 1.0, 100)

    @property
    def terms(self) -> Terms:
        return Terms(PRICES, self.budget, now=lambda: NOON, priced_as=(WRITER,))

    def batched(self, *, deployment: str | None = None, **settings: Any) -> BatchedModel:
        return BatchedModel(
            model_at(self.fake, Time(), **({"timeout_s": 0.3} | settings)),
            ledger=self.ledger,
            book=self.book,
            terms=self.terms,
            deployment=deployment,
        )

    def single(self, **settings: Any) -> MeteredLanguageModel:
        return MeteredLanguageModel(
            model_at(self.fake, Time(), **settings), ledger=self.ledger, terms=self.terms
        )

    def states(self) -> list[str | None]:
        return [c.state and c.state.value for c in self.ledger.calls()]


@pytest.fixture(params=[True, False], ids=["azure", "compatible"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    ledger = SqlCallLedger("sqlite://")
    with FakeOpenAI(azure=request.param) as fake:
        yield Bench(fake, ledger)
    ledger.close()


@pytest.mark.parametrize("api", ["responses", "chat"])
def test_answers_of_a_batch_are_found_by_single_requests_at_half_the_price(
    api: str, bench: Bench
) -> None:
    bench.fake.batching.polls = 2
    batched = bench.batched(api=api)
    assert batched.submit(REQUESTS).submitted == 4
    assert bench.batched(api=api).advance()[0].status == "in_progress"
    (status,) = bench.batched(api=api).advance()
    assert (status.status, status.requests, status.ended) == ("completed", 4, {"answered": 4})
    asked = len(bench.fake.asked)
    answers = [bench.single(api=api).answer(r) for r in REQUESTS]
    assert all(a.kept and a.text for a in answers)
    assert len(bench.fake.asked) == asked
    spent = bench.ledger.spent()
    billed = sum(
        u.get("input_tokens", u.get("prompt_tokens"))
        + 10 * u.get("output_tokens", u.get("completion_tokens"))
        for u in bench.fake.billed
    )
    assert spent.usd == pytest.approx(billed / 1e6 / 2)
    assert spent.calls == len(bench.fake.billed) == 4


def test_nothing_stays_at_the_service(bench: Bench) -> None:
    batched = bench.batched()
    batched.submit(REQUESTS)
    batched.advance()
    assert bench.fake.batching.files == {}
    assert batched.advance() == []


def test_a_request_is_handed_in_once(bench: Bench) -> None:
    bench.fake.batching.polls = 9
    bench.single().answer(REQUESTS[0])
    assert bench.batched().submit(REQUESTS[:3] + REQUESTS[:1]).submitted == 2
    again = bench.batched().submit(REQUESTS)
    assert (again.kept, again.waiting, again.submitted) == (1, 2, 1)


def test_lines_that_end_badly_have_their_states(bench: Bench) -> None:
    said = {"pair 1": "{not json", "pair 2": json.dumps({"a": "x" * 4_000})}
    bench.fake.writing._models[WRITER] = lambda q: said.get(q.text, "{}")
    forbidden = replace(REQUESTS[3], text="FORBIDDEN words")
    batched = bench.batched()
    batched.submit([*REQUESTS[:3], forbidden])
    (status,) = bench.batched().advance() or [None]
    assert status is not None
    assert status.ended == {"answered": 1, "malformed": 1, "cut_short": 1, "filtered_input": 1}
    assert bench.single().answer(forbidden).kept
    assert not bench.single().answer(REQUESTS[1]).kept


def test_a_batch_that_expires_leaves_what_it_has_and_the_rest_can_be_asked(bench: Bench) -> None:
    bench.fake.batching.outcome = "expired"
    bench.batched().submit(REQUESTS)
    (status,) = bench.batched().advance()
    assert status.ended == {"answered": 2, "timed_out": 2}
    assert bench.ledger.spent().usd < 0.001
    assert bench.batched().submit(REQUESTS).submitted == 2


def test_a_batch_that_fails_says_why(bench: Bench) -> None:
    bench.fake.batching.outcome = "failed"
    bench.batched().submit(REQUESTS)
    (status,) = bench.batched().advance()
    assert (status.status, status.detail) == ("failed", "invalid_json_line")
    assert status.ended == {"unavailable": 4}
    assert "failed (invalid_json_line)" in bench.ledger.calls()[0].detail
    assert bench.fake.billed == []


class Killed(BaseException):
    """Stands for a kill: nothing after it runs."""


@pytest.mark.parametrize("step", ["upload", "create", "handed_in", "lines", "remove", "collected"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_anywhere_there_is_one_batch_and_every_answer_is_kept(
    step: str, after: bool, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner: Any = (
        SqlBatchBook if step in ("handed_in", "collected") else openai_batches.OpenAIBatches
    )
    whole = getattr(owner, step)

    def killed(self: Any, *given: Any, **named: Any) -> Any:
        if after:
            whole(self, *given, **named)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(owner, step, killed)
        try:
            bench.batched().submit(REQUESTS)
            bench.batched().advance()
        except Killed:
            pass
        else:
            pytest.fail("the step was not reached")
    for _ in range(2):
        bench.batched().submit(REQUESTS)
        bench.batched().advance()
    assert len(bench.fake.batching.batches) == 1
    assert len(bench.fake.billed) == 4
    assert bench.states() == ["answered"] * 4
    assert all(bench.single().answer(r).kept for r in REQUESTS)


def test_killed_between_the_ends_of_two_calls_the_rest_is_collected(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.batched().submit(REQUESTS)
    whole, calls = bench.ledger.finish, []

    def second_is_killed(call: Any, **named: Any) -> None:
        calls.append(call)
        if len(calls) == 2:
            raise Killed
        whole(call, **named)

    monkeypatch.setattr(bench.ledger, "finish", second_is_killed)
    with pytest.raises(Killed):
        bench.batched().advance()
    monkeypatch.undo()
    (status,) = bench.batched().advance()
    assert (status.requests, status.ended) == (3, {"answered": 3})


@pytest.mark.parametrize("lost", ["commits_then_hangs", "commits_then_drops"])
def test_a_batch_whose_id_never_arrived_is_found_again(lost: str, bench: Bench) -> None:
    bench.fake.batching.polls = 9
    whole = getattr(bench.fake, lost)
    # list, upload, create
    bench.fake.then(bench.fake.works, bench.fake.works, whole)
    bench.batched().submit(REQUESTS)
    (held,) = bench.book.open_submissions()
    assert held.batch_id is None
    (status,) = bench.batched().advance()
    assert status.status == "validating"
    assert len(bench.fake.batching.batches) == 1


def test_a_service_that_is_down_loses_no_submission(bench: Bench) -> None:
    bench.fake.then(*[refusal(401, "401", "no")] * 2)
    assert bench.batched().submit(REQUESTS).submitted == 4
    (status,) = bench.batched().advance()
    assert status.status == "unsent"
    assert "refused the key" in status.detail
    bench.batched().advance()
    (status,) = bench.batched().advance()
    assert status.ended == {"answered": 4}


def test_an_old_batch_is_found_behind_many_newer_ones(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openai_batches, "LISTED", 2)
    client = bench.batched()._batches
    file_id = client.upload("x.jsonl", b"{}\n")
    assert isinstance(file_id, str)
    for mark in "abcde":
        client.create(file_id, path="/responses", mark=mark)
    found = client.find("a")
    assert isinstance(found, openai_batches.RemoteBatch)
    assert found.mark == "a"
    assert client.find("z") is None


def test_the_budget_bounds_a_batch_and_what_waits_counts(bench: Bench) -> None:
    bench.fake.batching.polls = 9
    bench.budget = Budget(0.0025, 1.0, 100)
    done = bench.batched().submit(REQUESTS)
    assert 0 < done.submitted < 4
    assert done.over_budget == 4 - done.submitted
    assert "writer.budget.daily_usd" in done.why
    assert bench.ledger.spent().usd <= 0.0025
    assert bench.single().answer(REQUEST).state is AnswerState.BUDGET_SPENT


def test_a_batch_has_a_deployment_of_its_own_and_keeps_the_models_name(bench: Bench) -> None:
    bench.fake.writing._models["nightly"] = bench.fake.writing._models[WRITER]
    bench.batched(deployment="nightly").submit(REQUESTS)
    content = next(iter(bench.fake.batching.files.values()))
    assert {json.loads(line)["body"]["model"] for line in content.splitlines()} == {"nightly"}
    bench.batched(deployment="nightly").advance()
    assert bench.single().answer(REQUESTS[0]).kept


def test_what_is_erased_while_it_waits_is_not_kept(bench: Bench) -> None:
    bench.batched().submit(REQUESTS)
    assert bench.ledger.forget(feedback_ids=["f1"], texts=[]) == 1
    (status,) = bench.batched().advance()
    assert status.ended == {"answered": 4}
    kept = [bench.batched().kept(r) is not None for r in REQUESTS]
    assert kept == [True, False, True, True]


def test_a_run_that_defers_hands_in_what_it_noted_and_finds_it_kept(bench: Bench) -> None:
    deferring = DeferringLanguageModel(bench.batched())
    first = [deferring.answer(r).state for r in [*REQUESTS, REQUESTS[0]]]
    assert set(first) == {AnswerState.DEFERRED}
    assert bench.fake.asked == []
    assert deferring.hand_in().submitted == 4
    bench.batched().advance()
    again = DeferringLanguageModel(bench.batched())
    assert [again.answer(r).state for r in REQUESTS] == [AnswerState.ANSWERED] * 4
    assert again.noted == {}


def test_many_requests_become_several_files(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("closeloop.models.batched_model.MAX_REQUESTS", 3)
    bench.batched().submit(REQUESTS)
    assert len(bench.fake.batching.batches) == 2
    assert sorted(s.requests for s in bench.batched().advance()) == [1, 3]


def test_odd_texts_travel_through_a_file(bench: Bench) -> None:
    odd = [replace(REQUEST, text=t) for t in ("two\nlines\r\n--", "NUL \0", "\ud800", "क्या 👍")]
    bench.batched().submit(odd)
    (status,) = bench.batched().advance()
    assert status.ended == {"answered": 4}


def test_a_file_of_answers_with_broken_lines_ends_what_it_can(bench: Bench) -> None:
    def broken(asked: Asked) -> Reply:
        whole = bench.fake.works(asked)
        return replace(whole, body=b"{half\n[1]\n" + whole.body.split(b"\n")[0])

    bench.batched().submit(REQUESTS)
    bench.fake.then(bench.fake.works, broken)
    (status,) = bench.batched().advance()
    assert status.ended == {"answered": 1, "unavailable": 3}
