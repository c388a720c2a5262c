"""The commands `policy check` and `policy backtest`, as a user runs them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from closeloop.errors import CloseloopError
from closeloop.settings import default_text
from tests.unit.cli.commands import command, shop, told


def write_policy(folder: Path, *, change: tuple[str, str] = ("", "")) -> Path:
    path = folder / "changed.yaml"
    text = (folder / "policy.yaml").read_text()
    assert change[0] in text
    path.write_text(text.replace(*change))
    return path


def refused(folder: Path, *arguments: str) -> CloseloopError:
    error = command(folder, *arguments).exception
    assert isinstance(error, CloseloopError)
    assert error.exit_code == 2
    return error


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shop(tmp_path)
    # The example's signals have one term of severity, 22.5 points.
    text = re.sub(
        r"p([123]): \d+", lambda m: f"p{m[1]}: {24 - 2 * int(m[1])}", default_text("policy.yaml")
    )
    (tmp_path / "policy.yaml").write_text(text)
    return tmp_path


def test_a_sound_policy_passes(folder: Path) -> None:
    result = command(folder, "policy", "check")
    assert result.exit_code == 0, result.output
    assert "nothing to object to" in result.output


def test_an_error_is_refused_with_the_line_and_the_reason(folder: Path) -> None:
    path = write_policy(folder, change=("min_confidence: 0.85", "min_confidence: 85"))
    line = 1 + path.read_text().splitlines().index("    min_confidence: 85")
    error = str(refused(folder, "policy", "check", str(path)))
    assert f"changed.yaml:{line}: rules.0.min_confidence" in error
    assert "less than or equal to 1" in error


def test_an_unknown_bound_gets_a_hint(folder: Path) -> None:
    path = write_policy(folder, change=("min_authors: 3", "min_author: 3"))
    assert "did you mean 'min_authors'" in str(refused(folder, "policy", "check", str(path)))


@pytest.mark.parametrize(
    ("bound", "place", "reason"),
    [
        ("segments: [regoin=DE]", "rules.0.segments.0", "the column one of region, sku"),
        ("min_revenue: -5", "rules.0.min_revenue", "greater than 0"),
        ("min_tier_authors: 2", "rules.0", "name them in 'tiers'"),
    ],
)
def test_a_bound_that_says_nothing_is_refused_with_its_line(
    folder: Path, bound: str, place: str, reason: str
) -> None:
    path = write_policy(folder, change=("    min_authors: 3", f"    min_authors: 3\n    {bound}"))
    lines = path.read_text().splitlines()
    of_rule = place == "rules.0"
    line = 1 + lines.index("  - name: clear and severe" if of_rule else f"    {bound}")
    error = str(refused(folder, "policy", "check", str(path)))
    assert f"changed.yaml:{line}: {place}: " in error
    assert reason in error


def test_an_unknown_category_is_refused_with_its_line(folder: Path) -> None:
    path = write_policy(
        folder, change=("    kinds: [release]", "    categories: [paymnt failure]\n    kinds: [release]")
    )  # fmt: skip
    error = str(refused(folder, "policy", "check", str(path)))
    line = 1 + path.read_text().splitlines().index("    categories: [paymnt failure]")
    assert f"changed.yaml:{line}: rules.1" in error
    assert "did you mean 'payment failure'" in error


def test_a_rule_that_nothing_reaches_is_a_finding_with_its_line(folder: Path) -> None:
    path = write_policy(
        folder, change=("  - name: the rest", "  - name: late\n    action: ticket\n"
                        "    require_fdr: true\n    min_confidence: 0.9\n    severities: [P1]\n\n"
                        "  - name: the rest"),
    )  # fmt: skip
    line = 1 + path.read_text().splitlines().index("  - name: late")
    result = command(folder, "policy", "check", str(path), "--json")
    assert result.exit_code == 1
    (found,) = json.loads(result.output)["findings"]
    assert found["line"] == line
    assert "never reached" in found["problem"]


def test_the_same_policy_changes_nothing_on_the_live_past(folder: Path) -> None:
    path = write_policy(folder)
    answer = told(folder, "policy", "backtest", str(path), "--live")
    assert answer["changes"] == []
    owners = answer["owners"]
    assert sum(o["old"]["tickets"] for o in owners.values()) >= 1
    assert all(o["old"] == o["new"] for o in owners.values())


def test_a_stricter_policy_shows_which_tickets_it_would_not_have_opened(folder: Path) -> None:
    path = write_policy(folder, change=("min_reviews_a_side: 15", "min_reviews_a_side: 1000"))
    answer = told(folder, "policy", "backtest", str(path), "--live")
    (change,) = answer["changes"]
    assert change["effect"] == "ticket lost"
    assert change["signal"]["signal_id"] == "r1"
    assert change["old"]["rule"] == "release gone wrong"
    shown = command(folder, "policy", "backtest", str(path), "--live")
    assert shown.exit_code == 0
    assert "1 ticket lost" in shown.output


def test_another_threshold_can_t_be_tried_on_the_live_past(folder: Path) -> None:
    path = write_policy(folder, change=("false_alarms_per_month: 1", "false_alarms_per_month: 0.2"))
    error = refused(folder, "policy", "backtest", str(path), "--live")
    assert "false_alarms_per_month decide" in str(error)


def test_without_a_backtest_the_way_to_one_is_told(folder: Path) -> None:
    error = refused(folder, "policy", "backtest", str(write_policy(folder)))
    assert "closeloop backtest --from" in str(error.hint)
