"""The benchmark of the simulator: one or two scenarios through the whole loop, against their truth."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.model
def test_a_bad_flag_is_found_and_a_boycott_is_no_ticket(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    command = [sys.executable, str(ROOT / "benchmarks" / "simulation.py"), "--seeds", "1"]
    command += ["--scenarios", "flag,review-bombing", "--every", "24", "--out", str(results)]
    done = subprocess.run(
        [*command, "--cache", str(tmp_path / "vectors")],
        capture_output=True,
        text=True,
        check=False,
    )
    if "ModelMissingError" in done.stderr:
        pytest.skip("the embedding model's weights are not installed")
    assert done.returncode == 0, done.stderr
    runs = {r["scenario"]: r for r in map(json.loads, results.read_text("utf-8").splitlines())}
    (problem,) = runs["flag"]["problems"]
    assert problem["strength"] > 2
    assert problem["found"]
    assert problem["needed"] <= problem["complaints"]
    assert not problem["blamed_wrongly"]
    assert runs["review-bombing"]["problems"] == []
    assert runs["review-bombing"]["false_tickets"] == 0
    assert all(run["left"] == run["shown"] == 0 for run in runs.values())
    assert "found above twice the limit: 1 of 1" in done.stdout
