"""What closeloop.yaml says under `writer:` becomes a language model, or an error that helps."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from closeloop.domain.model_call import Budget, PriceTable
from closeloop.errors import SettingsError
from closeloop.models.metered_model import MeteredLanguageModel, Terms
from closeloop.models.remote_writer import RemoteWriter
from closeloop.models.wiring import make_language_model
from closeloop.ports import CallLedger
from closeloop.store.model_calls import SqlCallLedger

AZURE = "https://shop.openai.azure.com"


def _key() -> str:
    raise AssertionError("the key is read with the first request only")


def _ledger() -> CallLedger:
    return SqlCallLedger("sqlite://")


def model_of(kind: str, remote: RemoteWriter) -> MeteredLanguageModel | None:
    terms = Terms(PriceTable({}, "", ""), Budget(1, 1, 1), now=lambda: datetime.now(UTC))
    return make_language_model(kind=kind, remote=remote, terms=terms, ledger=_ledger)


def made(kind: str = "azure_openai", **values: Any) -> Any:
    given = {"endpoint": AZURE, "deployment": "briefs", "api_key": _key} | values
    made = model_of(kind, RemoteWriter(**given))
    return made and made.unmetered


@pytest.mark.parametrize(
    ("kind", "values", "name", "place"),
    [
        ("azure_openai", {}, "azure_openai/briefs", "shop.openai.azure.com"),
        ("azure_openai", {"model": "gpt-5-mini"}, "azure_openai/briefs/gpt-5-mini", AZURE[8:]),
        ("azure_openai", {"auth": "entra", "api_key": None}, "azure_openai/briefs", AZURE[8:]),
        (
            "openai",
            {"endpoint": None, "deployment": None, "model": "gpt-5-mini"},
            "openai/gpt-5-mini",
            "api.openai.com",
        ),
        (
            "openai",
            {"endpoint": "http://localhost:8080/v1", "model": "qwen3", "deployment": None,
             "api_key": None},
            "openai/qwen3",
            "localhost:8080",
        ),
    ],
)  # fmt: skip
def test_its_name_and_place_are_known_before_anything_is_sent(
    kind: str, values: dict[str, Any], name: str, place: str
) -> None:
    model = made(kind, **values)
    assert (model.name, model.place) == (name, place)


def test_by_default_there_is_none() -> None:
    assert model_of("deterministic", RemoteWriter()) is None


@pytest.mark.parametrize(
    ("kind", "values", "says"),
    [
        ("azure_openai", {"deployment": None}, "writer names no model"),
        ("azure_openai", {"endpoint": None}, "writer.endpoint is not set"),
        ("azure_openai", {"api_key": None}, "writer.api_key is not set"),
        ("openai", {"endpoint": None, "api_key": None}, "writer.api_key is not set"),
        ("openai", {"auth": "entra"}, "writer.auth entra is for writer.kind azure_openai"),
        ("azure_openai", {"endpoint": "http://shop.example"}, "writer.endpoint http://shop.exam"),
        ("azure_openai", {"endpoint": AZURE + "?api-version=1"}, "holds more than an address"),
        ("deterministic", {}, "writer.endpoint means nothing to writer.kind deterministic"),
    ],
)
def test_what_is_missing_or_contradicts_is_said(
    kind: str, values: dict[str, Any], says: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        made(kind, **values)
    assert says in str(caught.value)
    assert "embedder" not in str(caught.value)
