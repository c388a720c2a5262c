"""Sources are listed with what they deliver; one that ails is a finding."""

from pathlib import Path

from closeloop.tables import SOURCE_HEALTH
from closeloop.testing.example_rows import AT

from .commands import command, shop, told


def _ailing(folder: Path, *, over: bool) -> None:
    workspace = shop(folder)
    with workspace.step("test") as step:
        row = {
            "product": "shop-app",
            "source": "play",
            "ailment": "silent",
            "stratum": "",
            "started_at": AT,
            "ended_at": AT if over else None,
            "known_at": AT,
            "observed": 0.0,
            "expected": 40.0,
            "suspends": ["signals", "held"],
            "reason": "play delivered nothing \x1b[31m",
        }
        step.merge(SOURCE_HEALTH, SOURCE_HEALTH.from_rows([row]))
    workspace.database.close()


def test_a_healthy_workspace_is_no_finding(tmp_path):
    shop(tmp_path).database.close()
    shown = told(tmp_path, "sources")
    assert shown["ailments"] == []
    assert sum(row["texts"] for row in shown["sources"]) == 2
    assert all(row["usual_a_day"] > 0 for row in shown["sources"])


def test_a_silent_source_is_a_finding_with_its_reason(tmp_path):
    _ailing(tmp_path, over=False)
    result = command(tmp_path, "sources")
    assert result.exit_code == 1
    assert "play delivered nothing" in result.output
    assert "signals, held" in result.output
    assert "\x1b" not in result.output
    checked = command(tmp_path, "doctor")
    assert checked.exit_code == 1
    assert "verdicts wait" in checked.output


def test_what_is_over_is_shown_when_asked(tmp_path):
    _ailing(tmp_path, over=True)
    assert told(tmp_path, "sources")["ailments"] == []
    assert len(told(tmp_path, "sources", "--all")["ailments"]) == 1
