"""A language model over the Responses API of (Azure) OpenAI, or chat completions where it lacks."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from closeloop.domain.model_answer import AnswerState, ModelAnswer, ModelRequest, Usage
from closeloop.errors import ModelMissingError, redact
from closeloop.models.openai_answers import CHAT, RESPONSES, Dialect, Said, Wording
from closeloop.models.openai_faults import Fault, Reason, Refusal
from closeloop.models.openai_service import OpenAIService

BYTES_PER_TOKEN = 3
"""For pacing and for what a budget sets aside. English has about four bytes a token, Hindi three."""
REPEATED_CHARACTERS = 24
"""A service's message that shares so many characters with the request repeats it."""
NO_SUCH_API = frozenset({404, 405, 501})
MODEL_UNKNOWN = ("deploymentnotfound", "model_not_found", "invalid_model")
UNFIT_FOR_RESPONSES = ("operationnotsupported", "unsupported_api")


@dataclass(frozen=True, slots=True)
class Heard:
    """An answer, and what is needed to account for it.

    `usage` is None where the service states none; `uncertain` says that it may have done and
    billed the work although no answer came. `served` is the model that the service says it used,
    `wait_s` how long it asks to be left alone.
    """

    answer: ModelAnswer
    usage: Usage | None
    uncertain: bool = False
    served: str = ""
    wait_s: float | None = None


class OpenAILanguageModel:
    """Asks one deployment of an (Azure) OpenAI service or a compatible server, once a request.

    Texts must be masked before: they leave this machine. Nothing is stored there. Where the server
    has no Responses API, chat completions are asked, from then on at once. No temperature is sent:
    reasoning models refuse one. `reasoning_tokens` come on top of each request's own limit,
    `max_output_tokens` bounds that limit.
    """

    def __init__(
        self,
        service: OpenAIService,
        *,
        name: str,
        wording: Wording,
        dialect: Dialect = RESPONSES,
        max_output_tokens: int | None = None,
        reasoning_tokens: int = 0,
    ) -> None:
        self._service = service
        self._name = name
        self._wording = wording
        self._dialect = dialect
        self._max_output_tokens = max_output_tokens
        self._reasoning_tokens = reasoning_tokens

    @property
    def name(self) -> str:
        """Deployment and kind of service."""
        return self._name

    @property
    def service(self) -> OpenAIService:
        """The service it asks."""
        return self._service

    @property
    def dialect(self) -> Dialect:
        """The API it asks by."""
        return self._dialect

    def body(self, request: ModelRequest) -> dict[str, Any]:
        """Return what is sent for a request."""
        return self._dialect.body(self.bounded(request), self._wording)

    @property
    def place(self) -> str:
        """Host of the service, for people."""
        return self._service.where

    def answer(self, request: ModelRequest) -> ModelAnswer:
        """Return what came of the request; no fault of the service is raised."""
        return self.hear(request).answer

    def hear(self, request: ModelRequest) -> Heard:
        """Return what came of the request, with what the service states of its use."""
        bounded = self.bounded(request)
        try:
            outcome = self._ask(bounded)
        except ModelMissingError as error:
            detail = f"{error.message}: {error.hint}"
            return Heard(self._without(AnswerState.UNAVAILABLE, detail), Usage())
        return self.understand(outcome, request)

    def understand(self, outcome: Said | Refusal | Fault, request: ModelRequest) -> Heard:
        """Return what an outcome says of a request, with its state; also a line of a batch."""
        if isinstance(outcome, Said):
            return Heard(
                ModelAnswer(
                    state=outcome.state,
                    model=self._name,
                    text=outcome.text,
                    detail=outcome.detail,
                    usage=outcome.usage or Usage(),
                ),
                outcome.usage,
                served=outcome.served,
            )
        if isinstance(outcome, Refusal):
            return Heard(self._refused(outcome), Usage())
        detail = _without_request(outcome.error.message, outcome.error.hint, request)
        return Heard(
            self._without(outcome.state, detail),
            None if outcome.uncertain else Usage(),
            uncertain=outcome.uncertain,
            wait_s=outcome.wait_s,
        )

    def bounded(self, request: ModelRequest) -> ModelRequest:
        """Return the request with the limit of tokens that is sent."""
        limit = request.max_output_tokens
        if self._max_output_tokens is not None:
            limit = min(limit, self._max_output_tokens)
        return replace(request, max_output_tokens=limit + self._reasoning_tokens)

    def _ask(self, request: ModelRequest) -> Said | Refusal | Fault:
        outcome = self._ask_in(self._dialect, request)
        if self._dialect is RESPONSES and isinstance(outcome, Fault) and _has_no_responses(outcome):
            other = self._ask_in(CHAT, request)
            if isinstance(other, Fault) and other.status in NO_SUCH_API:
                # Neither is there: the address or the deployment is wrong, not the API.
                return other
            self._dialect = CHAT
            return other
        return outcome

    def _ask_in(self, dialect: Dialect, request: ModelRequest) -> Said | Refusal | Fault:
        body = dialect.body(request, self._wording)
        outcome = self._service.attempt(dialect.path, body, tokens=tokens_at_most(request))
        return read_answer(dialect, outcome) if isinstance(outcome, dict) else outcome

    def _refused(self, refusal: Refusal) -> ModelAnswer:
        if refusal.reason is Reason.TOO_LONG:
            detail = f"{self.place}: the request is longer than the model reads ({refusal.status})"
            return self._without(AnswerState.TOO_LONG, detail)
        detail = f"{self.place}: its content filter refused the request ({refusal.status})"
        return self._without(AnswerState.FILTERED_INPUT, detail)

    def _without(self, state: AnswerState, detail: str) -> ModelAnswer:
        return ModelAnswer(state=state, model=self._name, detail=detail)


def read_answer(dialect: Dialect, answer: Mapping[str, Any]) -> Said:
    """Return what a good answer says, with the model that the service says it used."""
    return replace(dialect.read(answer), served=redact(answer.get("model") or ""))


def tokens_at_most(request: ModelRequest) -> int:
    """Return about how many tokens a request uses when its answer is as long as it may be."""
    return input_tokens(request) + request.max_output_tokens


def input_tokens(request: ModelRequest) -> int:
    """Return about how many tokens a model reads for a request."""
    texts = (request.instructions, request.text, str(dict(request.schema)))
    return sum(len(t.encode("utf-8", "replace")) for t in texts) // BYTES_PER_TOKEN + 1


def _has_no_responses(fault: Fault) -> bool:
    code = fault.code.lower()
    if any(part in code for part in UNFIT_FOR_RESPONSES):
        return True
    return fault.status in NO_SUCH_API and not any(part in code for part in MODEL_UNKNOWN)


def _without_request(message: str, hint: str, request: ModelRequest) -> str:
    """Return a service's message for log and tables, unless it repeats what it was asked."""
    # Messages are escaped already: only what is escaped too can be found in them.
    asked = redact(f"{request.instructions} {request.text}", keep=sys.maxsize)
    size = REPEATED_CHARACTERS
    for start in range(max(0, len(message) - size + 1)):
        if message[start : start + size] in asked:
            head = message.split(": ", 2)[:2]
            message = f"{': '.join(head)}: (it repeats the request)"
            break
    return f"{message}; {hint}" if hint else message
