"""Opens PostgreSQL: encrypted, a fresh password for each new connection, one workspace at a time."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from closeloop.errors import LeaseHeldError, SettingsError, TransientError

BACKEND = "postgresql"
DRIVER = "pg8000"
LEASE_ID = 0x636C6C73
"""Key of the advisory lock of a workspace ("clls")."""
LOOK_AGAIN_S = 0.5
POOL, OVERFLOW = 5, 5
LOOPBACK = ("localhost", "127.0.0.1", "::1", None, "")
CLASS_28 = "28"
"""Class of SQLSTATE: the login was refused."""


def postgres_engine(url: URL, *, password: Callable[[], str] | None = None) -> Engine:
    """Return an engine whose connections are tried before use.

    `password` is asked for each new connection: a token that lasts an hour (Lakebase) is checked at
    login only, so connections that are open live on. Other hosts than this machine are spoken to by
    TLS, and their certificate is checked. Raises SettingsError for a driver other than pg8000.
    """
    if url.get_driver_name() != DRIVER:
        raise SettingsError(
            f"storage.database: the driver {url.get_driver_name()!r} is not supported",
            hint=f"write postgresql+{DRIVER}://USER@HOST/NAME, and pip install 'closeloop[postgres]'",
        )
    arguments: dict[str, Any] = {"application_name": "closeloop", "timeout": 30}
    if url.host not in LOOPBACK and "unix_sock" not in url.query:
        arguments["ssl_context"] = ssl.create_default_context()
    engine = create_engine(
        url,
        pool_pre_ping=True,
        pool_size=POOL,
        max_overflow=OVERFLOW,
        connect_args=arguments,
    )
    if password is not None:

        @event.listens_for(engine, "do_connect")
        def _with_fresh_password(_dialect: Any, _record: Any, _args: Any, given: Any) -> None:
            given["password"] = password()

    return engine


def connected(engine: Engine) -> Connection:
    """Return a connection that works: where the pool holds dead ones, they are all given up.

    The pool tries a connection before it hands it out, but knows the driver's own errors only.
    """
    try:
        return engine.connect()
    except ConnectionError:
        engine.dispose()
        return engine.connect()


@contextmanager
def advisory_lease(engine: Engine, *, wait_s: float) -> Iterator[None]:
    """Hold the database's workspace against programs on other machines.

    The lock belongs to a connection of its own: it is free again when this process ends, however it
    ends. Raises LeaseHeldError where another holds it for longer than `wait_s`.
    """
    connection = connected(engine).execution_options(isolation_level="AUTOCOMMIT")
    key = {"key": LEASE_ID}
    try:
        until = time.monotonic() + wait_s
        while not connection.execute(text("SELECT pg_try_advisory_lock(:key)"), key).scalar():
            if time.monotonic() >= until:
                raise LeaseHeldError(
                    f"another closeloop has held this database's workspace for over {wait_s:.0f} s",
                    hint="wait for it to end, or end it; nothing was changed",
                )
            time.sleep(LOOK_AGAIN_S)
        yield
        _release(connection)
    finally:
        # A closed connection gives its locks back, also where the work ended in an error.
        connection.invalidate()
        connection.close()


def _release(connection: Connection) -> None:
    """Unlock. Raises TransientError where the connection, and with it the hold, was lost meanwhile."""
    try:
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": LEASE_ID})
    except (DBAPIError, ConnectionError) as error:
        raise TransientError(
            "the hold on the database's workspace was lost while closeloop worked",
            hint="run again: what was committed stays, what was not is undone",
        ) from error


def server_error(error: DBAPIError) -> dict[str, str]:
    """Return the fields of the server's own error (C: SQLSTATE, M: message), {} where it sent none.

    The driver may find the connection closed while it still handles what the server said: then the
    server's words are among what that error came from.
    """
    cause: BaseException | None = error.orig
    while cause is not None:
        first = cause.args[0] if cause.args else None
        if isinstance(first, dict):
            return {str(k): str(v) for k, v in first.items()}
        cause = cause.__cause__ or cause.__context__
    return {}
