"""How long to wait before the next request to a service that limits requests and tokens."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

FIRST_BACKOFF_S = 1.0
MAX_BACKOFF_S = 60.0

_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}


class Pace:
    """Spreads requests evenly so that neither limit a minute is exceeded (None: no limit).

    Each request and each token costs its share of a minute; the next request waits until what was
    sent before is paid for. The first waits for nothing. Times are seconds of a monotonic clock.
    """

    def __init__(self, *, requests_per_minute: int | None, tokens_per_minute: int | None) -> None:
        self._request_s = 60.0 / requests_per_minute if requests_per_minute else 0.0
        self._token_s = 60.0 / tokens_per_minute if tokens_per_minute else 0.0
        self._requests_free = 0.0
        self._tokens_free = 0.0
        self._held = 0.0

    def wait_s(self, tokens: int, *, now: float) -> float:
        """Book a request of about so many tokens; return how long to wait before it is sent."""
        start = max(now, self._requests_free, self._tokens_free, self._held)
        self._requests_free = start + self._request_s
        self._tokens_free = start + tokens * self._token_s
        return start - now

    def correct(self, *, booked: int, used: int) -> None:
        """Say how many tokens a booked request really used."""
        self._tokens_free += (used - booked) * self._token_s

    def hold(self, until: float) -> None:
        """Send nothing before this time."""
        self._held = max(self._held, until)


def backoff_s(attempt: int, draw: random.Random) -> float:
    """Return the wait after a failed attempt (from 1): half to all of 1, 2, 4 … 60 s, drawn."""
    full = min(FIRST_BACKOFF_S * 2.0 ** (attempt - 1), MAX_BACKOFF_S)
    return full * (0.5 + 0.5 * draw.random())


def asked_wait_s(headers: Mapping[str, str]) -> float | None:
    """Return how long a service asks to wait after a refusal; None where it does not say.

    Reads retry-after-ms, retry-after (seconds, or a date beside the answer's own date), and
    x-ratelimit-reset-* of a limit that has nothing remaining. Names are in small letters.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1_000
    after = headers.get("retry-after")
    seconds = _number(after)
    if seconds is None and after is not None:
        seconds = _until(after, headers.get("date"))
    return spent_for_s(headers) if seconds is None else seconds


def spent_for_s(headers: Mapping[str, str]) -> float | None:
    """Return when a limit with nothing remaining is reset, in seconds; None where none is spent."""
    waits = []
    for limit in ("requests", "tokens"):
        remaining = _number(headers.get(f"x-ratelimit-remaining-{limit}"))
        reset = duration_s(headers.get(f"x-ratelimit-reset-{limit}"))
        if remaining is not None and remaining <= 0 and reset is not None:
            waits.append(reset)
    return max(waits, default=None)


def duration_s(text: str | None) -> float | None:
    """Return seconds of a duration such as 6m0s, 20ms, 1.5s or 7 (seconds); None for all else."""
    number = _number(text)
    if number is not None or text is None:
        return number
    parts = _PART.findall(text)
    if not parts or "".join(n + unit for n, unit in parts) != text.strip():
        return None
    return sum(float(n) * _SECONDS[unit] for n, unit in parts)


def _number(text: str | None) -> float | None:
    if text is None or not re.fullmatch(r"\s*\d{1,9}(\.\d{1,9})?\s*", text):
        return None
    return float(text)


def _until(date: str, now: str | None) -> float | None:
    try:
        if now is None:
            return None
        return max((parsedate_to_datetime(date) - parsedate_to_datetime(now)).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return None
