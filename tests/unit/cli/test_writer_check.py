"""`closeloop doctor` says of the language model what a person can act on, and asks it once if told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from closeloop.app import Workspace
from closeloop.cli.doctor import Finding, _of_writer
from closeloop.cli.main import cli
from closeloop.cli.writer_check import check_writer
from closeloop.testing.openai_server import KEY, FakeOpenAI
from closeloop.testing.openai_writing import unknown_deployment
from closeloop.testing.progress import SilentProgress

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI(azure=True, writers={"briefs": lambda _: '{"well": true}'}) as service:
        yield service


def workspace(folder: Path, fake: FakeOpenAI, **writer: Any) -> Workspace:
    given = {
        "kind": "azure_openai",
        "endpoint": fake.endpoint,
        "deployment": "briefs",
        "model": "gpt-5-mini",
        "api_key": "${env:TEST_KEY}",
    } | writer
    (folder / "closeloop.yaml").write_text(json.dumps({"writer": given}))
    return Workspace(folder, progress=SilentProgress())


def finding(made: Workspace, *, connect: bool = False) -> Finding:
    return _of_writer(check_writer(made, connect=connect))


def test_without_connect_nothing_is_sent(tmp_path: Path, fake: FakeOpenAI) -> None:
    found = finding(workspace(tmp_path, fake))
    assert found.ok
    assert "azure_openai/briefs/gpt-5-mini, not asked" in found.detail
    assert found.advice == ""
    assert fake.asked == []


def test_with_connect_it_is_asked_each_time_and_the_cost_is_counted(
    tmp_path: Path, fake: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_KEY", KEY)
    made = workspace(tmp_path, fake)
    for _ in range(2):
        found = finding(made, connect=True)
        assert found.ok, found.advice
        assert "answers (" in found.detail
        assert "$0.0000" in found.detail
    assert len(fake.asked) == 2
    assert made.call_ledger.spent().calls == 2
    made.close()


@pytest.mark.parametrize("lacking", ["key", "deployment"])
def test_a_failure_says_what_to_do(
    lacking: str, tmp_path: Path, fake: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_KEY", KEY)
    if lacking == "key":
        monkeypatch.delenv("TEST_KEY")
    else:
        fake.then(unknown_deployment())
    found = finding(workspace(tmp_path, fake), connect=True)
    assert not found.ok
    assert ("export TEST_KEY" if lacking == "key" else "check writer.deployment") in found.advice


def test_a_retired_model_fails_and_a_deployment_named_like_one_is_mentioned(
    tmp_path: Path, fake: FakeOpenAI
) -> None:
    found = finding(workspace(tmp_path, fake, model="gpt-4o-mini"))
    assert not found.ok
    assert "gpt-4o was retired by its vendor in 2026-10" in found.advice
    hinted = finding(workspace(tmp_path, fake, model=None, deployment="gpt-4.1-prod"))
    assert hinted.ok
    assert "if the deployment gpt-4.1-prod serves gpt-4.1" in hinted.advice
    assert "its price is not known" in hinted.advice


def test_by_default_no_model_is_asked(tmp_path: Path) -> None:
    (tmp_path / "closeloop.yaml").write_text("{}")
    made = Workspace(tmp_path, progress=SilentProgress())
    assert check_writer(made, connect=True).detail.startswith("deterministic")
    assert not list(tmp_path.glob("*-models.db"))


def test_the_command_lists_it(tmp_path: Path, fake: FakeOpenAI) -> None:
    workspace(tmp_path, fake, kind="openai", endpoint="ftp://nowhere")
    done = CliRunner().invoke(cli, ["-w", str(tmp_path), "-q", "doctor", "--json"])
    (found,) = [f for f in json.loads(done.output) if f["check"] == "writer"]
    assert not found["ok"]
    assert "writer.endpoint" in found["detail"]
