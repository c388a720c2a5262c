"""Who closeloop is to an (Azure) OpenAI service: a key, an Entra token, or nobody."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from closeloop.errors import ModelMissingError, SettingsError, TerminalError

ENTRA_SCOPE = "https://cognitiveservices.azure.com/.default"
"""The scope that Microsoft's reference of the v1 embeddings operation names."""
ENTRA_MODEL_SCOPE = "https://ai.azure.com/.default"
"""The scope that Microsoft's guide of the v1 API names for responses and chat completions."""
EARLY_S = 300
"""A token is renewed so long before it expires."""


class Auth(Protocol):
    """Gives the headers of a request; secrets appear nowhere else."""

    def headers(self) -> dict[str, str]:
        """Return the headers that prove who asks."""
        ...

    def renew(self) -> bool:
        """Forget a refused token; False where there is nothing to renew."""
        ...

    def scrub(self, text: str) -> str:
        """Return a text without the secret, should a service repeat it."""
        ...


class NoAuth:
    """For a local server that asks for no key."""

    def headers(self) -> dict[str, str]:
        """Return none."""
        return {}

    def renew(self) -> bool:
        """Return False: there is nothing to renew."""
        return False

    def scrub(self, text: str) -> str:
        """Return the text."""
        return text


class KeyAuth:
    """A key in one header; `resolve` reads it when the first request is made.

    Raises SettingsError where the key is empty or can't stand in a header; its value is not shown.
    """

    def __init__(
        self,
        resolve: Callable[[], str],
        *,
        header: str,
        prefix: str = "",
        section: str = "embedder",
    ) -> None:
        self._section = section
        self._resolve = resolve
        self._header = header
        self._prefix = prefix
        self._key: str | None = None

    def headers(self) -> dict[str, str]:
        """Return the header with the key."""
        if self._key is None:
            key = self._resolve().strip()
            if not key or not key.isascii() or not key.isprintable() or " " in key:
                raise SettingsError(
                    f"closeloop.yaml: {self._section}.api_key refers to a value that is no key "
                    f"({len(key)} characters)",
                    hint="a key is one line of letters and digits; look at what the reference "
                    "holds",
                )
            self._key = key
        return {self._header: f"{self._prefix}{self._key}"}

    def renew(self) -> bool:
        """Return False: a refused key stays refused."""
        return False

    def scrub(self, text: str) -> str:
        """Return a text without the key."""
        return text.replace(self._key, "(key)") if self._key else text


class TokenAuth:
    """An Entra token, asked for when needed and renewed before it expires.

    `make_credential` returns an object with get_token(scope) -> (token, expires_on), as those of
    azure-identity; it is made anew after a refusal, because credentials keep their tokens.
    """

    def __init__(
        self,
        make_credential: Callable[[], Any],
        *,
        scope: str = ENTRA_SCOPE,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._make_credential = make_credential
        self._scope = scope
        self._now = now
        self._credential: Any = None
        self._token = ""
        self._expires = 0.0

    def headers(self) -> dict[str, str]:
        """Return the header with a token that is valid for some minutes yet."""
        if not self._token or self._expires - self._now() < EARLY_S:
            if self._credential is None:
                self._credential = self._make_credential()
            token = self._credential.get_token(self._scope)
            self._token, self._expires = str(token.token), float(token.expires_on)
        return {"authorization": f"Bearer {self._token}"}

    def renew(self) -> bool:
        """Forget credential and token, so that the next request asks for a new one."""
        self._credential, self._token = None, ""
        return True

    def scrub(self, text: str) -> str:
        """Return a text without the token."""
        return text.replace(self._token, "(token)") if self._token else text


def service_auth(
    *,
    auth: str,
    api_key: Callable[[], str] | None,
    token_scope: str,
    azure: bool,
    keyless: bool,
    section: str,
) -> Auth:
    """Return who closeloop is to a service: `auth` is "key" or "entra" (Azure only).

    `keyless` says that the server may ask for no key. Raises SettingsError where they contradict;
    `section` names the part of closeloop.yaml in its message.
    """
    if auth == "entra":
        if not azure:
            raise SettingsError(
                f"closeloop.yaml: {section}.auth entra is for {section}.kind azure_openai",
                hint=f"use {section}.auth: key",
            )
        return TokenAuth(lambda: entra_credential(section), scope=token_scope)
    if api_key is None:
        if not keyless:
            raise SettingsError(
                f"closeloop.yaml: {section}.api_key is not set",
                hint="refer to it, e.g. ${env:AZURE_OPENAI_API_KEY}"
                + (f", or use {section}.auth: entra" if azure else ""),
            )
        return NoAuth()
    if azure:
        return KeyAuth(api_key, header="api-key", section=section)
    return KeyAuth(api_key, header="authorization", prefix="Bearer ", section=section)


def entra_credential(section: str = "embedder") -> Any:
    """Return azure-identity's default credential; its faults come as errors of closeloop.

    Raises ModelMissingError where the package is not installed.
    """
    try:
        from azure.core.exceptions import AzureError
        from azure.identity import DefaultAzureCredential
    except ImportError as error:
        raise ModelMissingError(
            f"{section}.auth is entra, but the package azure-identity is not installed",
            hint=f"pip install 'closeloop[azure]', or use {section}.auth: key",
        ) from error

    class Credential:
        def __init__(self) -> None:
            self._inner = DefaultAzureCredential()

        def get_token(self, scope: str) -> Any:
            try:
                return self._inner.get_token(scope)
            except AzureError as error:
                raise TerminalError(
                    f"no Entra token for {scope} ({type(error).__name__})",
                    hint="sign in (az login), or give this machine a managed identity with the "
                    "role Cognitive Services OpenAI User",
                ) from error

    return Credential()
