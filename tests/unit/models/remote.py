"""Makes embedders over the fake service whose waits are counted, not waited."""

from __future__ import annotations

from closeloop.models.openai_auth import Auth, KeyAuth
from closeloop.models.openai_embedder import OpenAIEmbedder
from closeloop.models.openai_service import OpenAIService, service_url
from closeloop.models.rate_limit import Pace
from closeloop.testing.openai_server import KEY, FakeOpenAI

MODEL = "text-embedding-3-small"


class Time:
    """A clock that only waiting moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.waits: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


def service_at(
    fake: FakeOpenAI,
    time: Time,
    *,
    auth: Auth | None = None,
    pace: Pace | None = None,
    timeout_s: float = 30.0,
    max_wait_s: float = 300.0,
) -> OpenAIService:
    azure = fake.prefix.startswith("/openai")
    return OpenAIService(
        service_url(fake.endpoint, azure=azure),
        auth=auth or KeyAuth(lambda: KEY, header="api-key"),
        pace=pace or Pace(requests_per_minute=None, tokens_per_minute=None),
        timeout_s=timeout_s,
        max_wait_s=max_wait_s,
        clock=time.clock,
        sleep=time.sleep,
    )


def embedder_over(
    service: OpenAIService, *, dimensions: int = 64, max_text_bytes: int = 8_191,
    max_request_tokens: int = 300_000,
) -> OpenAIEmbedder:  # fmt: skip
    return OpenAIEmbedder(
        service,
        model=MODEL,
        model_id=f"{MODEL}/{dimensions}",
        dimensions=dimensions,
        ask_dimensions=True,
        max_text_bytes=max_text_bytes,
        max_request_tokens=max_request_tokens,
    )
