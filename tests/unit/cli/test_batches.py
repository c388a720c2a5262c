"""`closeloop batches` collects what has ended, and says what waits."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from closeloop.app import Workspace
from closeloop.cli.main import cli
from closeloop.errors import UsageError
from closeloop.testing.language_model_contract import REQUEST
from closeloop.testing.openai_server import KEY, FakeOpenAI
from closeloop.testing.progress import SilentProgress

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])


def test_a_batch_is_collected_and_its_answers_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_KEY", KEY)
    with FakeOpenAI(azure=True) as fake:
        fake.batching.polls = 2
        writer = {
            "kind": "azure_openai", "endpoint": fake.endpoint, "deployment": "single",
            "batch_deployment": "gpt-5-mini", "api_key": "${env:TEST_KEY}",
        }  # fmt: skip
        (tmp_path / "closeloop.yaml").write_text(json.dumps({"writer": writer}))
        workspace = Workspace(tmp_path, progress=SilentProgress())
        batched = workspace.models.batched_model()
        assert batched is not None
        requests = [replace(REQUEST, text=f"pair {n}") for n in range(2)]
        assert batched.submit(requests).submitted == 2
        arguments = ["-w", str(tmp_path), "-q", "batches"]
        shown = CliRunner().invoke(cli, arguments).output
        assert "validating" in shown or "in_progress" in shown
        (status,) = json.loads(CliRunner().invoke(cli, [*arguments, "--json"]).output)
        assert status["ended"] == {"answered": 2}
        assert CliRunner().invoke(cli, arguments).output == "no batch waits\n"
        model = workspace.models.language_model()
        assert model is not None
        assert all(model.answer(request).kept for request in requests)
        workspace.close()


def test_without_a_language_model_there_is_nothing_to_collect(tmp_path: Path) -> None:
    (tmp_path / "closeloop.yaml").write_text("{}")
    done = CliRunner().invoke(cli, ["-w", str(tmp_path), "-q", "batches"])
    assert isinstance(done.exception, UsageError)
