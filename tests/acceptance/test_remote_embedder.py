"""The loop over a model that is served elsewhere: only masked texts leave, and none twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from closeloop.cli.main import cli
from closeloop.errors import TerminalError
from closeloop.testing.openai_server import KEY, FakeOpenAI, refusal

SECRETS = ("jane.doe@example.com", "+49 171 2345678")

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI(azure=True, models={"vectors": 1536}) as service:
        yield service


def _command(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["-w", str(folder), "-q", *arguments])


@pytest.fixture
def shop(tmp_path: Path, fake: FakeOpenAI, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TEST_KEY", KEY)
    assert _command(tmp_path, "init", str(tmp_path)).exit_code == 0
    (tmp_path / "closeloop.yaml").write_text(
        f"embedder: {{kind: azure_openai, endpoint: '{fake.endpoint}', deployment: vectors, "
        "model: text-embedding-3-small, api_key: '${env:TEST_KEY}', dimensions: 32}\n"
    )
    rows = [
        {"id": f"r{i}", "text": f"payment {i} failed, write to {SECRETS[i % 2]}", "rating": 1,
         "at": "2024-03-01T10:00:00Z"}
        for i in range(6)
    ]  # fmt: skip
    reviews = tmp_path / "reviews.jsonl"
    reviews.write_text("\n".join(json.dumps(row) for row in rows))
    arguments = ("--map", "source_id=id", "--map", "event_time=at")
    done = _command(tmp_path, "ingest", str(reviews), "--source", "play", *arguments)
    assert done.exit_code == 0, done.output
    return tmp_path


def _sent(fake: FakeOpenAI) -> list[str]:
    return [text for asked in fake.asked for text in (asked.body or {})["input"]]


def test_only_masked_texts_leave_and_a_second_run_sends_nothing(
    shop: Path, fake: FakeOpenAI
) -> None:
    assert _command(shop, "run").exit_code == 0
    sent = _sent(fake)
    assert sum("payment" in text and "<EMAIL" in text for text in sent) == 3
    assert not [secret for secret in SECRETS if secret in json.dumps(sent)]
    count = len(fake.asked)
    assert _command(shop, "run").exit_code == 0
    assert len(fake.asked) == count
    held = b"".join(path.read_bytes() for path in shop.rglob("*") if path.is_file())
    assert KEY.encode() not in held


def test_a_service_that_refuses_ends_the_run_with_what_to_do_and_the_next_run_goes_on(
    shop: Path, fake: FakeOpenAI
) -> None:
    fake.then(refusal(404, "DeploymentNotFound", "no such deployment"))
    failed = _command(shop, "run")
    assert isinstance(failed.exception, TerminalError)
    assert "embedder.deployment" in failed.exception.hint
    assert _command(shop, "run").exit_code == 0
    told = _command(shop, "query", "--json", "SELECT count(*) AS n FROM silver.embedding")
    assert json.loads(told.output)[0]["n"] == 6
