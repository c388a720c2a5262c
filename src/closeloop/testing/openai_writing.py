"""What the fake (Azure) OpenAI service does with requests to write: responses and chat completions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from closeloop.domain.model_answer import ModelRequest
from closeloop.testing.openai_replies import Asked, Reply, filtered, refusal
from closeloop.testing.strict_schema import fitting, strictness_faults

CONTEXT_TOKENS = 128_000
CACHED_FROM_TOKENS = 1_024
"""Prompts are cached from so many equal leading tokens on, in steps of 128 (the
vendor's guide on prompt caching)."""
CACHE_STEP = 128


@dataclass(frozen=True, slots=True)
class Question:
    """What a model is asked, whichever API it came by."""

    model: str
    instructions: str
    text: str
    schema_name: str
    schema: Mapping[str, Any]
    max_output_tokens: int


Says = Callable[[Question], str]
"""Gives the text that a model writes."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How an answer ends: with its text, a refusal, cut short, or stopped by the content filter."""

    text: str = ""
    refusal: str | None = None
    cut_short: bool = False
    filtered: bool = False


def whatever_fits(question: Question) -> str:
    """Write the smallest JSON that fits the schema asked for."""
    return json.dumps(fitting(question.schema))


def spoken(says: Callable[[ModelRequest], str]) -> Says:
    """Return a model of the fake service that says what a scripted one does."""

    def say(question: Question) -> str:
        mends = question.instructions.startswith("You wrote a brief")
        return says(
            ModelRequest(
                purpose="repair" if mends else "brief",
                prompt_version="",
                instructions=question.instructions,
                text=question.text,
                schema_name=question.schema_name,
                schema=question.schema,
                max_output_tokens=question.max_output_tokens,
            )
        )

    return say


def writes(text: str) -> Callable[[Asked], Reply]:
    """Return an answer that holds this text, whatever was asked."""
    return lambda asked: reply_of(asked, Ending(text=text))


def refuses(words: str = "I can't help with that.") -> Callable[[Asked], Reply]:
    """Return an answer in which the model refuses."""
    return lambda asked: reply_of(asked, Ending(refusal=words))


def stopped_by_filter(text: str = '{"summary": "they are ') -> Callable[[Asked], Reply]:
    """Return an answer that the content filter stopped."""
    return lambda asked: reply_of(asked, Ending(text=text, filtered=True))


def cut_short(text: str = '{"summary": "customers ') -> Callable[[Asked], Reply]:
    """Return an answer that reached its limit of tokens."""
    return lambda asked: reply_of(asked, Ending(text=text, cut_short=True))


def too_long() -> Reply:
    """Return a 400 for a request longer than the model reads."""
    said = f"This model's maximum context length is {CONTEXT_TOKENS} tokens."
    return refusal(400, "context_length_exceeded", said)


def unknown_deployment() -> Reply:
    """Return Azure's 404 for a deployment that is not there."""
    said = "The API deployment for this resource does not exist."
    return refusal(404, "DeploymentNotFound", said)


def failed(code: str = "server_error") -> Callable[[Asked], Reply]:
    """Return a 200 of the Responses API that says the model failed."""

    def reply(asked: Asked) -> Reply:
        body = _response(asked, question_of(asked), Ending(), cached=0)
        body |= {"status": "failed", "output": []}
        body["error"] = {"code": code, "message": "The server had an error."}
        del body["usage"]
        return Reply.of_json(body)

    return reply


class WritingModels:
    """The models that write, by the name requests give them, and what they have cached."""

    def __init__(self, models: Mapping[str, Says], *, azure: bool) -> None:
        self._models = dict(models)
        self._azure = azure
        self._prefixes: set[tuple[str, str]] = set()

    def answer(self, asked: Asked) -> Reply:
        """Answer as the service does: within its limits, by the model's own words."""
        question = question_of(asked)
        says = self._models.get(question.model)
        if says is None:
            code = "DeploymentNotFound" if self._azure else "model_not_found"
            return refusal(404, code, "The model or deployment does not exist.")
        fault = _fault_of(asked, question)
        if fault is not None:
            return fault
        text = says(question)
        written = tokens_of(text)
        cut = written > question.max_output_tokens
        if cut:
            text = text[: question.max_output_tokens * 4]
        ending = Ending(text=text, cut_short=cut)
        return reply_of(asked, ending, cached=self._cached(question))

    def _cached(self, question: Question) -> int:
        prefix = (question.model, question.instructions)
        seen = prefix in self._prefixes
        self._prefixes.add(prefix)
        size = tokens_of(question.instructions)
        return size // CACHE_STEP * CACHE_STEP if seen and size >= CACHED_FROM_TOKENS else 0


def reply_of(asked: Asked, ending: Ending, *, cached: int = 0) -> Reply:
    """Return an answer with status 200 in the words of the API that was asked."""
    question = question_of(asked)
    make = _response if _is_responses(asked) else _completion
    left = str(100_000 - question.max_output_tokens)
    return Reply.of_json(
        make(asked, question, ending, cached=cached),
        x_ratelimit_limit_requests="100",
        x_ratelimit_remaining_requests="99",
        x_ratelimit_reset_requests="600ms",
        x_ratelimit_limit_tokens="100000",
        x_ratelimit_remaining_tokens=left,
        x_ratelimit_reset_tokens="1s",
    )


def question_of(asked: Asked) -> Question:
    """Return what is asked; fields that are missing are empty."""
    body = asked.body or {}
    if _is_responses(asked):
        form = body.get("text", {}).get("format", {})
        return Question(
            model=str(body.get("model")),
            instructions=str(body.get("instructions") or ""),
            text=str(body.get("input") or ""),
            schema_name=str(form.get("name", "")),
            schema=form.get("schema", {}),
            max_output_tokens=int(body.get("max_output_tokens") or 4_096),
        )
    said = {m.get("role"): str(m.get("content")) for m in body.get("messages", [])}
    form = body.get("response_format", {}).get("json_schema", {})
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    return Question(
        model=str(body.get("model")),
        instructions=said.get("system") or said.get("developer") or "",
        text=said.get("user", ""),
        schema_name=str(form.get("name", "")),
        schema=form.get("schema", {}),
        max_output_tokens=int(limit or 4_096),
    )


def tokens_of(text: str) -> int:
    """Return about how many tokens a text has: one for four bytes."""
    return len(text.encode("utf-8", "surrogatepass")) // 4


def _fault_of(asked: Asked, question: Question) -> Reply | None:
    if "temperature" in (asked.body or {}):
        said = "Unsupported parameter: 'temperature' is not supported with this model."
        return refusal(400, "unsupported_parameter", said)
    faults = strictness_faults(question.schema)
    if faults:
        said = f"Invalid schema for response_format '{question.schema_name}': {faults[0]}"
        return refusal(400, "invalid_json_schema", said)
    if "FORBIDDEN" in question.text:
        return filtered()
    if tokens_of(question.instructions + question.text) > CONTEXT_TOKENS:
        return too_long()
    return None


def _is_responses(asked: Asked) -> bool:
    return asked.path.endswith("/responses")


def _response(asked: Asked, question: Question, ending: Ending, *, cached: int) -> dict[str, Any]:
    stopped = ending.cut_short or ending.filtered
    content: dict[str, Any] = {
        "type": "output_text", "text": ending.text, "annotations": [], "logprobs": []
    }  # fmt: skip
    if ending.refusal is not None:
        content = {"type": "refusal", "refusal": ending.refusal}
    read, written = _sizes(question, ending)
    why = {"reason": "content_filter" if ending.filtered else "max_output_tokens"}
    return {
        "id": f"resp_{_digest(asked)}",
        "object": "response",
        "created_at": 1_700_000_000,
        "status": "incomplete" if stopped else "completed",
        "error": None,
        "incomplete_details": why if stopped else None,
        "instructions": question.instructions,
        "model": question.model,
        "tools": [],
        "output": [
            {
                "id": f"msg_{_digest(asked)}",
                "type": "message",
                "role": "assistant",
                "status": "incomplete" if stopped else "completed",
                "content": [content],
            }
        ],
        "parallel_tool_calls": True,
        "metadata": {},
        "tool_choice": "auto",
        "temperature": 1.0,
        "top_p": 1.0,
        "store": (asked.body or {}).get("store", True),
        "usage": {
            "input_tokens": read,
            "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
            "output_tokens": written,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": read + written,
        },
    }


def _completion(asked: Asked, question: Question, ending: Ending, *, cached: int) -> dict[str, Any]:
    read, written = _sizes(question, ending)
    reason = "stop"
    if ending.cut_short or ending.filtered:
        reason = "content_filter" if ending.filtered else "length"
    return {
        "id": f"chatcmpl-{_digest(asked)}",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": question.model,
        "choices": [
            {
                "index": 0,
                "finish_reason": reason,
                "logprobs": None,
                "message": {
                    "role": "assistant",
                    "content": None if ending.refusal is not None else ending.text,
                    "refusal": ending.refusal,
                },
            }
        ],
        "usage": {
            "prompt_tokens": read,
            "completion_tokens": written,
            "total_tokens": read + written,
            "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
        },
    }


def _sizes(question: Question, ending: Ending) -> tuple[int, int]:
    read = tokens_of(question.instructions + question.text + json.dumps(question.schema))
    return read, tokens_of(ending.text + (ending.refusal or ""))


def _digest(asked: Asked) -> str:
    data = json.dumps(asked.body, sort_keys=True).encode()
    return hashlib.blake2b(data, digest_size=8).hexdigest()
