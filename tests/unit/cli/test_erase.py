"""`closeloop erase`: asked back, through every layer, on disk too, and finished after a kill."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from closeloop.domain.model_answer import AnswerState, ModelAnswer
from closeloop.domain.model_call import ModelCall
from closeloop.errors import UsageError
from closeloop.stages import erase as erasing
from closeloop.store.database import Database
from closeloop.tables import BRONZE_FEEDBACK
from closeloop.testing.language_model_contract import REQUEST
from closeloop.workspace_folder import write_summary
from tests.unit.cli.commands import MINE, OTHER, WORDS, command, shop, told


def on_disk(folder: Path, words: str) -> list[str]:
    """Return the files under a folder that hold the words, parquet files read.

    A file that goes while this looks (SQLite's own, when a connection closes) holds nothing.
    """
    found = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            continue
        if path.suffix == ".parquet" and "_delta_log" not in path.parts:
            held = words in str(pq.read_table(pa.BufferReader(content)).to_pylist())
        else:
            held = words.encode() in content
        if held:
            found.append(path.relative_to(folder).as_posix())
    return found


def test_an_author_is_erased_from_every_table_and_file(tmp_path: Path) -> None:
    shop(tmp_path).database.close()
    assert on_disk(tmp_path / "lake", WORDS[MINE])
    done = told(tmp_path, "erase", "--author", "ASHA", "--yes", "--by", "mia")
    assert done["feedback"] == 1
    assert done["rows"]["bronze.feedback"] == 1
    assert [f for f in on_disk(tmp_path, WORDS[MINE]) if "_delta_log" not in f] == []
    assert on_disk(tmp_path / "lake", WORDS[OTHER])
    tickets = told(tmp_path, "tickets")
    assert WORDS[MINE] not in str(tickets)
    assert WORDS[OTHER] in str(tickets)


def test_no_words_are_left_in_the_tables_logs(tmp_path: Path) -> None:
    shop(tmp_path).database.close()
    told(tmp_path, "erase", "--author", "Asha", "--yes")
    assert on_disk(tmp_path / "lake", WORDS[MINE]) == []


def test_kept_answers_of_language_models_go_too(tmp_path: Path) -> None:
    ledger = shop(tmp_path).call_ledger
    for key, words in (("mine", WORDS[MINE]), ("other", WORDS[OTHER])):
        call = ModelCall(
            key=key, purpose="brief", prompt_version="1", model="m", run="r",
            at=datetime(2026, 11, 25, tzinfo=UTC),
        )  # fmt: skip
        ended = replace(call, number=ledger.begin(call), state=AnswerState.ANSWERED)
        request = replace(REQUEST, text=f"1. {words}")
        ledger.finish(ended, keep=(request, ModelAnswer(AnswerState.ANSWERED, "m", text="{}")))
    ledger.close()
    assert on_disk(tmp_path, WORDS[MINE])
    done = told(tmp_path, "erase", "--author", "Asha", "--yes")
    assert done["rows"]["kept answers of language models"] == 1
    assert [f for f in on_disk(tmp_path, WORDS[MINE]) if "_delta_log" not in f] == []
    assert ledger.kept("other") is not None


def test_feedback_is_named_by_its_id_or_its_sources(tmp_path: Path) -> None:
    shop(tmp_path)
    assert told(tmp_path, "erase", "--id", MINE, "--id", "unknown", "--yes")["feedback"] == 1
    missing = command(tmp_path, "erase", "--source", "play", "--source-id", "none", "--yes")
    assert (missing.exit_code, missing.output) == (1, "nothing found that fits\n")


def test_retention_is_taken_from_the_configuration(tmp_path: Path) -> None:
    workspace = shop(tmp_path)
    assert isinstance(command(tmp_path, "erase", "--retention", "--yes").exception, UsageError)
    path = workspace.folder / "closeloop.yaml"
    path.write_text(path.read_text() + "retention: 730d\n")
    assert told(tmp_path, "erase", "--retention", "--yes")["feedback"] == 2
    assert command(tmp_path, "erase", "--retention", "--yes").exit_code == 0


def test_without_a_yes_it_asks_and_a_no_changes_nothing(tmp_path: Path) -> None:
    workspace = shop(tmp_path)
    refused = command(tmp_path, "erase", "--author", "Asha", given="n\n")
    assert "erase 1 feedback for good?" in refused.output
    assert refused.exit_code == 1
    assert workspace.committed(BRONZE_FEEDBACK).num_rows == 2
    assert command(tmp_path, "erase", "--author", "Asha", given="y\n").exit_code == 0
    assert workspace.committed(BRONZE_FEEDBACK).num_rows == 1


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--author", "Asha", "--id", MINE),
        ("--source", "play"),
        ("--older-than", "soon"),
        ("--author", "Asha", "--json"),
    ],
)
def test_unclear_requests_are_refused(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    shop(tmp_path)
    assert isinstance(command(tmp_path, "erase", *arguments).exception, UsageError)


def test_backtests_that_hold_it_go_and_others_stay(tmp_path: Path) -> None:
    shop(tmp_path)
    for name, held in (("with", MINE), ("without", OTHER)):
        folder = tmp_path / "backtests" / name
        copy = shop(folder)
        with copy.step("keep") as step:
            step.delete(BRONZE_FEEDBACK, [("feedback_id", "!=", held)])
        write_summary(folder, {})
    (tmp_path / "backtests" / "interrupted").mkdir()
    done = told(tmp_path, "erase", "--id", MINE, "--yes")
    assert done["backtests"] == ["interrupted", "with"]
    assert sorted(p.name for p in (tmp_path / "backtests").iterdir()) == ["without"]


def test_an_erasure_killed_before_its_files_were_gone_is_finished_by_the_next(
    tmp_path: Path,
) -> None:
    workspace = shop(tmp_path)
    with workspace.step(erasing.NAME) as step:
        erasing.erase(step, [MINE], by="mia", request="id")
    workspace.database.close()
    assert [f for f in on_disk(tmp_path / "lake", WORDS[MINE]) if f.endswith(".parquet")]
    command(tmp_path, "erase", "--id", "anything", "--yes")
    left = on_disk(tmp_path, WORDS[MINE])
    assert [f for f in left if "_delta_log" not in f] == []


def test_what_is_logged_names_nobody(tmp_path: Path) -> None:
    shop(tmp_path)
    told(tmp_path, "erase", "--author", "Asha", "--yes", "--by", "mia")
    with Database(f"sqlite:///{tmp_path / 'closeloop.db'}").reading() as ops:
        (entry,) = [e for e in ops.audit_entries() if e.action == "erase"]
    assert (entry.actor, entry.subject) == ("mia", "author")
    assert "Asha" not in entry.detail
    assert MINE not in entry.detail
