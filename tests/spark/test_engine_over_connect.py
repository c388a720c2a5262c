"""The engine contract over Spark Connect, on Apache Spark's own server with Delta."""

import os
import sys
from pathlib import Path

import pytest

from closeloop.engines.held import HeldEngine
from closeloop.engines.spark import SparkEngine
from closeloop.engines.spark_names import FolderNames
from closeloop.engines.spark_session import HERE, open_session
from closeloop.testing.engine_contract import EngineContract
from tests.spark.conftest import QUICK

# pyspark sets what it started the server with on the session too, which the server refuses.
pytestmark = pytest.mark.filterwarnings("ignore:Failed to set")


@pytest.fixture(scope="module")
def connected(place, tmp_path_factory):
    """A Connect session; pyspark starts the server in a process tree of its own."""
    from pyspark.sql import SparkSession

    # A server runs batch steps by its own Python, which must have what they import.
    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.remote("local[2]")
    jars = ",".join(sorted(str(path) for path in place.jars.glob("*.jar")))
    own = {
        "spark.jars": jars,
        "spark.sql.warehouse.dir": str(tmp_path_factory.mktemp("warehouse")),
    }
    for name, value in (HERE | QUICK | own).items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    yield open_session(place)
    session.stop()


class TestSparkEngineOverConnect(EngineContract):
    """With small tables held in memory, as a workspace has it."""

    @pytest.fixture
    def engine(self, connected, tmp_path: Path):
        return HeldEngine(SparkEngine(connected, FolderNames(tmp_path)))
