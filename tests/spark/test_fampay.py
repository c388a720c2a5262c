"""FamPay's backtest gives the same signals, themes and decisions on both engines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.spark.conftest import JARS

SCRIPT = Path(__file__).with_name("fampay.py")
DATA = Path(os.environ.get("CLOSELOOP_DATA", "../shared/data"))
EVERY_H = os.environ.get("CLOSELOOP_FAMPAY_EVERY", "24")


@pytest.mark.realdata
@pytest.mark.model
@pytest.mark.skipif(
    not (DATA / "play_reviews.parquet").exists(), reason=f"no play_reviews.parquet in {DATA}"
)
def test_the_backtest_finds_the_same_on_spark(tmp_path):
    found = {}
    for kind in ("local", "spark"):
        folder = tmp_path / kind
        command = [sys.executable, str(SCRIPT), str(DATA), str(folder), kind, "--every", EVERY_H]
        subprocess.run([*command, "--jars", JARS, "--cache", tmp_path / "vectors"], check=True)
        found[kind] = json.loads((folder / "found.json").read_text())
    assert found["local"]["gold.signal"]
    assert found["local"]["gold.decision"]
    assert found["local"]["silver.theme"]
    assert found["spark"] == found["local"]
