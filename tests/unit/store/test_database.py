"""Opening: a private file, WAL, migrations once; transactions that are whole or nothing."""

from __future__ import annotations

import sqlite3
import stat
import threading
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text

from closeloop.errors import SettingsError, TerminalError
from closeloop.store.database import Database
from closeloop.store.migrations import MIGRATIONS, Migration, migrate
from closeloop.store.schema import metadata, table_head
from closeloop.testing.store_contract import AT, example_ticket


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "closeloop.db"


@pytest.fixture
def database(path: Path) -> Database:
    return Database(f"sqlite:///{path}")


def test_the_file_is_its_owners_alone(database: Database, path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_sqlite_is_in_wal_with_foreign_keys_and_secure_delete(database: Database) -> None:
    with database.begin() as connection:
        pragmas = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "foreign_keys", "secure_delete", "busy_timeout")
        }
    assert pragmas["journal_mode"] == "wal"
    assert pragmas["foreign_keys"] == 1
    assert pragmas["secure_delete"] == 1
    assert pragmas["busy_timeout"] >= 1_000


def test_opened_again_it_holds_what_was_committed(database: Database, path: Path) -> None:
    with database.transaction() as ops:
        ops.put_ticket(example_ticket())
    database.close()
    with Database(f"sqlite:///{path}").transaction() as ops:
        assert ops.tickets() == [example_ticket()]


def put_and_fail(database: Database, ticket_id: str) -> None:
    with database.transaction() as ops:
        ops.put_ticket(example_ticket(ticket_id))
        raise KeyError


def test_an_error_rolls_everything_back(database: Database) -> None:
    with pytest.raises(KeyError):
        put_and_fail(database, "T1")
    with database.transaction() as ops:
        assert ops.tickets() == []


def test_a_transaction_within_another_lasts_only_with_it(database: Database) -> None:
    def inner_commits_outer_fails() -> None:
        with database.begin():
            with database.transaction() as inner:
                inner.put_ticket(example_ticket())
            raise KeyError

    with pytest.raises(KeyError):
        inner_commits_outer_fails()
    with database.transaction() as ops:
        assert ops.tickets() == []


def test_a_failed_inner_transaction_leaves_the_outer_whole(database: Database) -> None:
    with database.transaction() as outer:
        outer.put_ticket(example_ticket("T1"))
        with pytest.raises(KeyError):
            put_and_fail(database, "T2")
    with database.transaction() as ops:
        assert [t.ticket_id for t in ops.tickets()] == ["T1"]


def test_another_thread_waits_for_the_write_lock(database: Database) -> None:
    def add() -> None:
        with database.transaction() as ops:
            ops.put_ticket(example_ticket("T2"))

    with database.transaction() as ops:
        other = threading.Thread(target=add)
        other.start()
        ops.put_ticket(example_ticket("T1"))
        assert [t.ticket_id for t in ops.tickets()] == ["T1"]
    other.join(timeout=10)
    with database.transaction() as ops:
        assert [t.ticket_id for t in ops.tickets()] == ["T1", "T2"]


def test_replaced_words_are_gone_from_every_file_once_forgotten(
    database: Database, path: Path
) -> None:
    words = "a very private sentence of one customer"
    with database.transaction() as ops:
        ops.put_ticket(example_ticket(body=words))
    with database.transaction() as ops:
        assert ops.forget(feedback_ids=[], texts=[words]) == 1
    database.forget()
    database.close()
    held = b"".join(f.read_bytes() for f in path.parent.iterdir())
    assert words.encode() not in held


def test_migrations_run_once_and_in_order(database: Database) -> None:
    seen: list[int] = []
    steps = (
        *MIGRATIONS,
        Migration(2, "two", lambda _c: seen.append(2)),
        Migration(3, "three", lambda _c: seen.append(3)),
    )
    with database.begin() as connection:
        assert migrate(connection, migrations=steps) == 3
        assert migrate(connection, migrations=steps) == 3
    assert seen == [2, 3]


def test_a_newer_database_is_left_alone(database: Database, path: Path) -> None:
    with database.begin() as connection:
        connection.execute(text("INSERT INTO schema_version VALUES (99, 'future')"))
    database.close()
    with pytest.raises(TerminalError, match="schema 99"):
        Database(f"sqlite:///{path}")


def test_every_table_is_there(path: Path, database: Database) -> None:
    database.close()
    with sqlite3.connect(path) as plain:
        names = {r[0] for r in plain.execute("SELECT name FROM sqlite_master WHERE type='table'")}
    assert set(metadata.tables) <= names


def test_the_schema_can_be_made_on_postgresql() -> None:
    from sqlalchemy.dialects import postgresql
    from sqlalchemy.schema import CreateTable

    statements = [
        str(CreateTable(t).compile(dialect=postgresql.dialect())) for t in metadata.sorted_tables
    ]
    assert any("TIMESTAMP WITH TIME ZONE" in s for s in statements)
    assert any("SERIAL" in s for s in statements)


@pytest.mark.parametrize("url", ["nonsense", "unknown+driver://user:secret@host/x"])
def test_an_unusable_url_is_named_without_its_password(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Database(url)
    assert "secret" not in str(caught.value)


def test_times_without_zone_are_refused(database: Database) -> None:
    ticket = example_ticket(opened_at=AT.replace(tzinfo=None))
    with pytest.raises(Exception, match="without zone"), database.transaction() as ops:
        ops.put_ticket(ticket)


def test_a_head_without_version_is_kept(database: Database) -> None:
    with database.begin() as connection:
        connection.execute(insert(table_head).values(table_name="t", version=None, step_id=4))
        assert connection.execute(select(table_head.c.version)).scalar() is None


def test_a_reader_does_not_wait_for_a_writer(database: Database) -> None:
    seen: list[list[str]] = []

    def look() -> None:
        with database.reading() as ops:
            seen.append([t.ticket_id for t in ops.tickets()])

    with database.transaction() as ops:
        ops.put_ticket(example_ticket())
        other = threading.Thread(target=look)
        other.start()
        other.join(timeout=10)
    assert seen == [[]]
    look()
    assert seen == [[], ["T1"]]
