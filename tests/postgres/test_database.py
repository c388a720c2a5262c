"""PostgreSQL: whole transactions, one migrator, tokens of an hour, lost connections, one workspace."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from sqlalchemy import text

from closeloop.errors import (
    CloseloopError,
    LeaseHeldError,
    SettingsError,
    TerminalError,
    TransientError,
)
from closeloop.store.database import Database
from closeloop.store.lakebase import LakebaseTokens
from closeloop.store.ledger import SqlLedger
from closeloop.testing.postgres_server import PostgresServer
from closeloop.testing.store_contract import AT, example_ticket


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = Database(url)
    yield opened
    opened.close()


def put_and_fail(database: Database, ticket_id: str) -> None:
    with database.transaction() as ops:
        ops.put_ticket(example_ticket(ticket_id))
        raise KeyError


def ids(database: Database) -> list[str]:
    with database.reading() as ops:
        return [t.ticket_id for t in ops.tickets()]


def test_an_error_rolls_everything_back_and_an_inner_one_only_itself(database: Database) -> None:
    with pytest.raises(KeyError):
        put_and_fail(database, "T1")
    with database.transaction() as outer:
        outer.put_ticket(example_ticket("T2"))
        with pytest.raises(KeyError):
            put_and_fail(database, "T3")
    assert ids(database) == ["T2"]


def test_it_is_kept(url: str, database: Database) -> None:
    with database.transaction() as ops:
        ops.put_ticket(example_ticket())
    again = Database(url)
    with again.reading() as ops:
        assert ops.tickets() == [example_ticket()]
    again.close()


def test_many_openers_migrate_once(url: str) -> None:
    failures: list[CloseloopError] = []

    def open_it() -> None:
        try:
            Database(url).close()
        except CloseloopError as error:
            failures.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert failures == []
    assert not any(t.is_alive() for t in threads)
    database = Database(url)
    with database.begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM schema_version")).scalar() == 1
    database.close()


def test_steps_get_growing_numbers_and_commit_with_their_effects(database: Database) -> None:
    ledger = SqlLedger(database)
    first = ledger.begin("one", as_of=AT, started_at=AT)
    second = ledger.begin("two", as_of=AT, started_at=AT)
    assert second > first
    assert ledger.unfinished() == [first, second]
    step = ledger.open()
    step.operations().put_ticket(example_ticket())
    step.roll_back()
    assert ids(database) == []
    ledger.mark_undone([first, second], heads={})
    assert ledger.unfinished() == []


def test_a_fresh_token_is_asked_for_each_new_connection(server: PostgresServer, url: str) -> None:
    bare = url.replace(":first-secret", "")
    now, given = [0.0], iter(["first-secret", "second-secret"])
    current: list[str] = []

    def credential(endpoint: str) -> SimpleNamespace:
        assert endpoint == "projects/p/branches/b/endpoints/e"
        current.append(next(given))
        return SimpleNamespace(token=current[-1], expire_time=None)

    client = SimpleNamespace(postgres=SimpleNamespace(generate_database_credential=credential))
    tokens = LakebaseTokens(
        "projects/p/branches/b/endpoints/e", client=lambda: client, clock=lambda: now[0]
    )
    database = Database(bare, password=tokens)
    with database.transaction() as ops:
        ops.put_ticket(example_ticket())
    # An hour later the old token is no good for a login; what is open lives on.
    server.set_password("second-secret")
    assert ids(database) == ["T1"]
    assert current == ["first-secret"]
    now[0] += 3_001
    server.drop_connections()
    assert ids(database) == ["T1"]
    assert current == ["first-secret", "second-secret"]
    database.close()


def test_a_wrong_password_is_refused_without_being_told(server: PostgresServer) -> None:
    with pytest.raises(TerminalError) as caught:
        Database(server.url("refused", password="not-the-secret"))
    assert "refused the login" in str(caught.value)
    assert "not-the-secret" not in str(caught.value)


def test_a_server_that_is_not_there_may_come_back(url: str) -> None:
    gone = url.rpartition("?")[0] + "?unix_sock=/nowhere/.s.PGSQL.5432"
    with pytest.raises(TransientError, match="operational database failed"):
        Database(gone)


def test_connections_lost_between_two_steps_are_made_anew(
    server: PostgresServer, database: Database
) -> None:
    with database.transaction() as ops:
        ops.put_ticket(example_ticket())
    server.drop_connections()
    assert ids(database) == ["T1"]


def test_a_transaction_whose_connection_is_lost_leaves_nothing(
    server: PostgresServer, database: Database
) -> None:
    def lose_it() -> None:
        with database.transaction() as ops:
            ops.put_ticket(example_ticket())
            server.drop_connections()
            ops.put_ticket(example_ticket("T2"))

    with pytest.raises(TransientError):
        lose_it()
    assert ids(database) == []


def test_one_workspace_at_a_time(url: str, database: Database) -> None:
    other = Database(url)
    with database.lease(wait_s=1), pytest.raises(LeaseHeldError), other.lease(wait_s=0.6):
        pass
    with other.lease(wait_s=1):
        pass
    other.close()


def test_the_lease_of_a_program_that_died_is_free(server: PostgresServer, url: str) -> None:
    dead, alive = Database(url), Database(url)
    holding = dead.lease(wait_s=1)
    holding.__enter__()
    server.drop_connections()
    with alive.lease(wait_s=5):
        pass
    with pytest.raises(TransientError, match="was lost"):
        holding.__exit__(None, None, None)
    alive.close()
    dead.close()


def test_another_driver_is_named(url: str) -> None:
    with pytest.raises(SettingsError, match="'psycopg' is not supported"):
        Database(url.replace("+pg8000", "+psycopg"))


def test_a_user_without_rights_is_told_which(server: PostgresServer, url: str) -> None:
    name = url.partition("@/")[2].partition("?")[0]
    server.run(f'ALTER DATABASE "{name}" OWNER TO keeper')
    with pytest.raises(TerminalError, match="permission denied") as caught:
        Database(url)
    assert "GRANT" in caught.value.hint
