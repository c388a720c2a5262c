"""How Databricks differs from Spark: names in Unity Catalog, Auto Loader, secrets, merges on serverless."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any

from closeloop.engines.spark import SparkEngine
from closeloop.engines.spark_names import CatalogNames, quoted
from closeloop.engines.spark_session import SETTABLE_ON_SERVERLESS
from closeloop.tables import Table

VOLUMES = PurePosixPath("/Volumes")
RETENTION = "delta.deletedFileRetentionDuration"
"""The property of a table that says how long files live on that no current row needs."""


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
    """Spark with what serverless compute takes away: most settings of the session.

    A merge needs no transaction to be safe: the same rows merged again give the same table, and
    the ledger undoes a step that did not commit. That queries name no files is Unity Catalog's to
    refuse: it grants paths apart from tables.
    """

    @contextmanager
    def _set(self, values: dict[str, str]) -> Iterator[None]:
        with super()._set({k: v for k, v in values.items() if k in SETTABLE_ON_SERVERLESS}):
            yield

    def forget(self, table: Table) -> None:
        """Remove from disk what no current row needs.

        The check against short retentions can't be switched off there, so the table itself allows
        it for as long as that takes: afterwards an undone step finds its files again.
        """
        if self.version(table) is None:
            return
        name = self._names.identifier(table)
        with self._told(table, "vacuumed"):
            self._session.sql(
                f"ALTER TABLE {name} SET TBLPROPERTIES ('{RETENTION}' = 'interval 0 hours')"
            )
            try:
                self._session.sql(f"VACUUM {name} RETAIN 0 HOURS")
            finally:
                self._session.sql(
                    f"ALTER TABLE {name} UNSET TBLPROPERTIES IF EXISTS ('{RETENTION}')"
                )


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
