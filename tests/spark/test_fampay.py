"""FamPay's backtest gives the same signals, themes and decisions on both engines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.spark.conftest import JARS

FAMPAY = [sys.executable, "-m", "tests.spark.fampay"]
DATA = Path(os.environ.get("CLOSELOOP_DATA", "../shared/data"))


@pytest.mark.realdata
@pytest.mark.model
@pytest.mark.skipif(
    not (DATA / "play_reviews.parquet").exists(), reason=f"no play_reviews.parquet in {DATA}"
)
@pytest.mark.parametrize(
    "window",
    [
        pytest.param([], id="the bad release, a look a day"),
        pytest.param(
            ["--since", "2019-08-01", "--start", "2023-02-01", "--days", "11", "--every", "12"],
            id="all history and eleven days, a look each twelve hours",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_the_backtest_finds_the_same_on_spark(tmp_path, window):
    found = {}
    for kind in ("local", "spark"):
        folder = tmp_path / kind
        command = [*FAMPAY, str(DATA), str(folder), kind, *window]
        subprocess.run([*command, "--jars", JARS, "--cache", tmp_path / "vectors"], check=True)
        found[kind] = json.loads((folder / "found.json").read_text())
    assert found["local"]["gold.signal"]
    assert found["local"]["gold.decision"]
    assert found["local"]["silver.theme"]
    for name, rows in found["local"].items():
        assert found["spark"][name] == rows, name
