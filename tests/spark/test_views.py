"""The contract of the gold views, verbatim SQL and known answers, on Spark."""

from __future__ import annotations

import pytest

from closeloop.engines.local import LocalEngine
from closeloop.engines.spark import SparkEngine
from closeloop.engines.spark_names import FolderNames
from closeloop.ports import Transaction
from closeloop.tables import TABLES
from tests.contract import test_views as contract
from tests.contract.test_views import *  # noqa: F403 - the same tests, collected here


@pytest.fixture(autouse=True)
def _on_spark(session, tmp_path, monkeypatch):
    def run(query, relations, *, parameters=()):
        local, versions = LocalEngine(tmp_path), {}
        for number, table in enumerate(TABLES):
            rows = relations[table.full_name]
            versions[table.full_name] = (
                local.append(table, rows, transaction=Transaction("views", number))
                if rows.num_rows
                else None
            )
        engine = SparkEngine(session, FolderNames(tmp_path))
        return engine.sql(query, versions=versions, parameters=parameters)

    monkeypatch.setattr(contract, "run_sql", run)
