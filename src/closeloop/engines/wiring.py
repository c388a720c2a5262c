"""Makes the engine that a workspace's settings ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from closeloop.ports import Engine

if TYPE_CHECKING:
    from closeloop.engines.spark_session import SparkPlace

LOCAL, SPARK = "local", "spark"


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """What closeloop.yaml says of engine and Spark; see docs/engines.md."""

    kind: str = LOCAL
    remote: str | None = None
    master: str = "local[*]"
    jars: Path | None = None
    driver_memory: str = "2g"
    catalog: str | None = None
    view_catalog: str | None = None
    conf: Mapping[str, str] = field(default_factory=dict)

    def place(self, warehouse: Path) -> SparkPlace:
        """Return where Spark is."""
        from closeloop.engines.spark_session import SparkPlace

        return SparkPlace(
            remote=self.remote,
            master=self.master,
            jars=self.jars,
            driver_memory=self.driver_memory,
            warehouse=warehouse,
            conf=self.conf,
            databricks=self.catalog is not None,
        )


def make_engine(choice: EngineChoice, lake: Path, *, warehouse: Path) -> Engine:
    """Return the engine over a folder of tables, or over a catalog's tables where one is named.

    Raises OutsideError where Spark is asked for and can't be reached.
    """
    if choice.kind == LOCAL:
        from closeloop.engines.local import LocalEngine

        return LocalEngine(lake)
    from closeloop.engines.held import HeldEngine
    from closeloop.engines.spark import SparkEngine
    from closeloop.engines.spark_names import FolderNames
    from closeloop.engines.spark_session import open_session

    session = open_session(choice.place(warehouse))
    if choice.catalog is None:
        return HeldEngine(SparkEngine(session, FolderNames(lake)))
    from closeloop.engines.databricks import DatabricksEngine, UnityNames

    names = UnityNames(choice.catalog, view_catalog=choice.view_catalog)
    return HeldEngine(DatabricksEngine(session, names))
