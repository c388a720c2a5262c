"""What an answer of an (Azure) OpenAI service means: a fault with a cure, or a text refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from closeloop.domain.model_answer import AnswerState
from closeloop.errors import CloseloopError, TerminalError, TransientError, redact
from closeloop.models.rate_limit import asked_wait_s

AGAIN = frozenset({408, 409, 429, 500, 502, 503, 504, 520, 522, 524, 529})
"""Statuses that may pass when the request is sent again (52x: a gateway before the service)."""
GATEWAY_TIMED_OUT = frozenset({504, 524})
"""A gateway gave up waiting: the service behind it may have done the work."""
MESSAGE_CHARACTERS = 200
HIDDEN = "(hidden)"
_SECRET = re.compile(
    r"(?i)bearer\s+\S+|\b(?:sk|pk|rk|key|token|sig)[-_=][\w.~+/=-]{6,}"
    r"|(?<![\w-])(?=[\w~+/=-]*\d)[\w~+/=-]{24,}"
)
"""What looks like a key, a token or a signature: services repeat such things in their errors."""


class Reason(StrEnum):
    """Why a service refused a request for what its text says."""

    CONTENT_FILTER = "content_filter"
    TOO_LONG = "too_long"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that was refused for its text: a state of its own, not an error."""

    reason: Reason
    status: int


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, for messages: the part of closeloop.yaml, its settings, and what a fault leaves."""

    section: str = "embedder"
    settings: str = "model and dimensions"
    kept: str = "what was embedded is kept"


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a request failed; whether it may be sent again, and after how long (None: not said).

    `state` names it. `expired` says that a new token may help, `uncertain` that the service may
    have done (and billed) the work all the same. `code` and `status` are the service's own.
    """

    error: CloseloopError
    again: bool
    short: str
    state: AnswerState = AnswerState.UNAVAILABLE
    wait_s: float | None = None
    expired: bool = False
    uncertain: bool = False
    status: int = 0
    code: str = ""


def refusal_of(status: int, payload: Any) -> Refusal | None:
    """Return why the text was refused; None where something else is wrong."""
    if status not in (400, 413, 422):
        return None
    code, message = _code(payload), _message(payload).lower()
    if code == "content_filter" or _inner_code(payload) == "ResponsibleAIPolicyViolation":
        return Refusal(Reason.CONTENT_FILTER, status)
    too_long = ("maximum context length", "max_tokens per request", "too many tokens", "input is too large")  # fmt: skip
    if (
        status == 413
        or code == "context_length_exceeded"
        or any(part in message for part in too_long)
    ):
        return Refusal(Reason.TOO_LONG, status)
    return None


def fault_of(
    status: int,
    headers: Mapping[str, str],
    payload: Any,
    *,
    where: str,
    model: str,
    scrub: Callable[[str], str],
    asker: Asker,
) -> Fault:
    """Return what an answer other than 200 means.

    `where` names the service's address in messages. What the service says is shown shortened and
    without secrets; for a refused key it is not shown at all, since services repeat keys.
    """
    code = redact(hide_secrets(scrub(_code(payload))))
    said = redact(hide_secrets(scrub(_message(payload))), keep=MESSAGE_CHARACTERS)
    section, kept = asker.section, asker.kept
    if status in (401, 403):
        return Fault(
            _denied(status, code, where, section),
            again=False,
            short=f"refused ({status})",
            state=AnswerState.UNAUTHORISED,
            expired=status == 401,
            status=status,
            code=code,
        )
    if status == 404:
        return Fault(
            _unknown(code, where, model, section),
            again=False,
            short="unknown (404)",
            state=AnswerState.UNKNOWN_DEPLOYMENT,
            status=status,
            code=code,
        )
    if status == 429 and code == "insufficient_quota":
        return Fault(
            TerminalError(
                f"{where}: the account's quota is used up (429 {code})",
                hint=f"raise the quota or the budget with the provider; {kept}",
            ),
            again=False,
            short="quota used up",
            state=AnswerState.BUDGET_SPENT,
            status=status,
            code=code,
        )
    if status in AGAIN or (status >= 500 and status != 501):
        busy = status == 429
        return Fault(
            TransientError(
                f"{where}: {'busy' if busy else 'failing'} ({status}{_after(code)}): {said}",
                hint=f"set {section}.requests_per_minute and tokens_per_minute to the deployment's "
                f"limits, or raise them there; {kept}, run again"
                if busy
                else f"run again later; {kept}",
            ),
            again=True,
            short="busy (429)" if busy else f"failing ({status})",
            state=_state_of(status),
            wait_s=asked_wait_s(headers),
            uncertain=status in GATEWAY_TIMED_OUT,
            status=status,
            code=code,
        )
    return Fault(
        TerminalError(
            f"{where}: refused the request ({status}{_after(code)}): {said}",
            hint=f"check {section}.endpoint, {asker.settings} in closeloop.yaml",
        ),
        again=False,
        short=f"refused ({status})",
        status=status,
        code=code,
    )


def no_answer(kind: str, *, where: str, asker: Asker, timed_out: bool, sent: bool) -> Fault:
    """Return the fault of a request that got no (whole) answer: a time-out, a broken connection.

    Once the body was `sent`, the service may have done the work.
    """
    error = TransientError(
        f"{where}: no answer ({kind})",
        hint=f"check the network, a proxy and {asker.section}.endpoint; {asker.kept}",
    )
    state = AnswerState.TIMED_OUT if timed_out else AnswerState.UNAVAILABLE
    return Fault(error, again=True, short=f"no answer ({kind})", state=state, uncertain=sent)


def no_json(size: int, content_type: str, *, where: str, asker: Asker) -> Fault:
    """Return the fault of a 200 whose body is no JSON object."""
    error = TerminalError(
        f"{where}: answered what is no JSON object ({size} bytes, {redact(content_type)})",
        hint=f"check that {asker.section}.endpoint is the address of the service's API",
    )
    return Fault(
        error, again=False, short="no JSON", state=AnswerState.MALFORMED, uncertain=True, status=200
    )


def hide_secrets(text: str) -> str:
    """Return a text without what looks like a key, a token or a signature."""
    return _SECRET.sub(HIDDEN, text)


def _denied(status: int, code: str, where: str, section: str) -> CloseloopError:
    return TerminalError(
        f"{where}: refused the key or token ({status}{_after(code)})",
        hint=f"check what {section}.api_key refers to, that it belongs to this endpoint, and with "
        f"{section}.auth: entra the role Cognitive Services OpenAI User",
    )


def _unknown(code: str, where: str, model: str, section: str) -> CloseloopError:
    return TerminalError(
        f"{where}: knows no {redact(model)!r} (404{_after(code)})",
        hint=f"check {section}.deployment (or model) and endpoint; a new Azure deployment needs "
        "some minutes before it answers",
    )


def _state_of(status: int) -> AnswerState:
    if status == 429:
        return AnswerState.RATE_LIMITED
    timed_out = status == 408 or status in GATEWAY_TIMED_OUT
    return AnswerState.TIMED_OUT if timed_out else AnswerState.UNAVAILABLE


def _after(code: str) -> str:
    return f" {code}" if code else ""


def _error(payload: Any) -> Mapping[str, Any]:
    error = payload.get("error") if isinstance(payload, Mapping) else None
    if isinstance(error, Mapping):
        return error
    # Compatible servers also answer {"error": "…"}, {"message": "…"} or {"detail": "…"}.
    if isinstance(payload, Mapping):
        return {"message": error or payload.get("message") or payload.get("detail") or ""}
    return {}


def _code(payload: Any) -> str:
    error = _error(payload)
    return str(error.get("code") or error.get("type") or "")


def _message(payload: Any) -> str:
    return str(_error(payload).get("message") or "")


def _inner_code(payload: Any) -> str:
    error = _error(payload)
    # The service sends innererror; its specification says inner_error.
    inner = error.get("innererror") or error.get("inner_error")
    return str(inner.get("code") or "") if isinstance(inner, Mapping) else ""
