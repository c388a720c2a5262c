"""Makes an embedder over the network from what closeloop.yaml says of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from closeloop.errors import SettingsError, redact
from closeloop.models.openai_auth import ENTRA_SCOPE, service_auth
from closeloop.models.openai_embedder import (
    MAX_REQUEST_TOKENS,
    MAX_TEXT_BYTES,
    NATIVE_DIMENSIONS,
    OpenAIEmbedder,
)
from closeloop.models.openai_service import OpenAIService, service_url
from closeloop.models.rate_limit import Pace

OPENAI_URL = "https://api.openai.com/v1"
SHORTENED = "text-embedding-3-"
"""Models that shorten their vectors when asked."""


@dataclass(frozen=True, slots=True)
class RemoteService:
    """Where a model is served, under which name, as whom, and how fast.

    `api_key` resolves the reference when the first request is made (None: no key is sent);
    `token_scope` None is the default of what is asked for.
    """

    endpoint: str | None = None
    deployment: str | None = None
    model: str | None = None
    auth: str = "key"
    api_key: Callable[[], str] | None = None
    token_scope: str | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    timeout_s: float = 60.0
    max_wait_s: float = 300.0

    @property
    def settings(self) -> dict[str, object]:
        """What only means something to a model over the network, as it is named in closeloop.yaml."""
        return {
            "endpoint": self.endpoint,
            "deployment": self.deployment,
            "model": self.model,
            "api_key": self.api_key,
        }


@dataclass(frozen=True, slots=True)
class RemoteModel(RemoteService):
    """A model that embeds, and how long its vectors and its texts are."""

    dimensions: int | None = None
    prefix: str = ""
    max_text_bytes: int = MAX_TEXT_BYTES


def remote_embedder(remote: RemoteModel, *, azure: bool, seed: int = 7) -> OpenAIEmbedder:
    """Return the embedder; nothing is sent before the first text.

    Raises SettingsError where endpoint, model, key or dimensions are missing or contradict.
    """
    name = remote.model or remote.deployment
    asked = remote.deployment or remote.model
    if name is None or asked is None:
        raise SettingsError(
            "closeloop.yaml: embedder names no model",
            hint="add embedder.deployment (Azure: the deployment's name) or embedder.model, "
            "e.g. text-embedding-3-small",
        )
    if azure and remote.endpoint is None:
        raise SettingsError(
            "closeloop.yaml: embedder.kind is azure_openai, but embedder.endpoint is not set",
            hint="write it like https://NAME.openai.azure.com",
        )
    dimensions = _dimensions(remote, name)
    tokens = remote.tokens_per_minute
    service = OpenAIService(
        service_url(remote.endpoint or OPENAI_URL, azure=azure),
        auth=service_auth(
            auth=remote.auth,
            api_key=remote.api_key,
            token_scope=remote.token_scope or ENTRA_SCOPE,
            azure=azure,
            keyless=not azure and remote.endpoint is not None,
            section="embedder",
        ),
        pace=Pace(requests_per_minute=remote.requests_per_minute, tokens_per_minute=tokens),
        timeout_s=remote.timeout_s,
        max_wait_s=remote.max_wait_s,
        seed=seed,
    )
    return OpenAIEmbedder(
        service,
        model=asked,
        model_id=_model_id(remote, name, dimensions),
        dimensions=dimensions,
        ask_dimensions=name.startswith(SHORTENED) and dimensions != NATIVE_DIMENSIONS.get(name),
        max_text_bytes=remote.max_text_bytes,
        # A request above a minute's limit would be refused for ever.
        max_request_tokens=min(MAX_REQUEST_TOKENS, tokens or MAX_REQUEST_TOKENS),
        prefix=remote.prefix,
    )


def _dimensions(remote: RemoteModel, name: str) -> int:
    native = NATIVE_DIMENSIONS.get(name)
    if remote.dimensions is None and native is None:
        raise SettingsError(
            f"closeloop.yaml: embedder.dimensions is not set, and closeloop does not know how "
            f"long the vectors of {redact(name)!r} are",
            hint="set it as the model's page says (bge-m3: 1024), or name the model beside the "
            "deployment: embedder.model: text-embedding-3-small",
        )
    dimensions = remote.dimensions or native
    assert dimensions is not None
    shortens = name.startswith(SHORTENED)
    if native is not None and (dimensions > native or (dimensions != native and not shortens)):
        raise SettingsError(
            f"closeloop.yaml: embedder.dimensions is {dimensions}, but vectors of {name} have "
            f"{'at most ' if shortens else ''}{native}",
            hint="leave embedder.dimensions out for the full length",
        )
    return dimensions


def _model_id(remote: RemoteModel, name: str, dimensions: int) -> str:
    # What changes the vectors is part of the name: they are kept and compared under it.
    changed = f"/{remote.max_text_bytes}" if remote.max_text_bytes != MAX_TEXT_BYTES else ""
    return f"{name}/{dimensions}{changed}" + (f"/{remote.prefix.strip()}" if remote.prefix else "")
