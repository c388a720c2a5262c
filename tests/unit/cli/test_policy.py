"""The commands `policy check` and `policy backtest`, as a user runs them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from closeloop.errors import CloseloopError
from closeloop.settings import default_text
from closeloop.stages import decide
from closeloop.tables import SIGNAL
from closeloop.testing.example_rows import AT, signal_row
from closeloop.testing.example_workspace import example_workspace
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
    assert "write 1 or less (found '85')" in error


def test_an_unknown_bound_gets_a_hint(folder: Path) -> None:
    path = write_policy(folder, change=("min_authors: 3", "min_author: 3"))
    assert "did you mean 'min_authors'" in str(refused(folder, "policy", "check", str(path)))


def test_all_errors_are_told_at_once_each_with_what_to_write(folder: Path) -> None:
    path = write_policy(folder, change=("    min_authors: 3", "    min_authors: three"))
    text = path.read_text().replace("action: ticket", "action: tikcet", 1)
    path.write_text(text.replace("require_fdr: true", "require_fdr: ture", 1))
    lines = path.read_text().splitlines()
    error = str(refused(folder, "policy", "check", str(path)))

    def at(written: str) -> str:
        return f"{path}:{1 + lines.index(written)}: "

    assert (
        at("    action: tikcet")
        + (
            "rules.0.action: write one of ticket, review, digest, suppress (found 'tikcet')\n"
            "  did you mean 'ticket'?"
        )
        in error
    )
    assert (
        at("    require_fdr: ture")
        + ("rules.0.require_fdr: write true or false (found 'ture')\n  did you mean 'true'?")
        in error
    )
    assert at("    min_authors: three") + "rules.0.min_authors: write a whole number" in error
    assert "changed.yaml: 3 errors" in error


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("rules: []", ":1: rules: is empty; write at least 1 (found '[]')"),
        ("fdr: 0.1", ": rules: is missing; add it"),
        ("rules: [digest]", ":1: rules.0: write settings by name, as 'name: value'"),
        ("rules: digest", ":1: rules: write a list"),
        ("sla_hours: {P9: 3}\nrules: [{name: a, action: digest}]",
         ":1: sla_hours.P9: write one of P1, P2, P3, P4 (found 'P9')"),
        ("rules: [{name: a, action: digest, kinds: [themes]}]", "did you mean 'theme'?"),
        ("rules: [{name: 3, action: digest}]", ":1: rules.0.name: write text"),
        ("rules: [{name: a, action: digest, min_count: 0}]", "write 1 or more (found '0')"),
    ],
)  # fmt: skip
def test_an_error_is_told_in_words_for_people(folder: Path, text: str, told: str) -> None:
    path = folder / "changed.yaml"
    path.write_text(text)
    assert told in str(refused(folder, "policy", "check", str(path)))


@pytest.mark.parametrize(
    ("bound", "place", "reason"),
    [
        ("segments: [regoin=DE]", "rules.0.segments.0", "the column one of region, sku"),
        ("min_revenue: -5", "rules.0.min_revenue", "write a number above 0"),
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
    assert change["signal"]["what"] == "release 2.8.5"
    assert change["severity"]["old"] == change["severity"]["new"] == change["signal"]["severity"]
    assert change["old"]["rule"] == "release gone wrong"
    shown = command(folder, "policy", "backtest", str(path), "--live")
    assert shown.exit_code == 0
    assert "1 ticket lost" in shown.output
    (line,) = [line for line in shown.output.splitlines() if line.startswith("r1 ")]
    assert "release 2.8.5" in line


def test_a_changed_weight_shows_the_severity_before_and_after(folder: Path) -> None:
    text = (folder / "policy.yaml").read_text()
    path = folder / "changed.yaml"
    path.write_text(re.sub(r"p([123]): \d+", lambda m: f"p{m[1]}: {99 - int(m[1])}", text))
    changes = told(folder, "policy", "backtest", str(path), "--live")["changes"]
    of = {c["signal"]["signal_id"]: c["severity"] for c in changes}
    assert of["r1"]["new"] == "P4" != of["r1"]["old"]
    shown = command(folder, "policy", "backtest", str(path), "--live").output
    assert f"{of['r1']['old']} -> P4" in shown


def test_a_theme_is_called_what_signals_calls_it(folder: Path) -> None:
    workspace = example_workspace(folder, now=AT)
    row = signal_row("t1", kind="theme", series_id="th-a", theme_id="th-a")
    with workspace.step("test") as step:
        step.append(SIGNAL, SIGNAL.from_rows([row]))
    with workspace.step(decide.NAME) as step:
        decide.run(step)
    workspace.close()
    path = write_policy(folder, change=("action: ticket", "action: digest"))
    changes = told(folder, "policy", "backtest", str(path), "--live")["changes"]
    of = {c["signal"]["signal_id"]: c["signal"]["what"] for c in changes}
    assert of["t1"] == "theme: th-a"


def test_another_threshold_can_t_be_tried_on_the_live_past(folder: Path) -> None:
    path = write_policy(folder, change=("false_alarms_per_month: 1", "false_alarms_per_month: 0.2"))
    error = refused(folder, "policy", "backtest", str(path), "--live")
    assert "false_alarms_per_month decide" in str(error)


def test_without_a_backtest_the_way_to_one_is_told(folder: Path) -> None:
    error = refused(folder, "policy", "backtest", str(write_policy(folder)))
    assert "closeloop backtest --from" in str(error.hint)
