"""A workspace's language model over a real socket: every end in words, no secret kept, killed and repeated."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from closeloop import tracing
from closeloop.app import Workspace
from closeloop.cli.main import cli
from closeloop.domain.model_answer import AnswerState, ModelAnswer
from closeloop.stages import account
from closeloop.testing import openai_writing
from closeloop.testing.language_model_contract import REQUEST
from closeloop.testing.openai_replies import Asked, Reply, Script, filtered, refusal, too_many
from closeloop.testing.openai_server import FakeOpenAI
from closeloop.testing.progress import SilentProgress

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

KEY = "azkey-PLANTED1-0123456789abcdef0123456789"
ELSEWHERE = "sk-proj-PLANTED2abcdefghijklmnop"
COOKIE = "session=PLANTED3aaaabbbbccccddddeeee"
PLANTED = (KEY, ELSEWHERE, COOKIE, "PLANTED")
LEAKY = f"Incorrect key {KEY}; upstream said Bearer {ELSEWHERE} and {COOKIE}"


def leaking(reply: Reply) -> Reply:
    """Return the reply with secrets in its headers, as careless gateways send them."""
    more = {"set-cookie": COOKIE, "x-upstream-authorization": f"Bearer {ELSEWHERE}"}
    return replace(reply, headers={**reply.headers, **more})


def script(state: AnswerState) -> Script | None:
    """Return what a service sends to end a request so, with secrets in it; None where it can't."""
    refused: dict[AnswerState, Reply] = {
        AnswerState.FILTERED_INPUT: filtered(),
        AnswerState.TOO_LONG: refusal(400, "context_length_exceeded", LEAKY),
        AnswerState.RATE_LIMITED: too_many(after="300"),
        AnswerState.TIMED_OUT: Reply(hang=True),
        AnswerState.UNKNOWN_DEPLOYMENT: refusal(404, "DeploymentNotFound", LEAKY),
        AnswerState.UNAUTHORISED: refusal(401, "401", LEAKY),
        AnswerState.BUDGET_SPENT: refusal(429, "insufficient_quota", LEAKY),
        AnswerState.UNAVAILABLE: refusal(400, "bad_" + ELSEWHERE, LEAKY),
        AnswerState.MALFORMED: Reply(body=f"<html>{LEAKY}</html>".encode()),
    }
    made: dict[AnswerState, Any] = {
        AnswerState.REFUSED: openai_writing.refuses(LEAKY),
        AnswerState.FILTERED_OUTPUT: openai_writing.stopped_by_filter(LEAKY),
        AnswerState.CUT_SHORT: openai_writing.cut_short(LEAKY),
    }
    if state in made:
        return lambda asked: leaking(made[state](asked))
    return leaking(refused[state]) if state in refused else None


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI(azure=True, key=KEY) as service:
        yield service


def workspace(folder: Path, fake: FakeOpenAI, **writer: Any) -> Workspace:
    given = {
        "kind": "azure_openai",
        "endpoint": fake.endpoint,
        "deployment": "gpt-5-mini",
        "api_key": "${env:PLANTED_KEY}",
        "timeout": "0.5s",
    } | writer
    (folder / "closeloop.yaml").write_text(json.dumps({"writer": given}))
    return Workspace(folder, progress=SilentProgress())


def kept_in(folder: Path) -> str:
    """Return all that the files of a folder hold, tables read."""
    held = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        content = path.read_bytes()
        if path.suffix == ".parquet":
            content = str(pq.read_table(pa.BufferReader(content)).to_pylist()).encode()
        held.append(content.decode("utf-8", "replace"))
    return "\n".join(held)


def test_every_end_is_in_the_tables_in_words_and_no_secret_is_anywhere(
    tmp_path: Path,
    fake: FakeOpenAI,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    sdk = pytest.importorskip("opentelemetry.sdk.trace.export")
    memory = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")
    monkeypatch.setenv("PLANTED_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    spans = memory.InMemorySpanExporter()
    tracing.use(sdk.SimpleSpanProcessor(spans), include_texts=True)
    made = workspace(tmp_path, fake)
    model = made.models.language_model()
    assert model is not None
    answers: list[ModelAnswer] = []
    wanted = [state for state in AnswerState if script(state) is not None]
    for number, state in enumerate(wanted):
        ending = script(state)
        assert ending is not None
        fake.then(ending)
        # Each as a run of its own: a service that refuses one would not be asked for the next.
        model.begin_run(f"run-{number}")
        answers.append(model.answer(replace(REQUEST, text=f"pair {number}")))
    tracing.stop()
    assert [a.state for a in answers] == wanted
    assert len(wanted) >= 12
    with made.step(account.NAME) as step:
        account.run(step, made.call_ledger)
    rows = made.query("SELECT state, detail, sent FROM gold.model_call").to_pylist()
    made.close()
    assert sorted(r["state"] for r in rows) == sorted(s.value for s in wanted)
    assert all(len(r["detail"]) > 20 and r["sent"] for r in rows)
    printed = "".join(capfd.readouterr())
    told = CliRunner().invoke(cli, ["-w", str(tmp_path), "costs", "--by", "state"]).output
    traced = "".join(span.to_json() for span in spans.get_finished_spans())
    everywhere = {
        "answers": str(answers), "files": kept_in(tmp_path), "log": caplog.text,
        "printed": printed, "costs": told, "spans": traced,
    }  # fmt: skip
    assert "unknown_deployment" in told
    # The reference stands in closeloop.yaml, and nothing else of these.
    everywhere["files"] = everywhere["files"].replace("${env:PLANTED_KEY}", "")
    for place, text in everywhere.items():
        for secret in PLANTED:
            assert secret not in text, place


def ask(folder: Path) -> subprocess.Popen[str]:
    program = Path(__file__).with_name("asking_run.py")
    return subprocess.Popen(
        [sys.executable, str(program), str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PLANTED_KEY": KEY},
    )


def test_killed_between_call_and_write_one_call_is_repeated(
    tmp_path: Path, fake: FakeOpenAI
) -> None:
    workspace(tmp_path, fake, timeout="30s")

    def killed(asked: Asked) -> Reply:
        done = fake.works(asked)
        child.send_signal(signal.SIGKILL)
        child.wait()
        return replace(done, drop=True)

    fake.then(fake.works, killed)
    child = ask(tmp_path)
    assert child.communicate(timeout=120)[0] == "answered asked\n"
    assert child.returncode == -signal.SIGKILL
    again = ask(tmp_path)
    assert again.communicate(timeout=120)[0].split("\n")[:3] == [
        "answered kept",
        "answered asked",
        "answered asked",
    ]
    assert len(fake.billed) == 4
    made = Workspace(tmp_path, progress=SilentProgress())
    calls = made.call_ledger.calls()
    made.close()
    assert [account.shown_state(call) for call in calls] == [
        "answered", "lost", "answered", "answered"
    ]  # fmt: skip
