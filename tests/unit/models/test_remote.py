"""What closeloop.yaml says of a model over the network becomes an embedder, or an error that helps."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from closeloop.errors import CloseloopError, ModelMissingError, SettingsError
from closeloop.models.remote import RemoteModel, remote_embedder
from closeloop.models.wiring import make_embedder, served_at

AZURE = "https://shop.openai.azure.com"


def _key() -> str:
    raise AssertionError("the key is read with the first request only")


def made(azure: bool = True, **values: Any) -> Any:
    given = {"endpoint": AZURE, "model": "text-embedding-3-small", "api_key": _key} | values
    return remote_embedder(RemoteModel(**given), azure=azure)


@pytest.mark.parametrize(
    ("values", "dimensions", "model_id"),
    [
        ({}, 1536, "text-embedding-3-small/1536"),
        ({"model": "text-embedding-3-large"}, 3072, "text-embedding-3-large/3072"),
        ({"dimensions": 256}, 256, "text-embedding-3-small/256"),
        ({"deployment": "mine"}, 1536, "text-embedding-3-small/1536"),
        (
            {"model": None, "deployment": "mine", "dimensions": 8},
            8,
            "mine/8",
        ),
        ({"max_text_bytes": 512}, 1536, "text-embedding-3-small/1536/512"),
        (
            {"model": "e5", "dimensions": 384, "prefix": "query: "},
            384,
            "e5/384/query:",
        ),
    ],
)
def test_name_and_length_are_known_before_anything_is_sent(
    values: dict[str, Any], dimensions: int, model_id: str
) -> None:
    embedder = made(**values)
    assert (embedder.dimensions, embedder.model_id) == (dimensions, model_id)
    assert embedder.place == "shop.openai.azure.com"


def test_openai_itself_needs_no_endpoint_and_a_local_server_no_key() -> None:
    assert made(azure=False, endpoint=None).place == "api.openai.com"
    local = made(azure=False, endpoint="http://localhost:8080/v1", api_key=None)
    assert local.place == "localhost:8080"


@pytest.mark.parametrize(
    ("azure", "values", "told"),
    [
        (True, {"model": None}, "names no model"),
        (True, {"endpoint": None}, "endpoint is not set"),
        (True, {"api_key": None}, "api_key is not set"),
        (False, {"endpoint": None, "api_key": None}, "api_key is not set"),
        (False, {"auth": "entra"}, "entra is for"),
        (True, {"model": "bge-m3"}, "dimensions is not set"),
        (True, {"dimensions": 2_000}, "at most 1536"),
        (True, {"model": "text-embedding-ada-002", "dimensions": 512}, "have 1536"),
        (True, {"endpoint": "http://shop.openai.azure.com"}, "not encrypted"),
    ],
)
def test_what_is_missing_or_contradicts_is_told_with_a_cure(
    azure: bool, values: dict[str, Any], told: str
) -> None:
    with pytest.raises(SettingsError, match=told) as caught:
        made(azure, **values)
    assert caught.value.hint


def test_packages_that_are_not_installed_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for auth, package, extra in (
        ("entra", "azure.identity", "closeloop[azure]"),
        ("key", "httpx2", "closeloop[openai]"),
    ):
        monkeypatch.setitem(sys.modules, package, None)
        remote = RemoteModel(
            endpoint=AZURE, model="text-embedding-3-small", auth=auth, api_key=lambda: "k"
        )
        embedder = make_embedder(
            kind="azure_openai", folder=None, threads=None, cache_folder=tmp_path, remote=remote
        )
        assert served_at(embedder) == "shop.openai.azure.com"
        with pytest.raises(CloseloopError) as caught:
            embedder.embed(["late"])
        assert isinstance(caught.value, ModelMissingError)
        assert extra in caught.value.hint


@pytest.mark.parametrize(
    ("kind", "folder", "prefix", "remote", "told"),
    [
        ("minilm", None, "", RemoteModel(endpoint=AZURE), "endpoint"),
        ("minilm", None, "query: ", RemoteModel(), "prefix"),
        ("onnx", "/models/x", "", RemoteModel(model="bge-m3"), "model"),
        ("openai", "/models/x", "", RemoteModel(model="bge-m3"), "folder"),
    ],
)
def test_settings_of_another_kind_are_not_ignored(
    tmp_path: Path, kind: str, folder: str | None, prefix: str, remote: RemoteModel, told: str
) -> None:
    with pytest.raises(SettingsError, match=rf"embedder\.{told} means nothing"):
        make_embedder(
            kind=kind, folder=folder, threads=None, cache_folder=tmp_path, prefix=prefix,
            remote=remote,
        )  # fmt: skip
