"""Every language model passes the shipped contract suite; the fake keeps to the vendor's contract."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest

from closeloop.domain.model_answer import AnswerState
from closeloop.domain.model_call import Budget, Price, PriceTable
from closeloop.models.metered_model import MeteredLanguageModel, Terms
from closeloop.models.openai_language_model import OpenAILanguageModel
from closeloop.ports import LanguageModel
from closeloop.store.model_calls import SqlCallLedger
from closeloop.testing import openai_writing
from closeloop.testing.language_model_contract import REQUEST, LanguageModelContract
from closeloop.testing.language_models import ScriptedLanguageModel
from closeloop.testing.openai_replies import Reply, Script, filtered, refusal, too_many
from closeloop.testing.openai_server import FakeOpenAI
from tests.specs import document
from tests.unit.models.language import model_at
from tests.unit.models.remote import Time

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

WAYS_INTO: dict[AnswerState, Script] = {
    AnswerState.REFUSED: openai_writing.refuses(),
    AnswerState.FILTERED_INPUT: filtered(),
    AnswerState.FILTERED_OUTPUT: openai_writing.stopped_by_filter(),
    AnswerState.TOO_LONG: openai_writing.too_long(),
    AnswerState.CUT_SHORT: openai_writing.cut_short(),
    AnswerState.RATE_LIMITED: too_many(after="121"),
    AnswerState.TIMED_OUT: Reply(hang=True),
    AnswerState.MALFORMED: openai_writing.writes('{"same": tru'),
    AnswerState.UNKNOWN_DEPLOYMENT: openai_writing.unknown_deployment(),
    AnswerState.UNAUTHORISED: refusal(401, "401", "Access denied due to invalid key."),
    AnswerState.BUDGET_SPENT: refusal(429, "insufficient_quota", "You exceeded your quota."),
    AnswerState.UNAVAILABLE: Reply(drop=True),
}


class OverTheWire(LanguageModelContract):
    """Each state by what a service really sends."""

    azure = False
    responses_api = True
    settings: ClassVar[dict[str, Any]] = {}

    @pytest.fixture(autouse=True)
    def _service(self) -> Iterator[None]:
        with FakeOpenAI(azure=self.azure, responses_api=self.responses_api) as self.service:
            yield

    def model(self, *states: AnswerState) -> LanguageModel:
        for state in states:
            if state not in WAYS_INTO:
                pytest.skip(f"no service ends a request as {state}")
            self.service.then(WAYS_INTO[state])
        return model_at(self.service, Time(), **({"timeout_s": 0.3} | self.settings))


class TestAzureResponses(OverTheWire):
    azure = True


class TestAzureChat(OverTheWire):
    azure = True
    settings: ClassVar[dict[str, Any]] = {"api": "chat"}


class TestCompatibleResponses(OverTheWire):
    pass


class TestCompatibleChat(OverTheWire):
    """A local server that has no Responses API and is told so."""

    responses_api = False
    settings: ClassVar[dict[str, Any]] = {"api": "chat"}


class TestMetered(OverTheWire):
    """With kept answers, ledger and budget around it, as the loop is given it."""

    azure = True

    @pytest.fixture(autouse=True)
    def _ledger(self) -> Iterator[None]:
        self.ledger = SqlCallLedger("sqlite://")
        yield
        self.ledger.close()

    def model(self, *states: AnswerState) -> LanguageModel:
        inner = super().model(*states)
        assert isinstance(inner, OpenAILanguageModel)
        prices = PriceTable({"gpt-5-mini": Price(0.25, 2.0)}, "2026-11-25", "a test")
        terms = Terms(
            prices=prices,
            budget=Budget(1.0, 1.0, 1_000),
            now=lambda: datetime.now(UTC),
            priced_as=("gpt-5-mini",),
        )
        return MeteredLanguageModel(inner, ledger=self.ledger, terms=terms)


class TestScripted(LanguageModelContract):
    def model(self, *states: AnswerState) -> LanguageModel:
        return ScriptedLanguageModel().then(*states)


@pytest.mark.parametrize("azure", [True, False])
@pytest.mark.parametrize("api", ["responses", "chat"])
def test_requests_and_answers_keep_to_the_vendors_contract(azure: bool, api: str) -> None:
    openai = document("openai-chat-responses-embeddings.json")
    with FakeOpenAI(azure=azure, contract=openai) as service:
        model = model_at(service, Time(), api=api, reasoning_effort="low")
        service.then(
            service.works,
            openai_writing.refuses(),
            openai_writing.cut_short(),
            openai_writing.stopped_by_filter(),
        )
        for number in range(5):
            model.answer(replace(REQUEST, text=f"text {number}"))
        if api == "responses":
            service.then(openai_writing.failed())
            assert model.answer(REQUEST).state is AnswerState.UNAVAILABLE
        assert len(service.asked) == len(service.billed) + (api == "responses")
        assert service.broken == []
