"""What the fake (Azure) OpenAI service is asked and answers, and its errors in the service's words."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it arrived; `body` is None where it was no JSON object."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any] | None
    method: str = "POST"
    raw: bytes = b""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer. `hang` never answers, `drop` closes the connection without a word; what stands
    in `body` beside them was done all the same (and is billed)."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    hang: bool = False
    drop: bool = False

    @staticmethod
    def of_json(body: Any, *, status: int = 200, **headers: str) -> Reply:
        """Return an answer with a JSON body; headers_like_this become headers-like-this."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return Reply(status, json.dumps(body).encode(), named)


Route = Callable[[Asked], Reply]
Script = Reply | Route


def refusal(status: int, code: str, message: str, **headers: str) -> Reply:
    """Return an error as the service words it."""
    error = {"code": code, "message": message, "param": None, "type": "invalid_request_error"}
    return Reply.of_json({"error": error}, status=status, **headers)


def too_many(*, after: str | None = "1", **headers: str) -> Reply:
    """Return a 429 with retry-after (None: without)."""
    more = headers if after is None else {"retry_after": after, **headers}
    return refusal(429, "429", "Requests have exceeded the call rate limit.", **more)


def filtered() -> Reply:
    """Return a 400 of the content filter, as Azure words it."""
    error = {
        "code": "content_filter",
        "message": "The response was filtered.",
        "param": "prompt",
        "type": None,
        "innererror": {"code": "ResponsibleAIPolicyViolation"},
    }
    return Reply.of_json({"error": error}, status=400)
