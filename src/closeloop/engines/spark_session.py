"""Opens the Spark session that a workspace works with: here, on a server, or on Databricks."""

from __future__ import annotations

import logging
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from closeloop.errors import OutsideError, SettingsError

DELTA_PACKAGES = (
    "io.delta:delta-spark_4.2_2.13:4.4.0",
    "org.apache.spark:spark-sql-kafka-0-10_2.13:4.2.0",
)
"""What Spark 4.2 needs beyond itself, as Maven names it; a folder of jars takes its place."""

RUNTIME = "DATABRICKS_RUNTIME_VERSION"
"""Set in the environment of every job and notebook of Databricks."""

ALWAYS = {
    # The same clock and the same SQL on both engines.
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    # Without it times are written in a form that other readers of Delta have given up.
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
}
"""Set on every session, whoever made it."""

SETTABLE_ON_SERVERLESS = frozenset({"spark.sql.session.timeZone", "spark.sql.ansi.enabled"})
"""Of the settings that closeloop makes, those that Databricks' serverless compute takes; it refuses
any that is not on its short list."""

HERE = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.maxResultSize": "0",
    "spark.sql.shuffle.partitions": "4",
    # A table of a few files has a log of a few entries: 50 tasks to read them are 48 too many.
    "spark.databricks.delta.snapshotPartitions": "2",
    # A vacuum would list a folder with up to 10,000 tasks.
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "2",
}
"""Set on a session on this machine."""


@dataclass(frozen=True, slots=True)
class SparkPlace:
    """Where Spark is, as closeloop.yaml says: a Connect address, else a master.

    `jars` is a folder with Delta's jars (and Kafka's); without one they come from Maven. On
    Databricks, where a catalog holds the tables, master and jars mean nothing.
    """

    remote: str | None = None
    master: str = "local[*]"
    jars: Path | None = None
    driver_memory: str = "2g"
    warehouse: Path | None = None
    conf: Mapping[str, str] = field(default_factory=dict)
    databricks: bool = False


def spark_faults() -> tuple[type[Exception], ...]:
    """Return what Spark raises: its own errors, and those of its bridge to Java where there is one."""
    from pyspark.errors import PySparkException

    try:
        from py4j.protocol import Py4JError
    except ImportError:
        return (PySparkException,)
    return PySparkException, Py4JError


def open_session(place: SparkPlace) -> Any:
    """Return a session; one that is there already (a notebook's, a job's) is used as it is.

    Raises OutsideError where pyspark, Java or the server are absent, and says which.
    """
    try:
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise OutsideError(
            "the engine is spark, and pyspark is not installed",
            hint="pip install 'closeloop[spark]', or set engine: local in closeloop.yaml",
        ) from error
    # Its own log repeats every error in JSON; ours says it once.
    logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL)
    session = SparkSession.getActiveSession()
    faults: tuple[type[Exception], ...] = (*spark_faults(), RuntimeError, OSError)
    try:
        if session is None:
            session = _made(place)
    except faults as error:
        raise OutsideError(
            f"Spark can't be reached: {str(error).strip().partition(chr(10))[0]}",
            hint="check spark.remote in closeloop.yaml and that the server runs"
            if place.remote
            else "the jars come from Maven Central; see docs/engines.md on machines without it",
        ) from error
    for name, value in ALWAYS.items():
        if not place.databricks or name in SETTABLE_ON_SERVERLESS:
            session.conf.set(name, value)
    return session


def _made(place: SparkPlace) -> Any:
    if place.remote:
        return _connected(place.remote)
    return _of_databricks() if place.databricks else _started(place)


def _of_databricks() -> Any:
    """Return the job's or notebook's session; elsewhere the one that Databricks Connect makes.

    In a wheel's task the session is there and not yet the active one: only a builder finds it.
    """
    try:
        from databricks.connect import DatabricksSession as Sessions
    except ImportError:
        from pyspark.sql import SparkSession as Sessions

        if RUNTIME not in os.environ:
            raise OutsideError(
                "spark.catalog names a catalog of Databricks, and this is not Databricks",
                hint="install databricks-connect in place of pyspark, set spark.remote, or leave "
                "spark.catalog out",
            ) from None
    try:
        return Sessions.builder.getOrCreate()
    except Exception as error:
        # What its configuration lacks is told by errors of many kinds, the bare one among them.
        raise OutsideError(
            f"Databricks gives no Spark session: {str(error).strip().partition(chr(10))[0]}",
            hint="in a job or notebook it is there; elsewhere Databricks Connect wants a profile",
        ) from error


def _connected(remote: str) -> Any:
    from pyspark.sql import SparkSession

    return SparkSession.builder.remote(remote).getOrCreate()


def _started(place: SparkPlace) -> Any:
    from pyspark.sql import SparkSession

    _check_java()
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.appName("closeloop").master(place.master)
    chosen = HERE | {"spark.driver.memory": place.driver_memory} | dict(place.conf)
    if place.warehouse is not None:
        chosen["spark.sql.warehouse.dir"] = str(place.warehouse)
    if place.jars is not None:
        chosen["spark.jars"] = ",".join(_jars(place.jars))
    else:
        chosen["spark.jars.packages"] = ",".join(DELTA_PACKAGES)
    for name, value in chosen.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def _jars(folder: Path) -> list[str]:
    found = sorted(str(path.resolve()) for path in folder.glob("*.jar"))
    if not any("delta-spark" in Path(path).name for path in found):
        raise SettingsError(
            f"spark.jars: {folder} holds no delta-spark jar",
            hint="leave spark.jars out and they come from Maven Central",
        )
    return found


def _check_java() -> None:
    home = os.environ.get("JAVA_HOME")
    there = (Path(home) / "bin" / "java").exists() if home else shutil.which("java") is not None
    if not there:
        raise OutsideError(
            "Spark on this machine needs Java 17, and there is no java"
            + (f" in JAVA_HOME ({home})" if home else " on the PATH"),
            hint="install a JDK or JRE 17 (for example openjdk-17-jre-headless), or set spark.remote",
        )
