"""The engine contract over Spark Connect, on Sail: a server in this process, without Java."""

from pathlib import Path

import pytest

from closeloop.engines.spark import SparkEngine
from closeloop.engines.spark_names import FolderNames
from closeloop.engines.spark_session import SparkPlace, open_session
from closeloop.testing.engine_contract import EngineContract


@pytest.fixture(scope="module")
def session():
    sail = pytest.importorskip("pysail.spark")
    server = sail.SparkConnectServer()
    server.start()
    _, port = server.listening_address
    session = open_session(SparkPlace(remote=f"sc://127.0.0.1:{port}"))
    yield session
    session.stop()
    server.stop()


class TestSparkEngineOnSail(EngineContract):
    @pytest.fixture
    def engine(self, session, tmp_path: Path):
        return SparkEngine(session, FolderNames(tmp_path))

    @pytest.mark.xfail(strict=True, reason="Sail 0.7.2 writes no Delta transaction")
    def test_a_transaction_written_before_changes_nothing(self, engine):
        super().test_a_transaction_written_before_changes_nothing(engine)

    @pytest.mark.xfail(strict=True, reason="Sail 0.7.2 has no RESTORE")
    def test_restore_goes_back_and_later_writes_build_on_it(self, engine):
        super().test_restore_goes_back_and_later_writes_build_on_it(engine)
