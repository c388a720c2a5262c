"""`closeloop briefs` lists and shows; each reader gets their text, and what it rests on."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from closeloop.domain.brief import Fact, FactSheet, Quotation
from closeloop.errors import NotFoundError
from closeloop.stages.fact_sheet import as_json
from closeloop.tables import BRIEF
from closeloop.testing.example_rows import AT
from closeloop.testing.example_workspace import example_workspace
from tests.unit.cli.commands import command, told

SIGNAL, BRIEF_ID = "c0ffee00c0ffee00", "beefbeefbeefbeef"


def briefed(folder: Path, *, brief_id: str = BRIEF_ID, made_at: datetime = AT, **more: Any) -> None:
    sheet = FactSheet(
        SIGNAL,
        (Fact("F1", "49 complaints; 7.9 were expected.", ("49",), "count"),),
        (Quotation("f" * 32, "pay\x1b[31m fails", 1.0, AT, "2.0"),),
        ("Shop",),
    )
    row = {
        "brief_id": brief_id,
        "signal_id": SIGNAL,
        "title": "Shop: payment failure",
        "summary": [{"sentence": "49 complaints.", "ids": ["F1"]}],
        "impacted_area": "Shop, payment failure.",
        "likely_cause": "Release 2.0.",
        "urgency": "Severity P1.",
        "recommended_owner": "payments-team",
        "routing_hints": ["product: Shop"],
        "next_actions": ["Halt the rollout."],
        "engineering": "For those who mend it [F1].",
        "support": "For those who answer.",
        "product_text": "For those who plan.",
        "leadership": "For those who decide.",
        "facts": as_json(sheet, basis={"count": 49}),
        "writer": "deterministic",
        "verified": True,
        "problems": [],
        "made_at": made_at,
    } | more
    with example_workspace(folder, now=AT).step("test") as step:
        step.append(BRIEF, BRIEF.from_rows([row]))


def test_the_newest_brief_of_each_signal_is_listed(tmp_path: Path) -> None:
    briefed(tmp_path)
    briefed(tmp_path, brief_id="0ld", made_at=AT.replace(year=2023), title="Old title")
    shown = command(tmp_path, "briefs")
    assert shown.exit_code == 0, shown.output
    assert "Shop: payment failure" in shown.output
    assert "Old title" not in shown.output
    (listed,) = told(tmp_path, "briefs")
    assert listed["brief_id"] == BRIEF_ID
    assert listed["facts"]["quotations"][0]["feedback_id"] == "f" * 32


def test_a_brief_is_shown_by_its_id_or_its_signals_with_what_it_rests_on(tmp_path: Path) -> None:
    briefed(tmp_path)
    by_signal = command(tmp_path, "briefs", "show", SIGNAL[:6])
    assert by_signal.output == command(tmp_path, "briefs", "show", BRIEF_ID[:6]).output
    for part in ("49 complaints. [F1]", "payments-team", "Halt the rollout.", "review " + "f" * 32):
        assert part in by_signal.output
    assert "For those who" not in by_signal.output


def test_each_reader_gets_their_own_text_and_the_facts(tmp_path: Path) -> None:
    briefed(tmp_path)
    texts = {
        "engineering": "For those who mend it",
        "support": "For those who answer",
        "product": "For those who plan",
        "leadership": "For those who decide",
    }
    for reader, text in texts.items():
        shown = command(tmp_path, "briefs", "show", BRIEF_ID, "--for", reader).output
        assert text in shown
        assert "F1 49 complaints; 7.9 were expected." in shown
        assert not [t for t in texts.values() if t != text and t in shown]


def test_hostile_text_and_problems_are_shown_disarmed(tmp_path: Path) -> None:
    briefed(tmp_path, verified=False, problems=["title: '50' is not on the fact sheet"])
    shown = command(tmp_path, "briefs", "show", BRIEF_ID).output
    assert "\x1b" not in shown
    assert "pay\\x1b[31m fails" in shown
    assert "not grounded: title: '50'" in shown
    assert "1 problems" in command(tmp_path, "briefs").output


def test_an_unknown_or_ambiguous_id_is_an_error(tmp_path: Path) -> None:
    briefed(tmp_path)
    briefed(tmp_path, brief_id="beefbeef2", signal_id="other")
    assert isinstance(command(tmp_path, "briefs", "show", "nope").exception, NotFoundError)
    assert isinstance(command(tmp_path, "briefs", "show", "beef").exception, NotFoundError)
    assert json.loads(command(tmp_path, "briefs", "show", "c0ffee", "--json").output)["title"]
