"""Sends requests to an (Azure) OpenAI service or a compatible server, and tries again with care."""

from __future__ import annotations

import ipaddress
import json
import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from closeloop.domain.model_answer import AnswerState
from closeloop.errors import CloseloopError, ModelMissingError, SettingsError, redact
from closeloop.models.openai_auth import Auth
from closeloop.models.openai_faults import (
    Asker,
    Fault,
    Refusal,
    fault_of,
    no_answer,
    no_json,
    refusal_of,
)
from closeloop.models.rate_limit import Pace, backoff_s, spent_for_s
from closeloop.ports import Progress

if TYPE_CHECKING:
    import httpx2

MAX_ATTEMPTS = 8
CONNECT_S = 10.0
MAX_HOLD_S = 60.0
NOTE_FROM_S = 5.0
"""Shorter waits are not worth a line."""
AZURE_PATH = "/openai/v1"


Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Sending:
    """A request as it is sent. One that is `harmless` may be sent twice: it bills nothing."""

    method: str
    path: str
    content: bytes = b""
    content_type: str = "application/json"
    model: str = ""
    harmless: bool = False


class OpenAIService:
    """One service at one address (`url`, such as https://NAME.openai.azure.com/openai/v1).

    Requests are paced, and sent again after 429, 5xx and lost connections: at most 8 times, with
    the wait the service asks for (retry-after and x-ratelimit headers), else 1, 2, 4 … 60 s less a
    drawn part. All waits of one request together stay within `max_wait_s`. A refused token is
    renewed once. With `repeat_uncertain` false, a request whose body was sent is not sent again
    after a time-out or a lost connection: the service may have done the work, and would bill twice.
    """

    def __init__(
        self,
        url: str,
        *,
        auth: Auth,
        pace: Pace,
        timeout_s: float = 60.0,
        max_wait_s: float = 300.0,
        seed: int = 7,
        asker: Asker | None = None,
        repeat_uncertain: bool = True,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._asker = asker or Asker()
        self._repeat_uncertain = repeat_uncertain
        self._url = url
        self.where = urlsplit(url).netloc
        self._auth = auth
        self._pace = pace
        self._timeout_s = timeout_s
        self._max_wait_s = max_wait_s
        self._draw = random.Random(seed)  # noqa: S311 - spreads retries, keeps no secret
        self._clock = clock
        self._sleep = sleep
        self._client: httpx2.Client | None = None

    def post(
        self,
        path: str,
        body: Mapping[str, Any],
        *,
        tokens: int,
        progress: Progress | None = None,
    ) -> dict[str, Any] | Refusal:
        """Return the service's answer, or why it refused the text.

        `tokens` is about what the request will use. Raises TransientError where the service was
        busy, failing or silent for too long, TerminalError where it refuses key, model or request
        or answers what is no JSON, ModelMissingError without the package httpx2.
        """
        outcome = self.attempt(path, body, tokens=tokens, progress=progress)
        if isinstance(outcome, Fault):
            raise outcome.error
        return outcome

    def attempt(
        self,
        path: str,
        body: Mapping[str, Any],
        *,
        tokens: int,
        progress: Progress | None = None,
    ) -> dict[str, Any] | Refusal | Fault:
        """Return the service's answer, why it refused the text, or the fault that stayed."""
        content = json.dumps(body, separators=(",", ":")).encode()
        sending = Sending("POST", path, content, model=str(body.get("model", "")))
        return self.request(sending, tokens=tokens, progress=progress)

    def request(
        self, sending: Sending, *, tokens: int = 0, progress: Progress | None = None
    ) -> dict[str, Any] | Refusal | Fault:
        """Send anything that is answered in JSON; return as `attempt` does."""
        outcome = self._persist(sending, self._read, tokens=tokens, progress=progress)
        if not isinstance(outcome, Refusal | Fault):
            self._pace.correct(booked=tokens, used=_used(outcome, tokens))
        return outcome

    def download(self, path: str) -> bytes | Refusal | Fault:
        """Return what lies at a path, as it is."""
        return self._persist(
            Sending("GET", path, harmless=True), self._read_bytes, tokens=0, progress=None
        )

    def _persist(
        self,
        sending: Sending,
        read: Callable[[httpx2.Response, str], Answer | Refusal | Fault],
        *,
        tokens: int,
        progress: Progress | None,
    ) -> Answer | Refusal | Fault:
        """Send until there is an answer, or a fault that stays."""
        may_repeat = self._repeat_uncertain or sending.harmless
        renewed, waited, attempt = False, 0.0, 1
        while True:
            pause = self._pace.wait_s(tokens, now=self._clock())
            self._wait(pause, "keeping to the rate limit", progress)
            response = self._send(sending)
            outcome = response if isinstance(response, Fault) else read(response, sending.model)
            if not isinstance(outcome, Fault):
                return outcome
            if outcome.expired and not renewed and self._auth.renew():
                renewed = True
                continue
            if not outcome.again or (outcome.uncertain and not may_repeat):
                return outcome
            asked = outcome.wait_s
            pause = backoff_s(attempt, self._draw) if asked is None else asked
            if attempt == MAX_ATTEMPTS or waited + pause > self._max_wait_s:
                return _given_up(outcome, attempt, waited, pause, asked is not None)
            self._wait(pause, f"{self.where} is {outcome.short}", progress)
            waited += pause
            attempt += 1

    def close(self) -> None:
        """Close the connection; a later request opens it again."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _send(self, sending: Sending) -> httpx2.Response | Fault:
        httpx2 = _httpx2()
        if self._client is None:
            self._client = httpx2.Client(
                timeout=httpx2.Timeout(self._timeout_s, connect=min(CONNECT_S, self._timeout_s)),
                trust_env=not _is_loopback(urlsplit(self._url).hostname or ""),
            )
        try:
            headers = self._auth.headers()
        except CloseloopError as error:
            return Fault(error, again=False, short="no credential", state=AnswerState.UNAUTHORISED)
        if sending.content:
            headers["content-type"] = sending.content_type
        try:
            return self._client.request(
                sending.method, self._url + sending.path, content=sending.content, headers=headers
            )
        except httpx2.TimeoutException as error:
            sent = not isinstance(error, (httpx2.ConnectTimeout, httpx2.PoolTimeout))
            kind = f"time-out after {self._timeout_s:g} s"
            return self._no_answer(kind, timed_out=True, sent=sent)
        except httpx2.RequestError as error:
            sent = not isinstance(error, httpx2.ConnectError)
            return self._no_answer(type(error).__name__, timed_out=False, sent=sent)

    def _no_answer(self, kind: str, *, timed_out: bool, sent: bool) -> Fault:
        return no_answer(kind, where=self.where, asker=self._asker, timed_out=timed_out, sent=sent)

    def _read(self, answer: httpx2.Response, model: str) -> dict[str, Any] | Refusal | Fault:
        spent = spent_for_s(answer.headers)
        if spent is not None:
            self._pace.hold(self._clock() + min(spent, MAX_HOLD_S))
        try:
            payload = json.loads(answer.content)
        except (ValueError, RecursionError):
            payload = None
        if not answer.is_success:
            return self._refused(answer, payload, model)
        if isinstance(payload, dict):
            return payload
        kind = answer.headers.get("content-type", "")
        return no_json(len(answer.content), kind, where=self.where, asker=self._asker)

    def _read_bytes(self, answer: httpx2.Response, model: str) -> bytes | Refusal | Fault:
        if answer.is_success:
            return bytes(answer.content)
        try:
            payload = json.loads(answer.content)
        except (ValueError, RecursionError):
            payload = None
        return self._refused(answer, payload, model)

    def _refused(self, answer: httpx2.Response, payload: Any, model: str) -> Refusal | Fault:
        return self.meaning(answer.status_code, answer.headers, payload, model=model)

    def meaning(
        self, status: int, headers: Mapping[str, str], payload: Any, *, model: str
    ) -> Refusal | Fault:
        """Return what an answer other than a good one means, also one line of a batch."""
        return refusal_of(status, payload) or fault_of(
            status,
            headers,
            payload,
            where=self.where,
            model=model,
            scrub=self._auth.scrub,
            asker=self._asker,
        )

    def _wait(self, seconds: float, why: str, progress: Progress | None) -> None:
        if seconds <= 0:
            return
        if progress is not None and seconds >= NOTE_FROM_S:
            progress.note(f"{why}: waiting {seconds:.0f} s")
        self._sleep(seconds)


def service_url(endpoint: str, *, azure: bool, section: str = "embedder") -> str:
    """Return the address that paths such as /embeddings are added to.

    Azure: with or without /openai/v1 at its end. Raises SettingsError for an address that is not
    https (http is taken for this machine only), or that holds a user, a query or a fragment.
    """
    try:
        parts = urlsplit(endpoint.strip())
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    host = parts.hostname or ""
    shown = redact(f"{parts.scheme}://{host}", keep=80)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise SettingsError(
            f"closeloop.yaml: {section}.endpoint at {shown} holds more than an address",
            hint=f"give scheme, host and path only; keys belong into {section}.api_key, and the v1 "
            "API takes no api-version",
        )
    if not host or parts.scheme not in ("http", "https"):
        raise SettingsError(
            f"closeloop.yaml: {section}.endpoint {redact(endpoint, keep=80)!r} is no address",
            hint="write it like https://NAME.openai.azure.com or http://localhost:8080/v1",
        )
    if parts.scheme == "http" and not _is_loopback(host):
        raise SettingsError(
            f"closeloop.yaml: {section}.endpoint {shown} is not encrypted",
            hint="use https; http is taken for this machine (localhost) only",
        )
    url = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
    return url if not azure or url.endswith(AZURE_PATH) else url + AZURE_PATH


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _used(answer: Mapping[str, Any], booked: int) -> int:
    usage = answer.get("usage")
    used = usage.get("total_tokens") if isinstance(usage, Mapping) else None
    return used if isinstance(used, int) and used >= 0 else booked


def _given_up(fault: Fault, attempts: int, waited: float, pause: float, asked: bool) -> Fault:
    error = fault.error
    after = f"; gave up after {attempts} attempts and {waited:.0f} s of waiting"
    if asked:
        after += f" (it asks for {pause:.0f} s more)"
    return replace(fault, error=type(error)(error.message + after, hint=error.hint))


def _httpx2() -> Any:
    try:
        import httpx2
    except ImportError as error:
        raise ModelMissingError(
            "models over the network need the package httpx2, which is not installed",
            hint="pip install 'closeloop[openai]'",
        ) from error
    # Its debug lines repeat the headers of answers, in which careless gateways put secrets.
    transport = logging.getLogger("httpcore2")
    if transport.level < logging.INFO:
        transport.setLevel(logging.INFO)
    return httpx2
