"""Requests in both dialects; every fault becomes a state, in words without secrets, billed once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from closeloop.domain.model_answer import AnswerState, Usage
from closeloop.errors import SettingsError
from closeloop.models.openai_answers import strict_schema
from closeloop.models.openai_auth import TokenAuth
from closeloop.models.openai_faults import hide_secrets
from closeloop.testing.language_model_contract import REQUEST
from closeloop.testing.openai_replies import Asked, Reply, refusal, too_many
from closeloop.testing.openai_server import KEY, FakeOpenAI
from closeloop.testing.openai_writing import failed, refuses, unknown_deployment, writes
from tests.unit.models.language import WRITER, model_at
from tests.unit.models.remote import Time

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI(azure=True) as service:
        yield service


@pytest.fixture
def time() -> Time:
    return Time()


def sent(fake: FakeOpenAI, number: int = -1) -> dict[str, Any]:
    body = fake.asked[number].body
    assert body is not None
    return body


def test_responses_are_asked_without_storing_and_without_temperature(
    fake: FakeOpenAI, time: Time
) -> None:
    answer = model_at(fake, time).answer(REQUEST)
    assert answer.state is AnswerState.ANSWERED
    assert answer.model == f"azure_openai/{WRITER}"
    (asked,) = fake.asked
    assert asked.path == "/openai/v1/responses"
    assert asked.headers["api-key"] == KEY
    body = sent(fake)
    assert (body["store"], "temperature" in body) == (False, False)
    assert body["text"]["format"]["strict"] is True
    assert (body["instructions"], body["input"]) == (REQUEST.instructions, REQUEST.text)


def test_a_compatible_server_is_sent_nothing_it_may_not_know(time: Time) -> None:
    with FakeOpenAI(key=None) as fake:
        model_at(fake, time, api_key=None, api="chat").answer(REQUEST)
        body = sent(fake)
    assert set(body) == {"model", "messages", "response_format", "max_tokens"}


@pytest.mark.parametrize("azure", [True, False])
def test_without_a_responses_api_chat_is_asked_at_once_from_then_on(
    azure: bool, time: Time
) -> None:
    with FakeOpenAI(azure=azure, responses_api=False) as fake:
        model = model_at(fake, time)
        assert model.answer(REQUEST).state is AnswerState.ANSWERED
        assert model.answer(REQUEST).state is AnswerState.ANSWERED
        assert [a.path.rsplit("v1")[1] for a in fake.asked] == [
            "/responses",
            "/chat/completions",
            "/chat/completions",
        ]


def test_a_model_that_responses_does_not_serve_is_asked_by_chat(
    fake: FakeOpenAI, time: Time
) -> None:
    fake.then(refusal(400, "OperationNotSupported", "The responses operation does not work."))
    assert model_at(fake, time).answer(REQUEST).state is AnswerState.ANSWERED


def test_an_unknown_deployment_is_no_missing_api(fake: FakeOpenAI, time: Time) -> None:
    model = model_at(fake, time, deployment="nowhere")
    answer = model.answer(REQUEST)
    assert answer.state is AnswerState.UNKNOWN_DEPLOYMENT
    assert "writer.deployment" in answer.detail
    assert "nowhere" in answer.detail
    assert len(fake.asked) == 1


def test_where_neither_api_is_there_the_address_is_wrong(fake: FakeOpenAI, time: Time) -> None:
    fake.operations.clear()
    model = model_at(fake, time)
    assert model.answer(REQUEST).state is AnswerState.UNKNOWN_DEPLOYMENT
    assert model.answer(REQUEST).state is AnswerState.UNKNOWN_DEPLOYMENT
    assert [a.path.rsplit("/", 1)[1] for a in fake.asked] == ["responses", "completions"] * 2


@pytest.mark.parametrize("lost", ["commits_then_hangs", "commits_then_drops"])
def test_work_that_may_have_been_done_is_not_asked_for_again(
    lost: str, fake: FakeOpenAI, time: Time
) -> None:
    fake.then(getattr(fake, lost))
    heard = model_at(fake, time, timeout_s=0.3).hear(REQUEST)
    assert heard.answer.state in (AnswerState.TIMED_OUT, AnswerState.UNAVAILABLE)
    assert (heard.uncertain, heard.usage) == (True, None)
    assert (len(fake.asked), len(fake.billed)) == (1, 1)


def test_a_gateway_that_timed_out_is_not_asked_again(fake: FakeOpenAI, time: Time) -> None:
    fake.then(refusal(504, "504", "upstream request timeout"))
    heard = model_at(fake, time).hear(REQUEST)
    assert (heard.answer.state, heard.uncertain) == (AnswerState.TIMED_OUT, True)
    assert len(fake.asked) == 1


def test_where_nobody_listens_the_request_is_tried_again_and_costs_nothing(time: Time) -> None:
    with FakeOpenAI(azure=True) as fake:
        model = model_at(fake, time)
    heard = model.hear(REQUEST)
    assert (heard.answer.state, heard.uncertain) == (AnswerState.UNAVAILABLE, False)
    assert len(time.waits) == 7
    assert "gave up after 8 attempts" in heard.answer.detail


@pytest.mark.parametrize(
    ("headers", "wait"),
    [({"after": "7"}, 7.0), ({"after": None, "retry_after_ms": "1500"}, 1.5)],
)
def test_a_busy_service_is_asked_again_when_it_says(
    headers: dict[str, Any], wait: float, fake: FakeOpenAI, time: Time
) -> None:
    fake.then(too_many(**headers), too_many(**headers))
    assert model_at(fake, time).answer(REQUEST).state is AnswerState.ANSWERED
    assert time.waits == [wait, wait]
    assert len(fake.billed) == 1


def test_a_longer_wait_than_two_minutes_is_a_state(fake: FakeOpenAI, time: Time) -> None:
    fake.then(too_many(after="90"), too_many(after="31"))
    answer = model_at(fake, time).answer(REQUEST)
    assert answer.state is AnswerState.RATE_LIMITED
    assert "asks for 31 s more" in answer.detail
    assert time.waits == [90.0]


def test_an_expired_token_is_renewed_once(fake: FakeOpenAI, time: Time) -> None:
    tokens = iter(["old-token-0001", "new-token-0002", "more"])
    fake.keys = {"new-token-0002"}

    def credential() -> Any:
        def get_token(scope: str) -> Any:
            assert scope == "https://ai.azure.com/.default"
            return SimpleNamespace(token=next(tokens), expires_on=9e9)

        return SimpleNamespace(get_token=get_token)

    model = model_at(fake, time)
    model._service._auth = TokenAuth(credential, scope="https://ai.azure.com/.default")
    assert model.answer(REQUEST).state is AnswerState.ANSWERED
    fake.keys = {"neither"}
    answer = model.answer(REQUEST)
    assert answer.state is AnswerState.UNAUTHORISED
    assert len(fake.asked) == 4
    assert "token-" not in answer.detail


def test_a_key_that_is_not_there_is_a_state(fake: FakeOpenAI, time: Time) -> None:
    def missing() -> str:
        raise SettingsError("closeloop.yaml: writer.api_key: MY_KEY is not set", hint="export it")

    answer = model_at(fake, time, api_key=missing).answer(REQUEST)
    assert answer.state is AnswerState.UNAUTHORISED
    assert "MY_KEY is not set" in answer.detail
    assert fake.asked == []


@pytest.mark.parametrize(
    ("reply", "state"),
    [
        (Reply(body=b"<html>sign in</html>"), AnswerState.MALFORMED),
        (Reply(body=b"[1]"), AnswerState.MALFORMED),
        (Reply.of_json({}), AnswerState.MALFORMED),
        (Reply.of_json({"status": "completed", "output": [None, {"type": "message"}]}),
         AnswerState.MALFORMED),
        (writes("```json\n{}\n```"), AnswerState.MALFORMED),
        (writes("[]"), AnswerState.MALFORMED),
        (writes("[" * 100_000), AnswerState.MALFORMED),
        (failed(), AnswerState.UNAVAILABLE),
        (failed("rate_limit_exceeded"), AnswerState.RATE_LIMITED),
        (failed("invalid_prompt"), AnswerState.FILTERED_INPUT),
        (refusal(413, "413", "Request too large"), AnswerState.TOO_LONG),
        (refusal(400, "unsupported_parameter", "no 'store' here"), AnswerState.UNAVAILABLE),
        (refusal(403, "403", "Forbidden"), AnswerState.UNAUTHORISED),
    ],
)  # fmt: skip
def test_what_else_a_service_sends_has_a_state(
    reply: Any, state: AnswerState, fake: FakeOpenAI, time: Time
) -> None:
    fake.then(reply)
    answer = model_at(fake, time).answer(REQUEST)
    assert answer.state is state, answer.detail
    assert answer.text is None


def test_no_secret_and_no_text_of_the_request_reaches_the_detail(
    fake: FakeOpenAI, time: Time
) -> None:
    words = "the payment failed and my füße hurt"
    for said in (
        f"bad key {KEY}, sk-proj-abc123def456, Bearer eyJhbGciOi.x.y",
        "sig=abcdef123456 and 0123456789abcdef0123456789abcdef",
        f"invalid input: {words}",
    ):
        fake.then(refusal(400, "invalid_request", said))
        detail = model_at(fake, time).answer(replace(REQUEST, text=words)).detail
        for hidden in (KEY, "sk-proj", "eyJ", "abcdef", "failed and", "hurt"):
            assert hidden not in detail
        assert "refused the request (400 invalid_request)" in detail


def test_a_refusal_is_not_repeated_in_words(fake: FakeOpenAI, time: Time) -> None:
    fake.then(refuses("I will not repeat jane@example.com"))
    assert "jane" not in model_at(fake, time).answer(REQUEST).detail


def test_the_instructions_are_read_from_the_cache_the_second_time(
    fake: FakeOpenAI, time: Time
) -> None:
    request = replace(REQUEST, instructions="Judge with care. " * 400)
    model = model_at(fake, time)
    assert model.answer(request).usage.cached == 0
    usage = model.answer(replace(request, text="another pair")).usage
    assert usage.cached == 1_664
    assert usage.input > usage.cached


def test_a_service_that_states_no_use_leaves_it_open(fake: FakeOpenAI, time: Time) -> None:
    def silent(asked: Asked) -> Reply:
        body = json.loads(fake.works(asked).body)
        del body["usage"]
        return Reply.of_json(body)

    fake.then(silent)
    heard = model_at(fake, time).hear(REQUEST)
    assert (heard.answer.state, heard.usage, heard.answer.usage) == (
        AnswerState.ANSWERED,
        None,
        Usage(),
    )


def test_limits_of_length_are_those_of_the_settings(fake: FakeOpenAI, time: Time) -> None:
    model_at(fake, time, max_output_tokens=50, reasoning_tokens=1_000).answer(REQUEST)
    assert sent(fake)["max_output_tokens"] == 1_050
    model_at(fake, time, reasoning_effort="low").answer(replace(REQUEST, max_output_tokens=1))
    assert sent(fake)["max_output_tokens"] == 16
    assert sent(fake)["reasoning"] == {"effort": "low"}


def test_an_answer_that_outgrows_its_limit_is_cut_short(time: Time) -> None:
    with FakeOpenAI(azure=True, writers={WRITER: lambda q: json.dumps({"a": "x" * 900})}) as fake:
        answer = model_at(fake, time).answer(REQUEST)
    assert answer.state is AnswerState.CUT_SHORT
    assert "writer.reasoning_tokens" in answer.detail
    assert answer.usage.output > 0


def test_a_strict_schema_keeps_names_and_loses_refused_keywords() -> None:
    given = {
        "type": "object",
        "title": "Brief",
        "properties": {
            "title": {"type": "string", "maxLength": 120, "pattern": "^x"},
            "items": {
                "type": "array",
                "minItems": 1,
                "items": {"type": "string", "format": "date"},
            },
            "choice": {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}]},
        },
        "required": ["title", "items", "choice"],
        "additionalProperties": False,
    }
    assert strict_schema(given) == {
        "type": "object",
        "properties": {
            "title": {"type": "string"},
            "items": {"type": "array", "items": {"type": "string"}},
            "choice": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        },
        "required": ["title", "items", "choice"],
        "additionalProperties": False,
    }


def test_unknown_deployment_is_said_once(fake: FakeOpenAI, time: Time) -> None:
    fake.then(unknown_deployment())
    assert "404 DeploymentNotFound" in model_at(fake, time).answer(REQUEST).detail


@pytest.mark.parametrize(
    "kept",
    ["the deployment feedback-briefs-production does not exist", "gpt-5-mini", "max_output_tokens"],
)
def test_plain_words_are_no_secrets(kept: str) -> None:
    assert hide_secrets(kept) == kept
