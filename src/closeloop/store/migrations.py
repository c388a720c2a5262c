"""Brings an operational database to the newest schema: numbered steps, forward only, at opening."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, Table, func, insert, inspect, select, text

from closeloop.errors import TerminalError
from closeloop.store.schema import metadata, schema_version

LOCK_ID = 0x636C6F73
"""Key of the advisory lock on PostgreSQL ("clos"), so that two openers don't migrate at once."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step from the schema before it; it runs once, inside a transaction."""

    version: int
    name: str
    apply: Callable[[Connection], None]


def _create_all(connection: Connection) -> None:
    metadata.create_all(connection)


MIGRATIONS: tuple[Migration, ...] = (Migration(1, "create all tables", _create_all),)
"""In order, never changed once released. A database made today starts at the first, so a later
step must find its work done where `create_all` did it already."""


def migrate(
    connection: Connection,
    *,
    migrations: tuple[Migration, ...] = MIGRATIONS,
    versions: Table = schema_version,
) -> int:
    """Run the steps that this database has not seen; return the version it has then.

    `versions` is the table that says which it has seen.
    Raises TerminalError where the database is newer than this program.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK_ID})
    current = _current(connection, versions)
    newest = migrations[-1].version
    if current > newest:
        raise TerminalError(
            f"the operational database has schema {current}, this closeloop knows up to {newest}",
            hint="upgrade closeloop, or restore the database from before the upgrade",
        )
    for migration in migrations:
        if migration.version > current:
            migration.apply(connection)
            connection.execute(
                insert(versions).values(version=migration.version, name=migration.name)
            )
    return newest


def _current(connection: Connection, versions: Table) -> int:
    if not inspect(connection).has_table(versions.name):
        return 0
    return int(connection.execute(select(func.max(versions.c.version))).scalar() or 0)
