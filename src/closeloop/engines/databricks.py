"""How Databricks differs from Spark: names in Unity Catalog, Auto Loader, secrets, merges on serverless."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any

from closeloop.engines.spark import APP_ID, APP_VERSION, UNCHECKED_VACUUM, SparkEngine
from closeloop.engines.spark_names import CatalogNames, quoted

VOLUMES = PurePosixPath("/Volumes")
UNSETTABLE = frozenset({APP_ID, APP_VERSION, UNCHECKED_VACUUM})
"""Settings that serverless compute refuses. A merge needs no transaction to be safe: the same rows
merged again give the same table, and the ledger undoes a step that did not commit."""


class UnityNames(CatalogNames):
    """Tables in `catalog`.layer; views over pinned versions in a catalog of their own.

    Unity Catalog can't hold a view `silver.theme` beside the table of that name.
    """

    def __init__(self, catalog: str, *, view_catalog: str | None = None) -> None:
        super().__init__(catalog)
        self._view_catalog = view_catalog or f"{catalog}_at_commit"

    def enter(self, session: Any) -> None:
        """Make the catalog of views the current one, so that `silver.theme` means the view."""
        session.sql(f"CREATE CATALOG IF NOT EXISTS {quoted(self._view_catalog)}")
        session.sql(f"USE CATALOG {quoted(self._view_catalog)}")


class DatabricksEngine(SparkEngine):
    """Spark with what serverless compute takes away."""

    @contextmanager
    def _set(self, values: dict[str, str]) -> Iterator[None]:
        with super()._set({k: v for k, v in values.items() if k not in UNSETTABLE}):
            yield


def volume(catalog: str, schema: str, name: str, *parts: str) -> str:
    """Return a path in a Unity Catalog volume: where files arrive and checkpoints lie."""
    return str(VOLUMES.joinpath(catalog, schema, name, *parts))


def secret(scope: str, key: str) -> str:
    """Return a secret of a Databricks scope: what ${databricks:scope/key} refers to."""
    from databricks.sdk import WorkspaceClient

    return str(WorkspaceClient().dbutils.secrets.get(scope=scope, key=key))


AUTO_LOADER = {"cloudFiles.format": "binaryFile"}
"""Auto Loader finds the files, each once; closeloop's own readers take them apart. So a new column,
or a value that does not fit, is kept in the payload and named in the quarantine, as on one machine,
and needs neither a schema location nor a column of rescued data."""
