"""`closeloop models` and `doctor` show the configured embedder, check it, and keep its key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from closeloop.stages.theme_memory import Background, ThemeMemory, nothing_waits
from closeloop.stages.theme_migrate import ACTION
from closeloop.stages.theme_recall import MEMORY
from closeloop.stats.themes import Frame
from closeloop.testing.example_workspace import example_workspace
from closeloop.testing.openai_server import KEY, FakeOpenAI
from tests.unit.cli.commands import command, told
from tests.unit.models.tiny_onnx import tiny_classifier, tiny_folder


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI(azure=True, models={"vectors": 1536}) as service:
        yield service


def _configure(folder: Path, embedder: str) -> None:
    example_workspace(folder).close()
    path = folder / "closeloop.yaml"
    path.write_text(f"{path.read_text()}\nembedder: {embedder}\n", encoding="utf-8")


def _azure(folder: Path, fake: FakeOpenAI) -> None:
    _configure(
        folder,
        f"{{kind: azure_openai, endpoint: '{fake.endpoint}', deployment: vectors, "
        "model: text-embedding-3-small, api_key: '${env:TEST_KEY}', dimensions: 64}",
    )


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_doctor_asks_the_service_each_time_and_says_that_it_costs(
    tmp_path: Path, fake: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    _azure(tmp_path, fake)
    monkeypatch.setenv("TEST_KEY", KEY)
    for times in (1, 2):
        (model,) = [f for f in told(tmp_path, "doctor") if f["check"] == "model"]
        assert model["ok"]
        assert "text-embedding-3-small/64, 64 dimensions, served at 127.0.0.1" in model["detail"]
        assert "billed" in model["detail"]
        assert len(fake.asked) == times


@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize(
    ("key", "said"), [("another-key", "refused the key"), (None, "TEST_KEY is not set")]
)
def test_doctor_says_what_is_wrong_with_the_key_without_showing_it(
    tmp_path: Path, fake: FakeOpenAI, monkeypatch: pytest.MonkeyPatch, key: str | None, said: str
) -> None:
    _azure(tmp_path, fake)
    if key is not None:
        monkeypatch.setenv("TEST_KEY", key)
    result = command(tmp_path, "doctor")
    assert result.exit_code == 1
    assert said in result.output
    assert "another-key" not in result.output


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_models_shows_a_service_without_asking_it(tmp_path: Path, fake: FakeOpenAI) -> None:
    _azure(tmp_path, fake)
    shown = told(tmp_path, "models")
    assert shown["model"] == "text-embedding-3-small/64"
    assert shown["served_at"] == fake.endpoint.removeprefix("http://")
    assert "billed" in command(tmp_path, "models").output
    assert fake.asked == []


def test_models_shows_a_folder_and_which_themes_will_move(tmp_path: Path) -> None:
    folder = tiny_folder(tmp_path / "model")
    _configure(tmp_path / "shop", f"{{kind: onnx, folder: '{folder}'}}")
    workspace = example_workspace(tmp_path / "shop")
    memory = ThemeMemory(
        frame=Frame(np.zeros(4, np.float32), 0.0, 1.0),
        model_id="earlier",
        ids=["t1", "t2"],
        sums=np.ones((2, 4)),
        sizes=np.array([3, 4]),
        labelled=np.array([3, 4]),
        waiting=nothing_waits(4),
        background=Background(0, {}),
    )
    with workspace.step("theme") as step:
        step.put_state(MEMORY, memory.to_bytes(), scope="wallet")
    workspace.close()
    (line,) = told(tmp_path / "shop", "models")["themes"]
    assert (line["product"], line["themes"], line["model"]) == ("wallet", 2, "earlier")
    assert not line["current"]
    assert "next run moves them" in command(tmp_path / "shop", "models").output
    workspace = example_workspace(tmp_path / "shop")
    memory.model_id = workspace.models.embedder().model_id
    with workspace.step("theme") as step:
        step.put_state(MEMORY, memory.to_bytes(), scope="wallet")
        step.ops.audit(actor="closeloop", action=ACTION, subject="wallet", detail="a -> b")
    workspace.close()
    (line,) = told(tmp_path / "shop", "models")["themes"]
    assert line["current"]
    assert line["moved"].endswith("a -> b")
    assert "moved" in command(tmp_path / "shop", "models").output


def test_doctor_shows_the_masker_and_its_model(tmp_path: Path) -> None:
    def masking() -> dict[str, Any]:
        findings = json.loads(command(tmp_path, "doctor", "--json").output)
        return next(f for f in findings if f["check"] == "masking")

    names, settings = tmp_path / "names", tmp_path / "closeloop.yaml"
    tiny_classifier(names, words={"asha": "B-PER"}, labels=("O", "B-PER"))
    _configure(tmp_path, f"{{kind: onnx, folder: '{tiny_folder(tmp_path / 'model')}'}}")
    assert "rules, no model" in masking()["detail"]
    written = settings.read_text(encoding="utf-8")
    settings.write_text(f"{written}pii: {{model: {{kind: onnx, folder: '{names}'}}}}\n")
    found = masking()
    assert found["ok"], found
    assert "names/onnx@" in found["detail"]
    assert "masks NAME" in found["detail"]
    (names / "config.json").unlink()
    broken = masking()
    assert not broken["ok"]
    assert "config.json" in broken["detail"]
