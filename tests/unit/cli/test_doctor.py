"""The doctor tells what is lost, and so does whatever needs it next."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from closeloop.errors import IntegrityError
from tests.unit.cli.commands import command, shop


def tables(folder: Path) -> dict[str, object]:
    result = command(folder, "doctor", "--json")
    (found,) = [f for f in json.loads(result.output) if f["check"] == "tables"]
    return dict(found)


@pytest.mark.parametrize("what", ["lake", "lake/silver/feedback"])
def test_a_table_that_was_committed_and_is_gone_is_a_finding(tmp_path: Path, what: str) -> None:
    shop(tmp_path)
    assert tables(tmp_path)["ok"]
    shutil.rmtree(tmp_path / what)
    # Asked twice: a failed command between must not make the loss look committed.
    for _ in range(2):
        found = tables(tmp_path)
        assert not found["ok"]
        assert "silver.feedback" in str(found["detail"])
        assert "backup" in str(found["advice"])
        assert command(tmp_path, "doctor").exit_code == 1
        run = command(tmp_path, "run")
        assert isinstance(run.exception, IntegrityError)
        assert "is gone" in run.exception.message
