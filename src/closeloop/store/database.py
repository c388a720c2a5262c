"""Opens the operational database and gives out transactions on it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    NoSuchModuleError,
    OperationalError,
)

from closeloop.domain.ticket import Ticket
from closeloop.errors import SettingsError, TerminalError, TransientError, redact
from closeloop.store import issues
from closeloop.store.migrations import migrate
from closeloop.store.operations import SqlOperations
from closeloop.store.postgres import (
    BACKEND,
    CLASS_28,
    advisory_lease,
    connected,
    postgres_engine,
    server_error,
)

BUSY_TIMEOUT_MS = 30_000
"""How long SQLite waits for another process that writes."""

PASSING = ("08", "40", "53", "55", "57")
"""Classes of SQLSTATE that may pass: connection, serialization, resources, locks, intervention."""

FORBIDDEN = "42501"

FAULTS = (DBAPIError, ConnectionError)
"""What a driver raises; of a connection that was lost some let the socket's own error through."""

READ_ONLY = "closeloop_reads_only"
"""Execution option of a connection that will not write."""


class Database:
    """The operational database behind a URL, made and migrated when it is opened.

    SQLite is kept in WAL with foreign keys on and a file that its owner alone can read; a
    transaction takes the write lock at its beginning, so that it never fails half-way for it.
    On PostgreSQL `password` is asked for each new connection, in place of one in the URL.
    """

    def __init__(self, url: str, *, password: Callable[[], str] | None = None) -> None:
        self._engine = open_engine(url, password=password)
        self._held = threading.local()
        with self.begin() as connection:
            self.version = migrate(connection)

    @contextmanager
    def lease(self, *, wait_s: float) -> Iterator[None]:
        """Hold the workspace against programs on other machines; SQLite is on one machine only.

        Raises LeaseHeldError where another holds it for longer than `wait_s`.
        """
        if self._engine.dialect.name != BACKEND:
            yield
            return
        try:
            with advisory_lease(self._engine, wait_s=wait_s):
                yield
        except FAULTS as error:
            raise unreachable(error) from error

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """Begin a transaction; commit at the end, roll back on an error.

        Within another transaction of the same thread it is a part of it: undone by itself on an
        error, made lasting by the outer one only. Raises TransientError where the database can't
        be reached or stays locked.
        """
        outer: Connection | None = getattr(self._held, "connection", None)
        if outer is not None:
            with outer.begin_nested():
                yield outer
            return
        try:
            with connected(self._engine) as connection, connection.begin():
                self._held.connection = connection
                try:
                    yield connection
                finally:
                    self._held.connection = None
        except FAULTS as error:
            raise unreachable(error) from error

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Begin a transaction that reads only: it neither waits for writers nor makes them wait."""
        outer: Connection | None = getattr(self._held, "connection", None)
        if outer is not None:
            yield outer
            return
        try:
            with connected(self._engine) as connection:
                reading = connection.execution_options(**{READ_ONLY: True})
                with reading.begin():
                    yield reading
        except FAULTS as error:
            raise unreachable(error) from error

    @contextmanager
    def reading(self) -> Iterator[SqlOperations]:
        """Begin a transaction that reads only and yield the operations on it."""
        with self.read() as connection:
            yield SqlOperations(connection)

    @contextmanager
    def transaction(self) -> Iterator[SqlOperations]:
        """Begin a transaction and yield the operations on it."""
        with self.begin() as connection:
            yield SqlOperations(connection)

    def open_issue(self, ticket: Ticket, *, idempotency_key: str) -> int:
        """Open an issue of the built-in tracker; return its number, the same for the same key."""
        with self.begin() as connection:
            return issues.open_issue(connection, ticket, idempotency_key=idempotency_key)

    def update_issue(
        self, number: int, ticket: Ticket, *, comment: str, idempotency_key: str
    ) -> None:
        """Bring an issue up to date and add the comment once."""
        with self.begin() as connection:
            issues.update_issue(
                connection, number, ticket, comment=comment, idempotency_key=idempotency_key
            )

    def forget(self) -> None:
        """Overwrite on disk what was deleted or replaced (SQLite: the write-ahead log too)."""
        overwrite(self._engine)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


def overwrite(engine: Engine) -> None:
    """Overwrite on disk what was deleted or replaced (SQLite: the write-ahead log too)."""
    if engine.dialect.name == "sqlite":
        bare = engine.raw_connection()
        try:
            bare.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            bare.close()


def unreachable(error: DBAPIError | ConnectionError) -> Exception:
    """Return what to raise for a driver's error: the database's state, or the statement's fault."""
    if isinstance(error, ConnectionError):
        return TransientError(
            f"the operational database's connection was lost ({type(error).__name__})",
            hint="run again: what was committed stays",
        )
    said = server_error(error)
    state, message = said.get("C", ""), redact(said.get("M", ""), keep=200)
    if state[:2] == CLASS_28:
        return TerminalError(
            f"the operational database refused the login: {message}",
            hint="check the user and the password or token that storage.database refers to",
        )
    if state == FORBIDDEN:
        return TerminalError(
            f"the operational database: {message}",
            hint="GRANT the user CREATE and USAGE on the schema, or make it the owner",
        )
    passing = (
        state[:2] in PASSING if state else isinstance(error, OperationalError | InterfaceError)
    )
    if not passing:
        return error
    detail = message or redact(error.orig, keep=200)
    return TransientError(
        f"the operational database failed: {detail}",
        hint="check that it runs, its disk has room, and no other program holds it",
    )


def open_engine(url: str, *, password: Callable[[], str] | None = None) -> Engine:
    """Return the engine behind a URL; the file of SQLite is made, for its owner alone.

    Raises SettingsError for what is no usable URL.
    """
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == BACKEND:
            return postgres_engine(parsed, password=password)
        if parsed.get_backend_name() != "sqlite":
            raise ArgumentError(parsed.get_backend_name())
        memory = parsed.database in (None, "", ":memory:")
        if not memory:
            _private_file(Path(str(parsed.database)))
        engine = create_engine(parsed)
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        # The URL may hold a password: name what is wrong, never the URL.
        raise SettingsError(
            f"storage.database: no usable database URL ({type(error).__name__})",
            hint="write sqlite:///closeloop.db or postgresql+pg8000://USER:${env:PGPASSWORD}@HOST/NAME; "
            "PostgreSQL needs 'closeloop[postgres]'",
        ) from error
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_immediate)
    return engine


def _private_file(path: Path) -> None:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver's own transaction handling is off: it would begin late and break savepoints.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "foreign_keys=ON",
        f"busy_timeout={BUSY_TIMEOUT_MS}",
        "secure_delete=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_immediate(connection: Connection) -> None:
    reads = connection.get_execution_options().get(READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
