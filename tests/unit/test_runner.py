"""A step commits whole or leaves no trace, whatever ends it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from closeloop.domain.review import OutboxMessage
from closeloop.engines.local import LocalEngine
from closeloop.engines.memory import MemoryEngine
from closeloop.runner import Runner
from closeloop.step import StepServices
from closeloop.store.database import Database
from closeloop.store.ledger import SqlLedger
from closeloop.store.memory_ledger import MemoryLedger
from closeloop.tables import SIGNAL, THEME
from closeloop.testing.configuration import example_configuration
from closeloop.testing.embedders import HashedWordEmbedder
from closeloop.testing.progress import SilentProgress

NOW = datetime(2024, 2, 6, tzinfo=UTC)


class StillClock:
    def now(self):
        return NOW


def services(engine):
    return StepServices(
        engine=engine,
        config=example_configuration(),
        make_embedder=HashedWordEmbedder,
        writer=None,
        token_key=b"k" * 32,
        progress=SilentProgress(),
    )


@pytest.fixture(params=["local", "memory"])
def runner(request, tmp_path: Path) -> Runner:
    database = Database(f"sqlite:///{tmp_path}/closeloop.db")
    if request.param == "local":
        return Runner(
            services=services(LocalEngine(tmp_path / "lake")),
            ledger=SqlLedger(database),
            clock=StillClock(),
        )
    return Runner(
        services=services(MemoryEngine()), ledger=MemoryLedger(database), clock=StillClock()
    )


def themes(*ids):
    return THEME.from_rows([{"theme_id": i, "product": "p"} for i in ids])


def message(key):
    return OutboxMessage(key, "ticket.create", "builtin", "{}", NOW)


def seen(runner, step):
    with runner.step(step, now=NOW) as context:
        return sorted(context.new_rows(THEME).column("theme_id").to_pylist())


def test_a_step_hands_out_rows_once(runner):
    with runner.step("write", now=NOW) as step:
        step.append(THEME, themes("a"))
        step.append(THEME, themes("b"))
    assert seen(runner, "read") == ["a", "b"]
    assert seen(runner, "read") == []
    assert seen(runner, "another") == ["a", "b"]
    with runner.step("write", now=NOW) as step:
        step.merge(THEME, themes("b", "c"))
    assert seen(runner, "read") == ["b", "c"]


def test_a_step_that_fails_leaves_no_trace(runner):
    with runner.step("write", now=NOW) as step:
        step.append(THEME, themes("kept"))

    def fail():
        with runner.step("write", now=NOW) as step:
            step.append(THEME, themes("lost"))
            step.append(SIGNAL, SIGNAL.from_rows([{"signal_id": "lost"}]))
            step.put_state("s", b"lost")
            assert step.ops.enqueue(message("lost"))
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        fail()
    with runner.step("read", now=NOW) as step:
        assert step.rows(THEME).column("theme_id").to_pylist() == ["kept"]
        assert step.rows(SIGNAL).num_rows == 0
        assert step.state("s") is None
        assert step.ops.outbox() == []


def test_a_step_sees_its_own_writes_but_not_as_new(runner):
    with runner.step("both", now=NOW) as step:
        step.append(THEME, themes("a"))
        assert step.rows(THEME).num_rows == 1
        assert step.new_rows(THEME).num_rows == 0
    assert seen(runner, "both") == []


def test_state_is_remembered_and_old_versions_go(runner):
    for blob in (b"1", b"2", b"2"):
        with runner.step("remember", now=NOW) as step:
            step.put_state("n", blob)
            step.put_state("n", blob, scope="other")
    runner.forget_heads()
    with runner.step("remember", now=NOW) as step:
        assert step.state("n") == b"2"
        from closeloop.tables import STATE

        assert step.rows(STATE).num_rows == 2


def test_a_kill_between_tables_and_commit_is_undone(tmp_path: Path):
    """The database never heard of the end of the step: its rows are taken back."""
    url = f"sqlite:///{tmp_path}/closeloop.db"

    def fresh():
        return Runner(
            services=services(LocalEngine(tmp_path / "lake")),
            ledger=SqlLedger(Database(url)),
            clock=StillClock(),
        )

    first = fresh()
    with first.step("write", now=NOW) as step:
        step.append(THEME, themes("kept"))
    scope = first.step("write", now=NOW + timedelta(hours=1))
    step = scope.__enter__()
    step.append(THEME, themes("lost"))
    step.append(SIGNAL, SIGNAL.from_rows([{"signal_id": "lost"}]))

    second = fresh()
    assert second.recover() == 1
    assert second.recover() == 0
    assert seen(second, "read") == ["kept"]
    with second.step("write", now=NOW) as step:
        step.append(THEME, themes("again"))
    third = fresh()
    assert third.recover() == 0
    assert seen(third, "read") == ["again"]


def portions(runner, rows):
    """Read in portions by id until none is left, as the loop does; return what each run saw."""
    found = []
    left = True
    while left:
        with runner.step("portions", now=NOW) as step:
            where = step.portion(THEME, by="theme_id", rows=rows)
            found.append(sorted(step.new_rows(THEME, where=where).column("theme_id").to_pylist()))
        left = step.left
    return found


def test_portions_hand_out_every_row_once_in_order(runner):
    with runner.step("write", now=NOW) as step:
        step.append(THEME, themes("d", "a", "c", "e", "b"))
    assert portions(runner, 2) == [["a", "b"], ["c", "d"], ["e"]]
    assert portions(runner, 2) == [[]]


def test_rows_that_come_between_portions_wait_for_the_end_and_are_not_lost(runner):
    with runner.step("write", now=NOW) as step:
        step.append(THEME, themes("b", "c", "d"))
    with runner.step("portions", now=NOW) as step:
        where = step.portion(THEME, by="theme_id", rows=2)
        assert step.new_rows(THEME, where=where).num_rows == 2
    with runner.step("write", now=NOW) as step:
        step.append(THEME, themes("a", "e"))
    assert portions(runner, 2) == [["d"], ["a", "e"]]


def test_a_portion_that_fails_is_handed_out_again(runner):
    with runner.step("write", now=NOW) as step:
        step.append(THEME, themes("a", "b", "c"))

    def fail():
        with runner.step("portions", now=NOW) as step:
            step.portion(THEME, by="theme_id", rows=2)
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        fail()
    assert portions(runner, 2) == [["a", "b"], ["c"]]


def test_rows_without_a_key_come_first(runner):
    times = [None, NOW, None, NOW + timedelta(hours=1)]
    rows = [{"signal_id": str(i), "detected_at": t} for i, t in enumerate(times)]
    with runner.step("write", now=NOW) as step:
        step.append(SIGNAL, SIGNAL.from_rows(rows))
    found = []
    left = True
    while left:
        with runner.step("portions", now=NOW) as step:
            where = step.portion(SIGNAL, by="detected_at", rows=1)
            found.append(step.new_rows(SIGNAL, where=where).column("signal_id").to_pylist())
        left = step.left
    assert found == [["0", "2"], ["1"], ["3"]]
