"""Spans tell of steps and calls: names, states, costs; no text unless opted in, never a secret."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from closeloop import tracing
from closeloop.domain.model_call import Budget, Price, PriceTable
from closeloop.engines.memory import MemoryEngine
from closeloop.errors import ModelMissingError, TerminalError
from closeloop.models.metered_model import MeteredLanguageModel, Terms
from closeloop.runner import Runner
from closeloop.step import StepServices
from closeloop.store.database import Database
from closeloop.store.memory_ledger import MemoryLedger
from closeloop.store.model_calls import SqlCallLedger
from closeloop.testing.configuration import example_configuration
from closeloop.testing.embedders import HashedWordEmbedder
from closeloop.testing.language_model_contract import REQUEST
from closeloop.testing.openai_replies import refusal
from closeloop.testing.openai_server import KEY, FakeOpenAI
from closeloop.testing.progress import SilentProgress
from tests.unit.models.language import WRITER, model_at
from tests.unit.models.remote import Time

sdk = pytest.importorskip("opentelemetry.sdk.trace.export", reason="OpenTelemetry is not installed")
memory = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


class Clock:
    def now(self) -> datetime:
        return NOON


@pytest.fixture
def exporter() -> Iterator[Any]:
    made = memory.InMemorySpanExporter()
    tracing.use(sdk.SimpleSpanProcessor(made))
    yield made
    tracing.stop()


def metered(fake: FakeOpenAI, ledger: SqlCallLedger) -> MeteredLanguageModel:
    prices = PriceTable({WRITER: Price(1.0, 10.0)}, "2026-11-01", "a test")
    terms = Terms(prices, Budget(1.0, 1.0, 9), now=lambda: NOON, priced_as=(WRITER,))
    return MeteredLanguageModel(model_at(fake, Time()), ledger=ledger, terms=terms)


def calls(fake: FakeOpenAI) -> None:
    """Ask twice for the same, once for what is refused with a secret in the error's words."""
    ledger = SqlCallLedger("sqlite://")
    model = metered(fake, ledger)
    model.answer(REQUEST)
    model.answer(REQUEST)
    fake.then(refusal(400, "invalid_request", f"the key {KEY} is wrong"))
    model.answer(replace(REQUEST, text="another"))
    ledger.close()


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_calls_have_spans_with_states_and_costs_and_no_text(exporter: Any) -> None:
    with FakeOpenAI(azure=True) as fake:
        calls(fake)
    spans = exporter.get_finished_spans()
    assert [dict(s.attributes)["closeloop.state"] for s in spans] == [
        "answered", "answered", "unavailable"
    ]  # fmt: skip
    first, kept, _ = (dict(s.attributes) for s in spans)
    assert first["gen_ai.usage.input_tokens"] > 0
    assert first["closeloop.cost_usd"] > 0
    assert (kept["closeloop.kept"], kept["closeloop.cost_usd"]) == (True, 0.0)
    whole = json.dumps([json.loads(s.to_json()) for s in spans])
    for hidden in (KEY, REQUEST.text[:20], REQUEST.instructions[:20]):
        assert hidden not in whole


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_texts_are_there_where_somebody_opted_in() -> None:
    made = memory.InMemorySpanExporter()
    tracing.use(sdk.SimpleSpanProcessor(made), include_texts=True)
    with FakeOpenAI(azure=True) as fake:
        calls(fake)
    tracing.stop()
    assert dict(made.get_finished_spans()[0].attributes)["closeloop.request_text"] == REQUEST.text
    assert KEY not in "".join(s.to_json() for s in made.get_finished_spans())


def test_steps_have_spans_and_an_error_is_named_by_its_type(exporter: Any) -> None:
    database = Database("sqlite://")
    services = StepServices(
        engine=MemoryEngine(), config=example_configuration(),
        make_embedder=HashedWordEmbedder, writer=None, token_key=bytes(32),  # type: ignore[arg-type]
        progress=SilentProgress(),
    )  # fmt: skip
    runner = Runner(services=services, ledger=MemoryLedger(database), clock=Clock())
    with runner.step("refine", now=NOON) as step:
        step.count("rows", 3)

    def fails() -> None:
        with runner.step("embed", now=NOON):
            raise ValueError("a secret in a message")

    with pytest.raises(ValueError, match="secret"):
        fails()
    good, bad = exporter.get_finished_spans()
    assert (good.name, good.attributes["closeloop.count.rows"]) == ("step refine", 3)
    assert (bad.name, bad.status.description, list(bad.events)) == ("step embed", "ValueError", [])
    assert "secret" not in bad.to_json()
    database.close()


def test_without_a_start_nothing_is_made_and_spans_cost_nothing() -> None:
    with tracing.span("x", some__name=1) as span:
        span.set("y", 2)
    assert not tracing.includes_texts()


def test_it_is_started_once_and_says_what_is_missing(
    exporter: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TerminalError, match="already"):
        tracing.use(sdk.SimpleSpanProcessor(exporter))
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry.exporter", None)
    with pytest.raises(ModelMissingError) as caught:
        tracing.start("otlp", endpoint="http://localhost:4318")
    assert "closeloop[tracing]" in str(caught.value)
