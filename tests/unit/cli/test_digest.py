"""`closeloop digest` says in plain words what a day brought."""

from __future__ import annotations

from pathlib import Path

from closeloop.cli.digest import signal_line
from closeloop.errors import UsageError
from closeloop.testing.example_rows import signal_row
from tests.unit.cli.commands import command, shop, told


def test_a_day_is_told_by_product(tmp_path: Path) -> None:
    shop(tmp_path)
    shown = command(tmp_path, "digest", "--date", "2024-03-01").output
    assert "shop-app" in shown
    assert "tickets opened:" in shown
    assert "P1 release 2.8.5: 14 complaints in 5 hours, 4.2 times the 3.3 expected" in shown
    assert "behind it: release 2.8.5" in shown
    assert "waiting for a person:" in shown
    assert "no reviewed labels yet" in shown


def test_a_day_without_anything_says_so(tmp_path: Path) -> None:
    shop(tmp_path)
    assert "no complaints, no signals" in command(tmp_path, "digest", "--date", "2023-01-01").output
    assert told(tmp_path, "digest", "--date", "2023-01-01")["signals"] == []


def test_one_product_can_be_asked_for(tmp_path: Path) -> None:
    shop(tmp_path)
    assert told(tmp_path, "digest", "--date", "2024-03-01", "--product", "wallet")["signals"] == []


def test_an_unreadable_day_is_wrong_use(tmp_path: Path) -> None:
    shop(tmp_path)
    assert isinstance(command(tmp_path, "digest", "--date", "yesterday").exception, UsageError)


def test_hostile_names_are_disarmed() -> None:
    row = {
        **signal_row(category="\x1b]0;x\x07", kind="category"),
        "theme_label": None,
        "blamed_kind": "release",
        "blamed_name": "\x1b[2J",
        "action": "digest",
        "reasons": [],
    }
    assert "\x1b" not in signal_line(row)


def test_no_multiple_is_made_up_where_next_to_nothing_is_usual() -> None:
    row = {
        **signal_row(count=19, baseline=0.33),
        "theme_label": None,
        "blamed_name": None,
        "action": "digest",
        "reasons": [],
    }
    assert signal_line(row).endswith("19 complaints in 5 hours, where 0.3 are usual")
