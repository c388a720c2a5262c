"""Themes are listed with how sure they are, their languages and where they came from."""

from pathlib import Path

from closeloop.tables import FEEDBACK, THEME
from closeloop.testing.example_rows import AT

from .commands import MINE, OTHER, command, shop, told


def _with_a_child(folder: Path) -> None:
    workspace = shop(folder)
    with workspace.step("test") as step:
        texts = step.rows(FEEDBACK).to_pylist()
        spoken = {MINE: "en", OTHER: "hi-Latn"}
        step.merge(
            FEEDBACK, FEEDBACK.from_rows(t | {"language": spoken[t["feedback_id"]]} for t in texts)
        )
        row = {"product": "shop-app", "size": 3, "born_at": AT, "first_seen": AT, "last_seen": AT}
        step.merge(
            THEME,
            THEME.from_rows(
                [
                    row | {"theme_id": "th-a", "label": "money", "representative_ids": [MINE]},
                    row
                    | {"theme_id": "th-k", "label": "kid", "split_from": "th-a", "emerging": True},
                    row | {"theme_id": "th-m", "label": "gone", "merged_into": "th-a"},
                ]
            ),
        )
        step.ops.audit(
            actor="closeloop",
            action="theme.emerge",
            subject="th-k",
            detail="3 texts from th-a",
            at=AT,
        )
    workspace.database.close()


def test_the_list_shows_confidence_languages_and_lineage(tmp_path: Path) -> None:
    _with_a_child(tmp_path)
    rows = {row["theme_id"]: row for row in told(tmp_path, "themes")}
    assert set(rows) == {"th-a", "th-b", "th-k"}, "a merged one is not listed"
    assert rows["th-a"]["confidence"] == 0.8
    assert rows["th-a"]["languages"] == [
        {"language": "en", "texts": 1},
        {"language": "hi-Latn", "texts": 1},
    ]
    assert rows["th-k"]["languages"] == []
    assert rows["th-k"]["emerging"]
    printed = command(tmp_path, "themes", "--limit", "3").output
    assert "0.80?" in printed, "no judged pairs have calibrated it"


def test_one_theme_is_shown_with_family_history_and_words(tmp_path: Path) -> None:
    _with_a_child(tmp_path)
    parent = told(tmp_path, "themes", "show", "th-a")
    assert [(f["relation"], f["theme_id"]) for f in parent["family"]] == [
        ("split off", "th-k"),
        ("took over", "th-m"),
    ]
    assert [q["feedback_id"] for q in parent["feedback"]] == [MINE]
    printed = command(tmp_path, "themes", "show", "th-k").output
    assert "emerging in th-a" in printed
    assert "emerge: 3 texts from th-a" in printed
    assert "split from: th-a money" in printed
    assert "en 50%, hi-Latn 50%" in command(tmp_path, "themes", "show", "th-a").output


def test_an_unknown_theme_is_said(tmp_path: Path) -> None:
    _with_a_child(tmp_path)
    result = command(tmp_path, "themes", "show", "nope")
    assert result.exit_code != 0
    assert "no theme" in str(result.exception)
    many = command(tmp_path, "themes", "show", "th-")
    assert "themes with an id" in str(many.exception)
