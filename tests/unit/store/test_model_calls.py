"""Calls are counted before and after, answers kept once, and what holds an erased text goes."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from closeloop.domain.model_answer import AnswerState, ModelAnswer, Usage
from closeloop.domain.model_call import ModelCall, Spending
from closeloop.errors import IntegrityError, TerminalError
from closeloop.store.database import Database
from closeloop.store.migrations import Migration, migrate
from closeloop.store.model_calls import SqlCallLedger, ledger_exists, ledger_url
from closeloop.store.model_schema import MIGRATIONS, versions
from closeloop.testing.language_model_contract import REQUEST

AT = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
CALL = ModelCall(
    key="k1", purpose="brief", prompt_version="brief@1", model="m", run="r1", at=AT,
    reserved_usd=0.5, reserved_tokens=900,
)  # fmt: skip
ANSWER = ModelAnswer(
    AnswerState.ANSWERED, "m", text='{"a": 1}', usage=Usage(10, 4, 5), cost_usd=0.1
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "closeloop-models.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[SqlCallLedger]:
    made = SqlCallLedger(f"sqlite:///{path}")
    yield made
    made.close()


def done(ledger: SqlCallLedger, call: ModelCall = CALL, answer: ModelAnswer = ANSWER) -> ModelCall:
    """Make a call that ends with this answer, which is kept."""
    number = ledger.begin(call)
    ended = replace(
        call, number=number, state=answer.state, usage=answer.usage, cost_usd=answer.cost_usd,
        seconds=1.5,
    )  # fmt: skip
    ledger.finish(ended, keep=(REQUEST, answer))
    return ended


def test_a_call_comes_back_as_it_was_written(ledger: SqlCallLedger) -> None:
    first = done(ledger)
    not_sent = replace(CALL, sent=False, state=AnswerState.BUDGET_SPENT, detail="over", key="k2")
    number = ledger.begin(not_sent)
    assert ledger.calls() == [first, replace(not_sent, number=number)]
    assert ledger.calls(after=first.number) == [replace(not_sent, number=number)]
    assert ledger.calls(since=AT + timedelta(seconds=1)) == []


def test_an_answer_is_kept_with_its_time_and_survives_a_new_opening(
    ledger: SqlCallLedger, path: Path
) -> None:
    done(ledger)
    again = SqlCallLedger(f"sqlite:///{path}")
    kept = again.kept("k1")
    again.close()
    assert kept is not None
    assert kept[1] == AT
    assert kept[0] == replace(ANSWER, usage=Usage(), cost_usd=0.0, kept=True)
    assert ledger.kept("k2") is None


def test_the_first_answer_with_a_text_stays(ledger: SqlCallLedger) -> None:
    refused = ModelAnswer(AnswerState.REFUSED, "m", detail="no")
    done(ledger, answer=refused)
    done(ledger)
    done(ledger, answer=replace(ANSWER, text="{}"))
    done(ledger, answer=refused)
    kept = ledger.kept("k1")
    assert kept is not None
    assert kept[0].text == '{"a": 1}'


def test_what_was_set_aside_counts_until_the_end_is_known(ledger: SqlCallLedger) -> None:
    ledger.begin(CALL)
    assert ledger.spent() == Spending(calls=1, usd=0.5)
    done(ledger, replace(CALL, run="r2", at=AT + timedelta(days=1)))
    number = ledger.begin(CALL)
    ledger.finish(
        replace(CALL, number=number, state=AnswerState.TIMED_OUT, uncertain=True), keep=None
    )
    assert ledger.spent(run="r1") == Spending(calls=2, usd=1.0)
    later = ledger.spent(since=AT + timedelta(hours=1))
    assert later == Spending(calls=1, usd=0.1, tokens=15)
    ledger.begin(replace(CALL, sent=False, state=AnswerState.BUDGET_SPENT))
    ledger.begin(replace(CALL, reserved_usd=None))
    assert ledger.spent().unpriced == 1
    assert ledger.spent() == Spending.of(ledger.calls())


def test_an_end_without_a_beginning_is_a_fault_and_keeps_nothing(ledger: SqlCallLedger) -> None:
    with pytest.raises(IntegrityError, match="no call 7"):
        ledger.finish(replace(CALL, number=7, state=AnswerState.ANSWERED), keep=(REQUEST, ANSWER))
    assert ledger.kept("k1") is None


WORDS = "my parcel was left in the “rain”\nand nobody answers me"


@pytest.mark.parametrize(
    ("text", "answer", "about"),
    [
        (f"Review: {WORDS}", "{}", ()),
        (json.dumps({"reviews": [WORDS]}), "{}", ()),
        ("nothing here", json.dumps({"quote": "and nobody answers me"}), ()),
        ("reworded", "{}", ("f" * 32,)),
        ("cites ffffffff only", "{}", ()),
    ],
)
def test_answers_that_hold_erased_words_or_ids_go(
    text: str, answer: str, about: tuple[str, ...], ledger: SqlCallLedger, path: Path
) -> None:
    others = ("others", "another text", ("e" * 32,), "{}")
    for key, content, whom, said in (("mine", text, about, answer), others):
        number = ledger.begin(replace(CALL, key=key))
        request = replace(REQUEST, text=content, about=whom)
        ledger.finish(
            replace(CALL, key=key, number=number, state=AnswerState.ANSWERED),
            keep=(request, replace(ANSWER, text=said)),
        )
    assert ledger.forget(feedback_ids=["f" * 32], texts=[WORDS]) == 1
    assert ledger.kept("mine") is None
    assert ledger.kept("others") is not None
    assert len(ledger.calls()) == 2
    held = b"".join(p.read_bytes() for p in path.parent.iterdir())
    assert b"nobody answers" not in held


def test_texts_that_no_database_takes_are_kept_all_the_same(ledger: SqlCallLedger) -> None:
    number = ledger.begin(CALL)
    ended = replace(CALL, number=number, state=AnswerState.ANSWERED)
    ledger.finish(ended, keep=(replace(REQUEST, text="NUL \0 and \ud800"), ANSWER))
    assert ledger.kept("k1") is not None


def test_it_is_a_private_file_beside_the_operational_database(
    ledger: SqlCallLedger, path: Path
) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert ledger_url(f"sqlite:///{path.parent}/closeloop.db") == f"sqlite:///{path}"
    assert ledger_url("sqlite:////a.b/database") == "sqlite:////a.b/database-models"
    secret = "postgresql+psycopg://me:secret@host/name"
    assert ledger_url(secret) == secret
    assert ledger_exists(f"sqlite:///{path}")
    assert not ledger_exists(f"sqlite:///{path}-not")


def test_it_shares_a_database_with_the_operational_tables(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/one.db"
    database, ledger = Database(url), SqlCallLedger(url)
    done(ledger)
    with database.reading() as operations:
        assert operations.tickets() == []
    ledger.close()
    database.close()
    SqlCallLedger(url).close()
    Database(url).close()


def test_a_call_lasts_while_a_step_holds_its_own_transaction(tmp_path: Path) -> None:
    operational = f"sqlite:///{tmp_path}/closeloop.db"
    database, ledger = Database(operational), SqlCallLedger(ledger_url(operational))

    def step() -> None:
        with database.transaction():
            done(ledger)
            raise ValueError("the step fails")

    with pytest.raises(ValueError, match="the step fails"):
        step()
    assert ledger.kept("k1") is not None
    assert ledger.spent().calls == 1
    ledger.close()
    database.close()


def test_a_newer_ledger_is_refused(ledger: SqlCallLedger) -> None:
    newer = (*MIGRATIONS, Migration(2, "later", lambda connection: None))
    with ledger.transaction() as connection:
        migrate(connection, migrations=newer, versions=versions)
    with pytest.raises(TerminalError, match="schema 2"), ledger.transaction() as connection:
        migrate(connection, migrations=MIGRATIONS, versions=versions)
