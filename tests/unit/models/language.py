"""Makes language models over the fake service whose waits are counted, not waited."""

from __future__ import annotations

from typing import Any

from closeloop.models.openai_language_model import OpenAILanguageModel
from closeloop.models.remote_writer import RemoteWriter, remote_language_model
from closeloop.testing.openai_server import KEY, FakeOpenAI
from tests.unit.models.remote import Time

WRITER = "gpt-5-mini"


def model_at(fake: FakeOpenAI, time: Time, **settings: Any) -> OpenAILanguageModel:
    """Return a model at the fake; the fake's kind of service decides how it is asked."""
    azure = fake.prefix.startswith("/openai")
    given: dict[str, Any] = {
        "endpoint": fake.endpoint,
        "deployment" if azure else "model": WRITER,
        "api_key": lambda: KEY,
        "timeout_s": 30.0,
    } | settings
    return remote_language_model(
        RemoteWriter(**given), azure=azure, clock=time.clock, sleep=time.sleep
    )
