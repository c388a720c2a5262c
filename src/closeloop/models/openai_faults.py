"""What an answer of an (Azure) OpenAI service means: a fault with a cure, or a text refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from closeloop.errors import CloseloopError, TerminalError, TransientError, redact
from closeloop.models.rate_limit import asked_wait_s

AGAIN = frozenset({408, 409, 429, 500, 502, 503, 504, 520, 522, 524, 529})
"""Statuses that may pass when the request is sent again (52x: a gateway before the service)."""
MESSAGE_CHARACTERS = 200


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
class Fault:
    """Why a request failed; whether it may be sent again, and after how long (None: not said).

    `expired` says that a new token may help.
    """

    error: CloseloopError
    again: bool
    short: str
    wait_s: float | None = None
    expired: bool = False


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
) -> Fault:
    """Return what an answer other than 200 means.

    `where` names the service's address in messages. What the service says is shown shortened and
    without the secret; for a refused key it is not shown at all, since services repeat keys.
    """
    code = redact(_code(payload))
    said = redact(scrub(_message(payload)), keep=MESSAGE_CHARACTERS)
    if status in (401, 403):
        short, expired = f"refused ({status})", status == 401
        return Fault(_denied(status, code, where), again=False, short=short, expired=expired)
    if status == 404:
        return Fault(_unknown(code, where, model), again=False, short="unknown (404)")
    if status == 429 and code == "insufficient_quota":
        error = TerminalError(
            f"{where}: the account's quota is used up (429 {code})",
            hint="raise the quota or the budget with the provider; what was embedded is kept",
        )
        return Fault(error, again=False, short="quota used up")
    if status in AGAIN or status >= 500:
        busy = status == 429
        return Fault(
            TransientError(
                f"{where}: {'busy' if busy else 'failing'} ({status}{_after(code)}): {said}",
                hint="set embedder.requests_per_minute and tokens_per_minute to the deployment's "
                "limits, or raise them there; what was embedded is kept, run again"
                if busy
                else "run again later; what was embedded is kept",
            ),
            again=True,
            short="busy (429)" if busy else f"failing ({status})",
            wait_s=asked_wait_s(headers),
        )
    return Fault(
        TerminalError(
            f"{where}: refused the request ({status}{_after(code)}): {said}",
            hint="check embedder.endpoint, model and dimensions in closeloop.yaml",
        ),
        again=False,
        short=f"refused ({status})",
    )


def no_answer(kind: str, *, where: str) -> Fault:
    """Return the fault of a request that got no (whole) answer: a time-out, a broken connection."""
    error = TransientError(
        f"{where}: no answer ({kind})",
        hint="check the network, a proxy and embedder.endpoint; what was embedded is kept",
    )
    return Fault(error, again=True, short=f"no answer ({kind})")


def _denied(status: int, code: str, where: str) -> CloseloopError:
    return TerminalError(
        f"{where}: refused the key or token ({status}{_after(code)})",
        hint="check what embedder.api_key refers to, that it belongs to this endpoint, and with "
        "embedder.auth: entra the role Cognitive Services OpenAI User",
    )


def _unknown(code: str, where: str, model: str) -> CloseloopError:
    return TerminalError(
        f"{where}: knows no {redact(model)!r} (404{_after(code)})",
        hint="check embedder.deployment (or model) and endpoint; a new Azure deployment needs "
        "some minutes before it answers",
    )


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
