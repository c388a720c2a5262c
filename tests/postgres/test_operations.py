"""The operational database on PostgreSQL passes the suite that SQLite passes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager

import pytest

from closeloop.ports import Operations
from closeloop.store.database import Database
from closeloop.testing.store_contract import OperationsContract


class TestSqlOperationsOnPostgres(OperationsContract):
    @pytest.fixture(autouse=True)
    def _database(self, url: str) -> Iterator[None]:
        self.database = Database(url)
        yield
        self.database.close()

    def transaction(self) -> AbstractContextManager[Operations]:
        return self.database.transaction()
