"""A changed taxonomy.yaml is shown before it moves anything, waits until it is applied, and is kept."""

import json
from pathlib import Path

from closeloop.app import Workspace
from closeloop.stages import embed, enrich
from closeloop.tables import FEEDBACK
from closeloop.testing.example_rows import AT
from closeloop.testing.example_workspace import example_workspace

from .commands import command, told


def _workspace(folder: Path) -> Workspace:
    workspace = example_workspace(folder, now=AT)
    rows = [
        {
            "feedback_id": f"f{i}",
            "revision": 1,
            "product": "shop-app",
            "text": text,
            "text_hash": f"h{i}",
            "event_time": AT,
            "masker": "1",
        }
        for i, text in enumerate(("payment failed \x1b[31m again", "buttons are dead", "great app"))
    ]
    with workspace.step("refine") as step:
        step.append(FEEDBACK, FEEDBACK.from_rows(rows))
    for name, stage in ((embed.NAME, embed.run), (enrich.NAME, enrich.run)):
        with workspace.step(name) as step:
            stage(step)
    workspace.database.close()
    return workspace


def _rename(folder: Path) -> None:
    for name in ("taxonomy.yaml", "owners.yaml"):
        path = folder / name
        path.write_text(path.read_text().replace("payment failure", "money trouble"))


def test_a_change_is_shown_then_applied_and_its_history_kept(tmp_path: Path) -> None:
    _workspace(tmp_path)
    assert told(tmp_path, "taxonomy", "show")["waits"] is None
    _rename(tmp_path)
    shown = told(tmp_path, "taxonomy", "show")
    assert shown["waits"].startswith("taxonomy@")
    assert shown["categories"][0]["category"] == "payment failure"

    found = told(tmp_path, "taxonomy", "diff")
    assert found["moved"] == 1
    assert found["moves"][0]["before"] == "payment failure"
    assert found["moves"][0]["after"] == "money trouble"
    assert found["moves"][0]["samples"][0]["feedback_id"] == "f0"
    printed = command(tmp_path, "taxonomy", "diff").output
    assert "\x1b" not in printed, "customers' text is disarmed"
    assert "1 of 3 texts would move" in printed
    assert told(tmp_path, "taxonomy", "show")["categories"][0]["category"] == "payment failure"

    assert told(tmp_path, "taxonomy", "apply", "--by", "ann") == found
    shown = told(tmp_path, "taxonomy", "show")
    assert shown["waits"] is None
    counts = {c["category"]: c["texts"] for c in shown["categories"]}
    assert counts["money trouble"] == 1
    assert [(h["number"], h["applied_by"], h["moved"]) for h in shown["history"]] == [
        (1, "closeloop", 0),
        (2, "ann", 1),
    ]
    assert shown["history"][0]["categories"][0]["name"] == "payment failure"
    assert "applied already" in command(tmp_path, "taxonomy", "apply").output
    assert told(tmp_path, "taxonomy", "apply") is None
    assert told(tmp_path, "taxonomy", "apply", "--anew")["moved"] == 0


def test_run_and_doctor_say_that_a_change_waits(tmp_path: Path) -> None:
    _workspace(tmp_path)
    assert told(tmp_path, "run")["taxonomy_waits"] is None
    _rename(tmp_path)
    assert told(tmp_path, "run")["taxonomy_waits"].startswith("taxonomy@")
    assert "closeloop taxonomy diff" in command(tmp_path, "run").output
    found = json.loads(command(tmp_path, "doctor", "--json").output)
    checks = {f["check"]: f for f in found}
    assert checks["taxonomy"]["ok"]
    assert "waits" in checks["taxonomy"]["detail"]


def test_nothing_is_applied_before_the_first_run(tmp_path: Path) -> None:
    example_workspace(tmp_path, now=AT).database.close()
    shown = told(tmp_path, "taxonomy", "show")
    assert shown["history"] == []
    assert "not applied yet" in command(tmp_path, "taxonomy", "show").output
