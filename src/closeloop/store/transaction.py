"""One database transaction for a step: it begins when first needed and ends with the step."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from sqlalchemy import Connection

from closeloop.ports import Operations, StepCommit
from closeloop.store.database import Database
from closeloop.store.operations import SqlOperations


class _RolledBack(Exception):  # noqa: N818 - never an error: it tells the transaction to roll back
    """Ends a transaction without committing it."""


class OpenTransaction:
    """Gives operations to a step and commits them together with the ledger's record.

    `write` puts the record; it is handed the connection, or None where no effect needed one and
    `always` is False.
    """

    def __init__(
        self,
        database: Database,
        *,
        write: Callable[[Connection | None, StepCommit], None],
        always: bool,
    ) -> None:
        self._database = database
        self._write = write
        self._always = always
        self._scope = ExitStack()
        self._connection: Connection | None = None
        self._operations: SqlOperations | None = None

    def operations(self) -> Operations:
        """Return the operations; the transaction begins with the first call."""
        if self._operations is None:
            self._operations = SqlOperations(self._begun())
        return self._operations

    def commit(self, record: StepCommit) -> None:
        """Record the step as committed, together with all effects."""
        if self._always:
            self._begun()
        self._write(self._connection, record)
        self._scope.close()
        self._connection = self._operations = None

    def roll_back(self) -> None:
        """Drop all effects."""
        ended = _RolledBack()
        try:
            if not self._scope.__exit__(_RolledBack, ended, None):
                return
        except _RolledBack:
            pass
        self._connection = self._operations = None

    def _begun(self) -> Connection:
        if self._connection is None:
            self._connection = self._scope.enter_context(self._database.begin())
        return self._connection
