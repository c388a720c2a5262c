"""Both implementations of Operations pass the one contract suite."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from closeloop.ports import Operations
from closeloop.store.database import Database
from closeloop.testing.operations import InMemoryOperations
from closeloop.testing.store_contract import OperationsContract


class TestInMemoryOperations(OperationsContract):
    @pytest.fixture(autouse=True)
    def _operations(self) -> None:
        self.operations = InMemoryOperations()

    @contextmanager
    def transaction(self) -> Iterator[Operations]:
        yield self.operations


class TestSqlOperationsOnSqlite(OperationsContract):
    @pytest.fixture(autouse=True)
    def _database(self, tmp_path: Path) -> Iterator[None]:
        self.database = Database(f"sqlite:///{tmp_path / 'ops.db'}")
        yield
        self.database.close()

    def transaction(self) -> AbstractContextManager[Operations]:
        return self.database.transaction()
