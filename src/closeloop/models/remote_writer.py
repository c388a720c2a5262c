"""Makes a language model over the network from what closeloop.yaml says of it under `writer:`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from closeloop.errors import SettingsError
from closeloop.models.openai_answers import CHAT, RESPONSES, Wording
from closeloop.models.openai_auth import ENTRA_MODEL_SCOPE, service_auth
from closeloop.models.openai_faults import Asker
from closeloop.models.openai_language_model import OpenAILanguageModel
from closeloop.models.openai_service import OpenAIService, service_url
from closeloop.models.rate_limit import Pace
from closeloop.models.remote import OPENAI_URL, RemoteService

SECTION = "writer"
ASKER = Asker(
    section=SECTION,
    settings="deployment and model",
    kept="the deterministic writer goes on in its place",
)
DIALECTS = {"responses": RESPONSES, "chat": CHAT}


@dataclass(frozen=True, slots=True)
class RemoteWriter(RemoteService):
    """A language model: by which API it is asked, and how long it may write."""

    timeout_s: float = 120.0
    max_wait_s: float = 120.0
    api: str = "responses"
    reasoning_effort: str | None = None
    reasoning_tokens: int = 0
    max_output_tokens: int | None = None


def remote_language_model(
    remote: RemoteWriter,
    *,
    azure: bool,
    seed: int = 7,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> OpenAILanguageModel:
    """Return the model; nothing is sent before the first request.

    Raises SettingsError where endpoint, model or key are missing or contradict.
    """
    asked = remote.deployment or remote.model
    if asked is None:
        raise SettingsError(
            "closeloop.yaml: writer names no model",
            hint="add writer.deployment (Azure: the deployment's name) or writer.model",
        )
    if azure and remote.endpoint is None:
        raise SettingsError(
            "closeloop.yaml: writer.kind is azure_openai, but writer.endpoint is not set",
            hint="write it like https://NAME.openai.azure.com",
        )
    url = service_url(remote.endpoint or OPENAI_URL, azure=azure, section=SECTION)
    own = azure or url.startswith(OPENAI_URL)
    service = OpenAIService(
        url,
        auth=service_auth(
            auth=remote.auth,
            api_key=remote.api_key,
            token_scope=remote.token_scope or ENTRA_MODEL_SCOPE,
            azure=azure,
            keyless=not own,
            section=SECTION,
        ),
        pace=Pace(
            requests_per_minute=remote.requests_per_minute,
            tokens_per_minute=remote.tokens_per_minute,
        ),
        timeout_s=remote.timeout_s,
        max_wait_s=remote.max_wait_s,
        seed=seed,
        asker=ASKER,
        repeat_uncertain=False,
        clock=clock,
        sleep=sleep,
    )
    return OpenAILanguageModel(
        service,
        name=model_name(remote, azure=azure),
        wording=Wording(model=asked, own=own, effort=remote.reasoning_effort),
        dialect=DIALECTS[remote.api],
        max_output_tokens=remote.max_output_tokens,
        reasoning_tokens=remote.reasoning_tokens,
    )


def model_name(remote: RemoteWriter, *, azure: bool) -> str:
    """Return the name that is stored beside answers: kind of service, deployment, model."""
    kind = "azure_openai" if azure else "openai"
    parts = dict.fromkeys(p for p in (kind, remote.deployment, remote.model) if p)
    return "/".join(parts)
