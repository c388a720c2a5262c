"""A real PostgreSQL server for the whole run; `make test-postgres` says how to get one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from closeloop.testing.postgres_server import PostgresServer, postgres_server

_NUMBERS = count(1)


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as running:
        yield running


@pytest.fixture
def url(server: PostgresServer) -> str:
    """A URL of an empty database."""
    server.set_password("first-secret")
    return server.url(f"test{next(_NUMBERS)}")
