"""Passwords for Lakebase: tokens of an hour from the Databricks workspace, renewed in time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from closeloop.errors import TerminalError, TransientError

RENEW_BEFORE_S = 600.0
"""A token is checked at login only and valid for an hour; one that is older than fifty minutes is
not handed out any more."""
ASSUMED_LIFE_S = 3_600.0


class LakebaseTokens:
    """Gives the password for a new connection to a Lakebase endpoint.

    `endpoint` is its name ("projects/…/branches/…/endpoints/…"). The client is made when first
    needed, with the credentials of the job or app, or of the user's profile.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        client: Callable[[], Any] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._endpoint = endpoint
        self._make_client = client or _workspace_client
        self._client: Any = None
        self._clock = clock
        self._lock = threading.Lock()
        self._token = ""
        self._until = 0.0

    def __call__(self) -> str:
        """Return a token that is good for at least ten more minutes.

        Raises TransientError where the workspace gives none.
        """
        with self._lock:
            if self._clock() >= self._until - RENEW_BEFORE_S:
                self._renew()
            return self._token

    def _renew(self) -> None:
        if self._client is None:
            self._client = self._make_client()
        try:
            credential = self._client.postgres.generate_database_credential(endpoint=self._endpoint)
        except Exception as error:
            raise TransientError(
                f"no token for the database endpoint {self._endpoint}: {type(error).__name__}",
                hint="check storage.database_endpoint, and that the job's or app's identity may "
                "connect to it",
            ) from error
        self._token = str(credential.token)
        self._until = _expiry(credential, now=self._clock())


def _expiry(credential: Any, *, now: float) -> float:
    """Return until when a credential is good, in seconds since 1970."""
    said: Any = getattr(credential, "expire_time", None)
    if isinstance(said, datetime):
        return (said if said.tzinfo else said.replace(tzinfo=UTC)).timestamp()
    if hasattr(said, "ToDatetime"):
        return float(said.ToDatetime(tzinfo=UTC).timestamp())
    if isinstance(said, str):
        return datetime.fromisoformat(said.replace("Z", "+00:00")).timestamp()
    return now + ASSUMED_LIFE_S


def _workspace_client() -> Any:
    try:
        from databricks.sdk import WorkspaceClient
    except ImportError as error:
        raise TerminalError(
            "a Lakebase database needs the package databricks-sdk, which is not installed",
            hint="pip install 'closeloop[databricks]'",
        ) from error
    return WorkspaceClient()
