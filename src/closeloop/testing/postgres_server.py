"""Starts a real PostgreSQL server for tests: in a folder of its own, on a Unix socket, with passwords."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pg8000.native

from closeloop.errors import OutsideError

USER = "closeloop"
FIRST_PASSWORD = "first-secret"  # noqa: S105 - of a server that lives for one test
PORT = 5432
START_S = 30.0
HOMES = ("/usr/lib/postgresql", "/usr/pgsql", "/opt/homebrew/opt", "/usr/local/opt")


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A running server. `url` names a database of it, without a password where none is given."""

    socket: Path

    def url(self, database: str, *, password: str | None = FIRST_PASSWORD) -> str:
        """Return the URL of a database, made where it is not there yet."""
        held = {row[0] for row in self.run("SELECT datname FROM pg_database")}
        if database not in held:
            self.run(f'CREATE DATABASE "{database}" OWNER {USER}')
        secret = "" if password is None else f":{password}"
        return f"postgresql+pg8000://{USER}{secret}@/{database}?unix_sock={self.socket}"

    def run(self, statement: str) -> list[list[object]]:
        """Run one statement as the superuser of the test."""
        connection = pg8000.native.Connection(
            "keeper", database="postgres", unix_sock=self.socket.as_posix()
        )
        try:
            return list(connection.run(statement) or [])
        finally:
            connection.close()

    def set_password(self, password: str) -> None:
        """Change the user's password: open connections live on, new ones need the new one."""
        self.run(f"ALTER ROLE {USER} PASSWORD '{password}'")

    def drop_connections(self) -> None:
        """End every connection of the user, as a restart or a failover does."""
        self.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'closeloop'"
        )


def binaries() -> Path | None:
    """Return the folder with initdb and postgres, None where PostgreSQL is not installed."""
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).parent
    for home in HOMES:
        found = sorted(Path(home).glob("*/bin/initdb")) if Path(home).is_dir() else []
        if found:
            return found[-1].parent
    return None


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Yield a server that ends with the block.

    Raises OutsideError where PostgreSQL is not installed or does not start.
    """
    programs = binaries()
    if programs is None:
        raise OutsideError(
            "PostgreSQL is not installed here: no initdb was found",
            hint="install the package postgresql (Debian: apt-get install postgresql)",
        )
    folder = Path(tempfile.mkdtemp(prefix="closeloop-pg-"))
    owner = _unprivileged()
    if owner is not None:
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    user, group = (None, None) if owner is None else (owner.pw_uid, owner.pw_gid)
    groups: list[int] | None = None if owner is None else []
    data = folder / "data"
    try:
        subprocess.run(  # noqa: S603 - programs of the installed server
            [programs / "initdb", "-D", data, "-U", "keeper", "--auth-local=trust", "-E", "UTF8",
             "--no-locale", "--no-sync"],
            check=True, capture_output=True, cwd=folder, user=user, group=group, extra_groups=groups,
        )  # fmt: skip
        (data / "pg_hba.conf").write_text(
            f"local all keeper trust\nlocal all {USER} scram-sha-256\n"
        )
        server = subprocess.Popen(  # noqa: S603 - as above
            [programs / "postgres", "-D", data, "-k", folder, "-p", str(PORT), "-F",
             "-c", "listen_addresses=", "-c", "log_min_messages=fatal"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder,
            user=user, group=group, extra_groups=groups,
        )  # fmt: skip
        try:
            yield _ready(PostgresServer(folder / f".s.PGSQL.{PORT}"), server)
        finally:
            server.terminate()
            server.wait(timeout=START_S)
    except subprocess.CalledProcessError as error:
        raise OutsideError(
            f"PostgreSQL could not be set up: {error.stderr.decode(errors='replace')[-300:]}",
            hint="run initdb by hand in an empty folder to see why",
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _ready(server: PostgresServer, process: subprocess.Popen[bytes]) -> PostgresServer:
    until = time.monotonic() + START_S
    while True:
        try:
            server.run(f"CREATE ROLE {USER} LOGIN CREATEDB PASSWORD '{FIRST_PASSWORD}'")
        except (pg8000.native.InterfaceError, pg8000.native.DatabaseError) as error:
            if process.poll() is not None or time.monotonic() > until:
                raise OutsideError(
                    f"PostgreSQL did not start: {type(error).__name__}",
                    hint="run postgres by hand to see why",
                ) from error
            time.sleep(0.1)
        else:
            return server


def _unprivileged() -> pwd.struct_passwd | None:
    """Return whom to be in place of root, under which PostgreSQL refuses to run."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    return None
