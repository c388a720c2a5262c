"""A changed taxonomy.yaml is shown before it moves anything, waits until it is applied, and is kept."""

import json
from dataclasses import asdict
from pathlib import Path

import yaml

from closeloop.app import Workspace
from closeloop.domain.review import ReviewItem, ReviewKind, ReviewStatus
from closeloop.stages import embed, enrich
from closeloop.stages.taxonomy_proposals import PROPOSALS, Proposal
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


def test_a_proposal_is_shown_with_an_entry_to_paste(tmp_path: Path) -> None:
    workspace = _workspace(tmp_path)
    proposal = Proposal(
        proposal_id="p1",
        name="parking gate",
        words=("parking", "gate"),
        central_ids=("f0", "gone"),
        texts=40,
        before=2,
        all_texts=1_000,
        all_before=3_000,
        unknown=90,
        unknown_before=60,
        chance=1e-9,
        authors=33,
        complaint=True,
        products=(("shop-app", 40),),
        weeks=(("2024-01-01", 2, 250), ("2024-01-08", 40, 250)),
        looked_at=AT.isoformat(),
    )
    with workspace.step("learn") as step:
        step.put_state(PROPOSALS, json.dumps([0, [asdict(proposal)]]).encode())
        step.ops.put_review(
            ReviewItem(
                "p1",
                ReviewKind.CATEGORY,
                "",
                "",
                "shop-app",
                "a new category? parking, gate",
                ("40 texts",),
                ReviewStatus.OPEN,
                AT,
            )
        )
    workspace.database.close()
    (shown,) = told(tmp_path, "taxonomy", "proposals")
    assert (shown["name"], shown["status"], shown["texts"]) == ("parking gate", "open", 40)
    (entry,) = yaml.safe_load(shown["yaml"])
    assert entry["name"] == "parking gate"
    assert len(entry["examples"]) == 1
    assert entry["examples"][0].startswith("payment failed")
    printed = command(tmp_path, "taxonomy", "proposals").output
    assert "\x1b" not in printed
    assert "a week: 2 40" in printed
    assert "taxonomy proposals" in command(tmp_path, "review", "show", "p1").output
    assert command(tmp_path, "review", "reject", "p1", "--reason", "known").exit_code == 0
    assert told(tmp_path, "taxonomy", "proposals") == []
    assert len(told(tmp_path, "taxonomy", "proposals", "--all")) == 1
