"""`closeloop tickets` lists, shows and moves; hostile text never reaches the terminal raw."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from closeloop.errors import NotFoundError, UsageError
from tests.unit.cli.commands import command, shop, told


def only_ticket(folder: Path) -> dict[str, object]:
    (ticket,) = told(folder, "tickets")
    return dict(ticket)


def test_open_tickets_are_listed_with_owner_release_and_due_time(tmp_path: Path) -> None:
    shop(tmp_path)
    shown = command(tmp_path, "tickets")
    assert shown.exit_code == 0
    for part in ("2.8.5 is bad", "payments-team", "2.8.5", "2024-03-02 12:00"):
        assert part in shown.output
    assert only_ticket(tmp_path)["signal_id"] == "r1"


def test_one_ticket_is_told_whole(tmp_path: Path) -> None:
    shop(tmp_path)
    shown = command(tmp_path, "tickets", "show", str(only_ticket(tmp_path)["ticket_id"])[:5])
    for part in (
        "opened by rule 'severe'",
        "severity P1; needs P1 or P2",
        "“upi does not work since the update” (review bbbbbbbb11112222)",
        "first complaint 2024-03-01 12:00",
    ):
        assert part in shown.output


def test_a_ticket_is_started_and_resolved(tmp_path: Path) -> None:
    shop(tmp_path)
    ticket_id = str(only_ticket(tmp_path)["ticket_id"])
    assert "in progress" in command(tmp_path, "tickets", "start", ticket_id).output
    moved = told(tmp_path, "tickets", "resolve", ticket_id, "--version", "2.8.6", "--by", "mia")
    assert (moved["status"], moved["fixed_version"]) == ("resolved", "2.8.6")
    assert told(tmp_path, "tickets") == []
    assert [t["ticket_id"] for t in told(tmp_path, "tickets", "--all")] == [ticket_id]
    history = told(tmp_path, "tickets", "show", ticket_id)["history"]
    assert [h["action"] for h in history] == ["ticket.start", "ticket.resolve"]
    assert history[1]["actor"] == "mia"


def test_a_time_of_the_fix_can_be_given(tmp_path: Path) -> None:
    shop(tmp_path)
    ticket_id = str(only_ticket(tmp_path)["ticket_id"])
    moved = told(tmp_path, "tickets", "resolve", ticket_id, "--at", "2024-03-02T08:00+01:00")
    assert moved["resolved_at"] == "2024-03-02T07:00:00+00:00"


def test_wrong_use_ends_with_an_error_for_people(tmp_path: Path) -> None:
    shop(tmp_path)
    assert isinstance(command(tmp_path, "tickets", "start", "T-none").exception, NotFoundError)
    ticket_id = str(only_ticket(tmp_path)["ticket_id"])
    early = command(tmp_path, "tickets", "resolve", ticket_id, "--at", "2001-01-01")
    assert isinstance(early.exception, UsageError)
    told(tmp_path, "tickets", "reject", ticket_id, "--reason", "by design")
    assert isinstance(command(tmp_path, "tickets", "start", ticket_id).exception, UsageError)


@pytest.mark.parametrize("hostile", ["\x1b[31mred", "a\x07b", "x\u202ey"])
def test_hostile_text_is_shown_escaped(tmp_path: Path, hostile: str) -> None:
    workspace = shop(tmp_path)
    with workspace.database.transaction() as ops:
        (ticket,) = ops.tickets()
        ops.put_ticket(
            replace(ticket, title=hostile, body=hostile, examples=(hostile,), owner=hostile)
        )
    for arguments in (("tickets",), ("tickets", "show", ticket.ticket_id)):
        output = command(tmp_path, *arguments).output
        assert not set("\x1b\x07\u202e") & set(output)
        assert "\\x" in output or "\\u" in output
