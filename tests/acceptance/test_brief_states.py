"""Every end of a model's call, through the brief step of a real run, over a real socket.

Whatever the service does, the run ends as it would without one: the same signals, decisions, reviews
and tickets, one brief, and the state by its name in the report, gold.brief and gold.model_call.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from closeloop.domain.brief import FactSheet
from closeloop.testing import openai_writing as writing
from closeloop.testing.brief_models import writes_forged, writes_good
from closeloop.testing.brief_sheets import frozen_sheets
from closeloop.testing.openai_replies import Asked, Reply, Script, filtered, refusal, too_many
from closeloop.testing.openai_server import FakeOpenAI
from closeloop.testing.openai_writing import spoken
from tests.acceptance import briefed
from tests.specs import SPECS, document

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

KEY = "azkey-PLANTED1-0123456789abcdef0123456789"
SCRIPT = Path(__file__).with_name("briefed_run.py")
CONTRACT = "openai-chat-responses-embeddings.json"
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace that stands before its brief step."""
    folder = tmp_path_factory.mktemp("before") / "workspace"
    briefed.attributed(folder)
    return folder


@pytest.fixture(scope="module")
def without(before: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The same, run to the end without a model; and what it left."""
    folder = tmp_path_factory.mktemp("without") / "workspace"
    shutil.copytree(before, folder)
    briefed.run(folder)
    return folder, briefed.left_untouched(folder)


@pytest.fixture(scope="module")
def sheet(without: tuple[Path, dict[str, Any]]) -> FactSheet:
    """The fact sheet of the one signal."""
    workspace = briefed.opened(without[0])
    (found,) = briefed.sheets_of(workspace)
    workspace.close()
    return found


@pytest.fixture
def folder(before: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PLANTED_KEY", KEY)
    shutil.copytree(before, tmp_path / "workspace")
    return tmp_path / "workspace"


@pytest.fixture
def fake(sheet: FactSheet) -> Iterator[FakeOpenAI]:
    says = spoken(writes_good([sheet]))
    # Where the vendor's document is at hand, every request and answer is held to it.
    contract = document(CONTRACT) if (SPECS / CONTRACT).is_file() else None
    with FakeOpenAI(
        azure=True, key=KEY, writers={"gpt-5-mini": says}, contract=contract
    ) as service:
        yield service
        assert service.broken == []


def of_brief(folder: Path) -> dict[str, Any]:
    (row,) = briefed.query(
        folder, "SELECT outcome, writer, verified, problems, attempts FROM gold.brief"
    )
    return row


def calls(folder: Path) -> list[dict[str, Any]]:
    return briefed.query(folder, "SELECT * FROM gold.model_call ORDER BY CAST(call_id AS INT)")


def test_a_model_s_brief_changes_nothing_but_the_brief(
    folder: Path, fake: FakeOpenAI, without: tuple[Path, dict[str, Any]]
) -> None:
    briefed.configure(folder, fake)
    report = briefed.run(folder)
    assert report.count("brief", "briefs written") == 1
    row = of_brief(folder)
    assert (row["outcome"], row["verified"], row["writer"]) == (
        "written", True, "azure_openai/gpt-5-mini",
    )  # fmt: skip
    assert briefed.left_untouched(folder) == without[1]
    (call,) = calls(folder)
    assert call["cost_usd"] > 0
    assert call["input_tokens"] == fake.billed[0]["input_tokens"]
    briefed.run(folder)
    assert len(fake.asked) == 1


REFUSED: dict[str, Script] = {
    "refused": writing.refuses(),
    "filtered_input": filtered(),
    "filtered_output": writing.stopped_by_filter(),
    "too_long": writing.too_long(),
    "cut_short": writing.cut_short(),
    "rate_limited": too_many(after="300"),
    "timed_out": Reply(hang=True),
    "malformed": writing.writes('{"title": '),
    "unknown_deployment": writing.unknown_deployment(),
    "unauthorised": refusal(401, "401", f"Incorrect API key provided: {KEY}."),
    "budget_spent": refusal(429, "insufficient_quota", "You exceeded your current quota."),
    "unavailable": refusal(400, "bad_request", "This was not understood."),
}


@pytest.mark.parametrize("state", REFUSED)
def test_whatever_the_service_does_nothing_is_lost_and_its_state_is_named(
    state: str,
    folder: Path,
    fake: FakeOpenAI,
    without: tuple[Path, dict[str, Any]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    briefed.configure(folder, fake)
    fake.then(REFUSED[state])
    started = time.monotonic()
    report = briefed.run(folder)
    assert time.monotonic() - started < 60
    row = of_brief(folder)
    assert (row["outcome"], row["writer"], row["verified"]) == (state, "deterministic", True)
    assert [a["state"] for a in row["attempts"]] == [state]
    assert len(row["attempts"][0]["detail"]) > 20
    assert report.count("brief", f"briefs {state.replace('_', ' ')}") == 1
    assert report.count("account", state) == 1
    (call,) = calls(folder)
    assert (call["state"], call["sent"], call["purpose"]) == (state, True, "brief")
    assert len(call["detail"]) > 20
    assert briefed.left_untouched(folder) == without[1]
    # The service is well again: a brief that stands is not paid for anew.
    asked, billed = len(fake.asked), len(fake.billed)
    briefed.run(folder)
    assert (len(fake.asked), len(fake.billed)) == (asked, billed)
    assert of_brief(folder) == row
    held = b"".join(p.read_bytes() for p in folder.rglob("*") if p.is_file())
    assert KEY.encode() not in held
    assert KEY not in caplog.text


@pytest.mark.parametrize("lost", ["commits_then_hangs", "commits_then_drops"])
def test_work_whose_answer_was_lost_is_not_paid_twice(
    lost: str, folder: Path, fake: FakeOpenAI
) -> None:
    briefed.configure(folder, fake)
    fake.then(getattr(fake, lost))
    briefed.run(folder)
    briefed.run(folder)
    assert len(fake.billed) == 1
    (call,) = calls(folder)
    assert call["uncertain"]
    assert call["charged_usd"] > 0
    assert of_brief(folder)["writer"] == "deterministic"


def test_the_wait_that_a_busy_service_asks_for_is_kept_to(folder: Path, fake: FakeOpenAI) -> None:
    briefed.configure(folder, fake)
    times: list[float] = []

    def noting(script: Script) -> Callable[[Asked], Reply]:
        def reply(asked: Asked) -> Reply:
            times.append(time.monotonic())
            return script if isinstance(script, Reply) else script(asked)

        return reply

    busy = too_many(after=None, retry_after_ms="1500")
    fake.then(noting(too_many(after="1")), noting(busy), noting(fake.works))
    briefed.run(folder)
    assert of_brief(folder)["outcome"] == "written"
    assert times[1] - times[0] >= 1.0
    assert times[2] - times[1] >= 1.5
    assert len(fake.billed) == 1


def test_a_spent_budget_sends_nothing(
    folder: Path, fake: FakeOpenAI, without: tuple[Path, dict[str, Any]]
) -> None:
    briefed.configure(folder, fake, budget={"per_run_usd": 0.000001})
    report = briefed.run(folder)
    assert fake.asked == []
    assert of_brief(folder)["outcome"] == "budget_spent"
    assert report.count("brief", "briefs budget spent") == 1
    (call,) = calls(folder)
    assert (call["state"], call["sent"], call["charged_usd"]) == ("budget_spent", False, 0.0)
    assert briefed.left_untouched(folder) == without[1]


def test_an_expired_token_is_renewed_once(
    folder: Path, fake: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = iter(["expired-token", "fresh-token", "third-token"])

    class Credential:
        def get_token(self, scope: str) -> SimpleNamespace:
            assert scope == "https://ai.azure.com/.default"
            return SimpleNamespace(token=next(given), expires_on=time.time() + 3_600)

    identity, core = ModuleType("azure.identity"), ModuleType("azure.core.exceptions")
    identity.DefaultAzureCredential = Credential  # type: ignore[attr-defined]
    core.AzureError = OSError  # type: ignore[attr-defined]
    for name, module in (("azure.identity", identity), ("azure.core.exceptions", core)):
        monkeypatch.setitem(sys.modules, name, module)
    for name in ("azure", "azure.core"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    fake.keys = {"fresh-token"}
    briefed.configure(folder, fake, auth="entra", api_key=None)
    briefed.run(folder)
    assert of_brief(folder)["outcome"] == "written"
    assert [a.headers["authorization"] for a in fake.asked] == [
        "Bearer expired-token", "Bearer fresh-token",
    ]  # fmt: skip
    assert len(fake.billed) == 1


@pytest.mark.parametrize("mends", [True, False])
def test_a_forged_brief_is_mended_once_or_gives_way(
    mends: bool, folder: Path, sheet: FactSheet, without: tuple[Path, dict[str, Any]]
) -> None:
    sheets = [sheet, *frozen_sheets()]
    says = spoken(writes_forged(sheets, mends=mends))
    with FakeOpenAI(azure=True, key=KEY, writers={"gpt-5-mini": says}) as service:
        briefed.configure(folder, service)
        briefed.run(folder)
        row = of_brief(folder)
        assert row["outcome"] == ("repaired" if mends else "not_grounded")
        assert (row["verified"], len(row["attempts"])) == (True, 2)
        assert row["attempts"][0]["problems"]
        assert briefed.left_untouched(folder) == without[1]
        assert len(service.billed) == 2
        briefed.run(folder)
        assert len(service.billed) == 2


@pytest.mark.parametrize(
    ("point", "repeated"), [("unkept", 1), ("kept", 0), ("written", 0), ("none", 0)]
)
def test_killed_between_call_and_write_one_call_is_repeated_at_most(
    point: str, repeated: int, folder: Path, fake: FakeOpenAI, without: tuple[Path, dict[str, Any]]
) -> None:
    briefed.configure(folder, fake, timeout="60s")
    environment = {
        **os.environ,
        "PLANTED_KEY": KEY,
        "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "src"))),
    }
    killed = subprocess.run(
        [sys.executable, SCRIPT, folder, point],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == (0 if point == "none" else -9), killed.stderr
    assert len(fake.billed) == 1
    briefed.run(folder)
    assert len(fake.billed) == 1 + repeated
    assert of_brief(folder)["outcome"] == "written"
    assert briefed.left_untouched(folder) == without[1]
    states = [row["state"] for row in calls(folder)]
    assert states == (["lost", "answered"] if repeated else ["answered"])


def test_a_run_is_told_in_words(folder: Path, fake: FakeOpenAI) -> None:
    from click.testing import CliRunner

    from closeloop.cli.main import cli

    briefed.configure(folder, fake)
    fake.then(filtered())
    briefed.run(folder)
    told = CliRunner().invoke(cli, ["-w", str(folder), "costs", "--by", "state"])
    assert "filtered_input" in told.output
    shown = CliRunner().invoke(cli, ["-w", str(folder), "briefs", "--json"])
    assert json.loads(shown.output)[0]["outcome"] == "filtered_input"
