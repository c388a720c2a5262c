"""What a language model is asked and what came of it: a request, an answer, and its state by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class AnswerState(StrEnum):
    """How a request ended. Only ANSWERED carries text; every other state has a way on without it."""

    ANSWERED = "answered"
    REFUSED = "refused"
    FILTERED_INPUT = "filtered_input"
    FILTERED_OUTPUT = "filtered_output"
    TOO_LONG = "too_long"
    CUT_SHORT = "cut_short"
    RATE_LIMITED = "rate_limited"
    TIMED_OUT = "timed_out"
    MALFORMED = "malformed"
    UNKNOWN_DEPLOYMENT = "unknown_deployment"
    UNAUTHORISED = "unauthorised"
    BUDGET_SPENT = "budget_spent"
    UNAVAILABLE = "unavailable"
    DEFERRED = "deferred"
    HELD_BACK = "held_back"
    """Never sent: what would have left could not be masked, or masking it anew changed it."""


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One question to a language model, answered in JSON that fits `schema` (strict subset).

    `instructions` is the same for every request of a purpose, so that a service can cache it;
    `text` holds what differs. `purpose` names the prompt ("brief", "repair", "pair", "theme_name")
    and `prompt_version` its version and hash. The request's content, these included, is its key.
    `about` names the feedback whose words stand in `text`, so that an erasure finds what was kept;
    it is not sent and no part of the key.
    """

    purpose: str
    prompt_version: str
    instructions: str
    text: str
    schema_name: str
    schema: Mapping[str, Any]
    max_output_tokens: int
    about: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one request: read (of these `cached` at the lower price), and written."""

    input: int = 0
    cached: int = 0
    output: int = 0


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """What came of a request. `text` is the JSON as the model wrote it, not yet validated.

    `detail` says in plain words, without secrets, why there is no text. `kept` is true where the
    answer was given before and cost nothing now. `cost_usd` is None where the price is unknown.
    """

    state: AnswerState
    model: str
    text: str | None = None
    detail: str = ""
    usage: Usage = Usage()
    cost_usd: float | None = None
    kept: bool = False
