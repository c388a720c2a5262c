"""Where tables live for Spark: a folder of Delta tables, or the schemas of a catalog."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any, Protocol

from closeloop.tables import Table

_COMMIT = re.compile(r"^(\d{20})\.json$")


class Names(Protocol):
    """Turns a declared table into what Spark calls it."""

    def identifier(self, table: Table) -> str:
        """Return the table's name, quoted for SQL."""
        ...

    def load(self, session: Any, table: Table, version: int) -> Any:
        """Return a DataFrame over one version."""
        ...

    def save(self, writer: Any, table: Table) -> None:
        """Let a DataFrameWriter write the table, which need not exist."""
        ...

    def newest(self, session: Any, table: Table) -> int | None:
        """Return the newest version, None where the table does not exist."""
        ...

    def enter(self, session: Any) -> None:
        """Make current the catalog in which views over pinned versions are made."""
        ...

    def publish(self, session: Any, table: Table) -> str:
        """Return the name under which a view can ask for `VERSION AS OF`, making it if need be."""
        ...

    def bytes_on_disk(self, session: Any, table: Table) -> int | None:
        """Return about how large the table is, None where that is not known."""
        ...


class FolderNames:
    """One Delta table a folder under `root`/layer/name: the same folders as the local engine's.

    The session's server must see the folder under the same path.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def identifier(self, table: Table) -> str:
        """Return delta.`/path`."""
        return f"delta.{quoted(self._path(table))}"

    def load(self, session: Any, table: Table, version: int) -> Any:
        """Return a DataFrame over one version."""
        reader = session.read.format("delta").option("versionAsOf", version)
        return reader.load(self._path(table))

    def save(self, writer: Any, table: Table) -> None:
        """Write the folder."""
        writer.save(self._path(table))

    def newest(self, session: Any, table: Table) -> int | None:  # noqa: ARG002
        """Return the number of the newest commit in the log: Spark would run a job to say it."""
        log = self._root / table.layer / table.name / "_delta_log"
        if not log.is_dir():
            return None
        found = (_COMMIT.match(entry.name) for entry in log.iterdir())
        return max((int(match[1]) for match in found if match), default=None)

    def enter(self, session: Any) -> None:
        """Stay in the session's own catalog: it holds nothing else."""

    def publish(self, session: Any, table: Table) -> str:
        """Register the folder as an external table of the session's own catalog."""
        digest = hashlib.blake2b(str(self._root).encode(), digest_size=8).hexdigest()
        schema = f"closeloop_{digest}"
        name = f"{quoted(schema)}.{quoted(f'{table.layer}__{table.name}')}"
        location = self._path(table).replace("\\", "\\\\").replace("'", "\\'")
        session.sql(f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)}")
        session.sql(f"CREATE TABLE IF NOT EXISTS {name} USING delta LOCATION '{location}'")
        return name

    def bytes_on_disk(self, session: Any, table: Table) -> int | None:  # noqa: ARG002
        """Return the size of all data files, also of those that no version needs any more."""
        folder = self._root / table.layer / table.name
        return sum(path.stat().st_size for path in folder.rglob("*.parquet"))

    def _path(self, table: Table) -> str:
        return str(self._root / table.layer / table.name)


class CatalogNames:
    """One table a name in `catalog`.layer, as in Unity Catalog; the catalog keeps the files."""

    def __init__(self, catalog: str) -> None:
        self._catalog = catalog

    def identifier(self, table: Table) -> str:
        """Return `catalog`.`layer`.`name`."""
        return ".".join(quoted(part) for part in (self._catalog, table.layer, table.name))

    def load(self, session: Any, table: Table, version: int) -> Any:
        """Return a DataFrame over one version."""
        return session.read.option("versionAsOf", version).table(self.identifier(table))

    def save(self, writer: Any, table: Table) -> None:
        """Write the table."""
        writer.saveAsTable(self.identifier(table))

    def newest(self, session: Any, table: Table) -> int | None:
        """Ask for the newest entry of the table's history."""
        if not session.catalog.tableExists(self.identifier(table)):
            return None
        rows = session.sql(f"DESCRIBE HISTORY {self.identifier(table)} LIMIT 1").collect()
        return int(rows[0]["version"]) if rows else None

    def enter(self, session: Any) -> None:
        """Stay where the session is."""

    def publish(self, session: Any, table: Table) -> str:  # noqa: ARG002
        """Return the name: the catalog has the table."""
        return self.identifier(table)

    def bytes_on_disk(self, session: Any, table: Table) -> int | None:
        """Return what the catalog says of the newest version."""
        rows = session.sql(f"DESCRIBE DETAIL {self.identifier(table)}").collect()
        return int(rows[0]["sizeInBytes"]) if rows else None


def quoted(name: str) -> str:
    """Return a name in backticks, as Spark SQL takes any name."""
    return "`" + name.replace("`", "``") + "`"
