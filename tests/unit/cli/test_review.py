"""`closeloop review`: answers reach the tables, and labelling can be stopped and resumed."""

from __future__ import annotations

import json
from pathlib import Path

from closeloop.app import Workspace
from closeloop.domain.review import CorrectionKind
from closeloop.errors import InputFileError, UsageError
from tests.unit.cli.commands import MINE, OTHER, command, shop, told


def only_review(folder: Path) -> str:
    (item,) = told(folder, "review")
    return str(item["review_id"])


def labels(workspace: Workspace) -> list[tuple[str, str]]:
    with workspace.database.reading() as ops:
        return [(label.kind.value, label.value) for label in ops.labels()]


def test_what_waits_is_listed_with_the_reason(tmp_path: Path) -> None:
    shop(tmp_path)
    shown = command(tmp_path, "review").output
    assert "Payments fail in Shop App since 2.8.5" in shown
    assert "no reviewed labels yet" in shown
    told_of = command(tmp_path, "review", "show", only_review(tmp_path)[:6]).output
    assert "release 2.8.5" in told_of
    assert "recommended owner" in told_of


def test_an_approval_opens_the_ticket(tmp_path: Path) -> None:
    shop(tmp_path)
    review_id = only_review(tmp_path)
    command(tmp_path, "review", "edit", review_id, "--owner", "wallet-team")
    ticket = told(tmp_path, "review", "approve", review_id, "--severity", "P2", "--by", "mia")
    assert (ticket["owner"], ticket["severity"]) == ("wallet-team", "P2")
    assert told(tmp_path, "review") == []
    assert len(told(tmp_path, "tickets")) == 2
    again = command(tmp_path, "review", "approve", review_id)
    assert isinstance(again.exception, UsageError)


def test_a_rejection_needs_its_reason(tmp_path: Path) -> None:
    workspace = shop(tmp_path)
    review_id = only_review(tmp_path)
    assert command(tmp_path, "review", "reject", review_id).exit_code == 2
    told(tmp_path, "review", "reject", review_id, "--reason", "a known outage")
    (item,) = told(tmp_path, "review", "--all")
    assert (item["status"], item["answer_reason"]) == ("rejected", "a known outage")
    assert labels(workspace) == [("ticket", "not_an_issue")]


def test_themes_are_corrected(tmp_path: Path) -> None:
    workspace = shop(tmp_path)
    assert told(tmp_path, "review", "merge", "th-b", "th-a")["target"] == "th-a"
    assert told(tmp_path, "review", "split", "th-a", MINE)["feedback_ids"] == [MINE]
    assert told(tmp_path, "review", "name", "th-a", "Failed refunds")["target"] == "Failed refunds"
    with workspace.database.reading() as ops:
        assert [c.kind for c in ops.corrections()] == [
            CorrectionKind.MERGE,
            CorrectionKind.SPLIT,
            CorrectionKind.NAME,
        ]


def test_labelling_keeps_each_answer_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    workspace = shop(tmp_path)
    first = command(tmp_path, "review", "label", given="y\nq\n")
    assert "1 answers kept, 1 as closeloop had said" in first.output
    assert labels(workspace) == [("pair", "same")]
    second = command(tmp_path, "review", "label", given="2\ns\n")
    assert second.exit_code == 0, second.output
    assert labels(workspace) == [("pair", "same"), ("category", "broken UI")]
    assert "the same issue?" not in second.output


def test_answers_come_from_a_file_whole_or_not_at_all(tmp_path: Path) -> None:
    workspace = shop(tmp_path)
    asked = told(tmp_path, "review", "label")
    assert {q["kind"] for q in asked} == {"pair", "category"}
    assert all(q["value"] is None for q in asked)
    path = tmp_path / "answers.json"
    answers = [{**q, "value": q["predicted"]} for q in asked]
    path.write_text(json.dumps([*answers[:2], {**answers[2], "value": "nonsense"}]))
    bad = command(tmp_path, "review", "label", "--answers", str(path))
    assert isinstance(bad.exception, InputFileError)
    assert "answer 3" in str(bad.exception)
    assert labels(workspace) == []
    path.write_text("\n".join(json.dumps(a) for a in answers))
    assert told(tmp_path, "review", "label", "--answers", str(path)) == {"taken": 3}
    assert told(tmp_path, "review", "label") == []


def test_a_file_that_holds_no_answers_is_named(tmp_path: Path) -> None:
    shop(tmp_path)
    path = tmp_path / "answers.json"
    for text in ("{broken", "[1, 2]"):
        path.write_text(text)
        result = command(tmp_path, "review", "label", "--answers", str(path))
        assert isinstance(result.exception, InputFileError)
        assert "answers.json" in str(result.exception)
    assert OTHER not in str(result.exception)
