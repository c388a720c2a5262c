"""The benchmark of the simulator: one or two scenarios through the whole loop, against their truth."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def ran(tmp_path: Path, scenario: str) -> tuple[dict[str, Any], str]:
    """Run one scenario with one seed; return its result, and what the benchmark printed."""
    results = tmp_path / "results.jsonl"
    command = [sys.executable, str(ROOT / "benchmarks" / "simulation.py"), "--seeds", "1"]
    command += ["--scenarios", scenario, "--every", "24", "--out", str(results)]
    done = subprocess.run(
        [*command, "--cache", str(tmp_path / "vectors")],
        capture_output=True,
        text=True,
        check=False,
    )
    if "ModelMissingError" in done.stderr:
        pytest.skip("the embedding model's weights are not installed")
    assert done.returncode == 0, done.stderr
    (run,) = map(json.loads, results.read_text("utf-8").splitlines())
    assert run["left"] == run["shown"] == 0
    return run, done.stdout


@pytest.mark.slow
@pytest.mark.model
def test_a_bad_flag_is_found(tmp_path: Path) -> None:
    run, printed = ran(tmp_path, "flag")
    (problem,) = run["problems"]
    assert problem["strength"] > 2
    assert problem["found"]
    assert problem["needed"] <= problem["complaints"]
    assert not problem["blamed_wrongly"]
    assert "found above twice the limit: 1 of 1" in printed


@pytest.mark.slow
@pytest.mark.model
def test_a_boycott_is_no_ticket(tmp_path: Path) -> None:
    run, _ = ran(tmp_path, "review-bombing")
    assert run["problems"] == []
    assert run["false_tickets"] == 0
