"""Puts a request into the words of the Responses API or of chat completions, and reads the answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from closeloop.domain.model_answer import AnswerState, ModelRequest, Usage
from closeloop.errors import redact

LEAST_OUTPUT_TOKENS = 16
"""The Responses API takes no smaller limit (its OpenAPI document)."""

NOT_IN_STRICT_SCHEMAS = frozenset(
    {
        "default", "format", "maxItems", "maxLength", "maxProperties", "maximum", "minItems",
        "minLength", "minProperties", "minimum", "multipleOf", "pattern", "patternProperties",
        "propertyNames", "title", "uniqueItems",
    }
)  # fmt: skip
"""Keywords that Azure's structured output refuses (its page on structured outputs), and two that
say nothing to a model. What they demand is checked after the answer."""
BY_NAME = frozenset({"properties", "$defs", "definitions"})
"""Below these stand names of the schema's own, which may be called like a keyword."""


@dataclass(frozen=True, slots=True)
class Wording:
    """What differs between services that speak one dialect.

    `model` is what requests name, `own` says that it is OpenAI's or Azure's service and no
    compatible server, `effort` is the reasoning effort (None: the model's own).
    """

    model: str
    own: bool
    effort: str | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """What an answer with status 200 says: the state, the text where there is one, why not else.

    `served` is the model that the service says has answered.
    """

    state: AnswerState
    text: str | None = None
    detail: str = ""
    usage: Usage | None = None
    served: str = ""


@dataclass(frozen=True, slots=True)
class Dialect:
    """One of the two APIs: where it is, how it is asked, how its answers are read."""

    path: str
    body: Callable[[ModelRequest, Wording], dict[str, Any]]
    read: Callable[[Mapping[str, Any]], Said]


def strict_schema(schema: Any) -> Any:
    """Return a JSON schema without the keywords that strict structured output refuses."""
    if isinstance(schema, list):
        return [strict_schema(part) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {
        name: {key: strict_schema(part) for key, part in value.items()}
        if name in BY_NAME and isinstance(value, Mapping)
        else strict_schema(value)
        for name, value in schema.items()
        if name not in NOT_IN_STRICT_SCHEMAS
    }


def responses_body(request: ModelRequest, wording: Wording) -> dict[str, Any]:
    """Return the body of POST /responses: nothing is stored, the text must fit the schema."""
    body: dict[str, Any] = {
        "model": wording.model,
        "store": False,
        "instructions": _clean(request.instructions),
        "input": _clean(request.text),
        "max_output_tokens": max(request.max_output_tokens, LEAST_OUTPUT_TOKENS),
        "text": {
            "format": {
                "type": "json_schema",
                "name": request.schema_name,
                "schema": strict_schema(request.schema),
                "strict": True,
            }
        },
    }
    if wording.effort is not None:
        body["reasoning"] = {"effort": wording.effort}
    if wording.own:
        # Requests of one prompt share their first tokens: sent to one place they are cached there.
        body["prompt_cache_key"] = f"{request.purpose}/{request.prompt_version}"[:64]
    return body


def chat_body(request: ModelRequest, wording: Wording) -> dict[str, Any]:
    """Return the body of POST /chat/completions."""
    body: dict[str, Any] = {
        "model": wording.model,
        "messages": [
            {"role": "system", "content": _clean(request.instructions)},
            {"role": "user", "content": _clean(request.text)},
        ],
        "response_format": {
            "type": "json_schema",
            "json_schema": {
                "name": request.schema_name,
                "schema": strict_schema(request.schema),
                "strict": True,
            },
        },
    }
    # Reasoning models refuse max_tokens; many compatible servers know nothing else.
    limit = "max_completion_tokens" if wording.own else "max_tokens"
    body[limit] = max(request.max_output_tokens, LEAST_OUTPUT_TOKENS)
    if wording.effort is not None:
        body["reasoning_effort"] = wording.effort
    if wording.own:
        body["store"] = False
        body["prompt_cache_key"] = f"{request.purpose}/{request.prompt_version}"[:64]
    return body


def read_response(answer: Mapping[str, Any]) -> Said:
    """Return what an answer of POST /responses says."""
    usage = _usage(answer.get("usage"), "input_tokens", "output_tokens")
    status = answer.get("status")
    if status == "failed":
        return _failed(_mapping(answer.get("error")), usage)
    if status == "incomplete":
        reason = str(_mapping(answer.get("incomplete_details")).get("reason"))
        return _incomplete(reason, usage)
    texts, refusals = _contents(answer.get("output"))
    if refusals:
        return Said(AnswerState.REFUSED, detail=_refusal(" ".join(refusals)), usage=usage)
    if status not in ("completed", None) or not texts:
        what = f"the answer has status {redact(status)!r} and {len(texts)} texts"
        return Said(AnswerState.MALFORMED, detail=what, usage=usage)
    return _as_json("".join(texts), usage)


def read_chat(answer: Mapping[str, Any]) -> Said:
    """Return what an answer of POST /chat/completions says."""
    usage = _usage(answer.get("usage"), "prompt_tokens", "completion_tokens")
    choices = answer.get("choices")
    choice = _mapping(choices[0]) if isinstance(choices, list) and choices else {}
    message = _mapping(choice.get("message"))
    reason = choice.get("finish_reason")
    if reason in ("length", "content_filter"):
        return _incomplete("max_output_tokens" if reason == "length" else reason, usage)
    if message.get("refusal"):
        return Said(AnswerState.REFUSED, detail=_refusal(str(message["refusal"])), usage=usage)
    text = message.get("content")
    if not isinstance(text, str):
        what = f"the answer ends with {redact(reason)!r} and holds no text"
        return Said(AnswerState.MALFORMED, detail=what, usage=usage)
    return _as_json(text, usage)


RESPONSES = Dialect("/responses", responses_body, read_response)
CHAT = Dialect("/chat/completions", chat_body, read_chat)


def _clean(text: str) -> str:
    """Return what every service takes: NUL is a space, a lone surrogate a question mark."""
    return text.replace("\0", " ").encode("utf-8", "replace").decode()


def _as_json(text: str, usage: Usage | None) -> Said:
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError) as error:
        place = getattr(error, "pos", 0)
        what = f"the model's text is no JSON ({len(text)} characters, wrong from {place})"
        return Said(AnswerState.MALFORMED, detail=what, usage=usage)
    if not isinstance(parsed, dict):
        what = f"the model's text is JSON, but a {type(parsed).__name__} and no object"
        return Said(AnswerState.MALFORMED, detail=what, usage=usage)
    return Said(AnswerState.ANSWERED, text=text, usage=usage)


def _contents(output: Any) -> tuple[list[str], list[str]]:
    """Return the texts and the refusals of an answer's messages; reasoning is passed over."""
    texts, refusals = [], []
    for item in output if isinstance(output, list) else []:
        held = _mapping(item)
        parts = held.get("content") if held.get("type") == "message" else None
        for part in parts if isinstance(parts, list) else []:
            content = _mapping(part)
            if content.get("type") == "output_text":
                texts.append(str(content.get("text", "")))
            elif content.get("type") == "refusal":
                refusals.append(str(content.get("refusal", "")))
    return texts, refusals


def _incomplete(reason: str, usage: Usage | None) -> Said:
    if reason == "content_filter":
        what = "the service's content filter stopped the answer"
        return Said(AnswerState.FILTERED_OUTPUT, detail=what, usage=usage)
    if reason == "max_output_tokens":
        written = "" if usage is None else f" after {usage.output} tokens"
        what = (
            f"the answer was cut short{written}: raise writer.reasoning_tokens or set "
            "writer.reasoning_effort lower where the model reasons before it writes"
        )
        return Said(AnswerState.CUT_SHORT, detail=what, usage=usage)
    what = f"the answer is incomplete ({redact(reason)})"
    return Said(AnswerState.MALFORMED, detail=what, usage=usage)


def _failed(error: Mapping[str, Any], usage: Usage | None) -> Said:
    code = str(error.get("code") or "")
    if code == "rate_limit_exceeded":
        return Said(AnswerState.RATE_LIMITED, detail="the model was busy", usage=usage)
    if code in ("bio_policy", "invalid_prompt", "content_filter"):
        what = f"the service refuses the request ({code})"
        return Said(AnswerState.FILTERED_INPUT, detail=what, usage=usage)
    what = f"the service failed while answering ({redact(code)})"
    return Said(AnswerState.UNAVAILABLE, detail=what, usage=usage)


def _refusal(words: str) -> str:
    # The model's words may repeat a customer's: their length says enough.
    return f"the model refuses to answer ({len(words)} characters)"


def _usage(value: Any, read: str, written: str) -> Usage | None:
    """Return the tokens that a service states; None where it states none."""
    held = _mapping(value)
    if not _count(held.get(read)) and not _count(held.get(written)):
        return None
    details = _mapping(held.get(f"{read}_details"))
    size = _count(held.get(read))
    return Usage(
        input=size,
        cached=min(_count(details.get("cached_tokens")), size),
        output=_count(held.get(written)),
    )


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
