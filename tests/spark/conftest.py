"""Sessions of Apache Spark with Delta's jars, as `make test-spark` lays them out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from closeloop.engines.spark_session import SparkPlace, open_session

QUICK = {
    # Tables of a few rows: what is compiled for speed would cost more than it saves.
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.shuffle.partitions": "1",
    "spark.databricks.delta.snapshotPartitions": "1",
    "spark.databricks.delta.merge.repartitionBeforeWrite.enabled": "false",
}

JARS = Path(os.environ.get("CLOSELOOP_SPARK_JARS", ".spark/jars/spark"))
"""Absolute in what `make test-spark` runs; tests fail, not skip, where the jars are absent."""


@pytest.fixture(scope="session")
def place(tmp_path_factory) -> SparkPlace:
    """Spark in this process tree, on two cores."""
    return SparkPlace(
        master="local[2]",
        jars=JARS.resolve(),
        driver_memory="1g",
        warehouse=tmp_path_factory.mktemp("warehouse"),
        conf=QUICK,
    )


@pytest.fixture(scope="session")
def session(place):
    """A classic session."""
    session = open_session(place)
    yield session
    session.stop()
