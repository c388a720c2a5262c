"""Every embedder passes the shipped contract suite; the fake service keeps to the vendor's contract."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from closeloop.errors import ModelMissingError
from closeloop.models import weights
from closeloop.models.minilm import minilm
from closeloop.models.onnx_folder import onnx_folder
from closeloop.models.remote import RemoteModel, remote_embedder
from closeloop.models.vector_cache import CachedEmbedder
from closeloop.ports import Embedder
from closeloop.testing.embedder_contract import EmbedderContract
from closeloop.testing.embedders import HashedWordEmbedder
from closeloop.testing.openai_server import KEY, FakeOpenAI
from tests.specs import document
from tests.unit.models.tiny_onnx import tiny_folder


def contract() -> dict[str, Any]:
    """Return the vendor's document; skips where it is not at hand."""
    return document("openai-chat-responses-embeddings.json")


class TestHashedWords(EmbedderContract):
    def embedder(self) -> Embedder:
        return HashedWordEmbedder()


class TestCache(EmbedderContract):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def embedder(self) -> Embedder:
        return CachedEmbedder(HashedWordEmbedder(), self.folder)


@pytest.mark.model
class TestMiniLM(EmbedderContract):
    @pytest.fixture(autouse=True)
    def _memory(self, tmp_path: Path) -> None:
        try:
            weights.package_folder()
        except ModelMissingError:
            pytest.skip("the weights of all-MiniLM-L6-v2 are not installed")
        self.memory = tmp_path / "checked.json"

    def embedder(self) -> Embedder:
        return minilm(threads=1, memory=self.memory)


class TestOnnxFolder(EmbedderContract):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tiny_folder(tmp_path)

    def embedder(self) -> Embedder:
        return onnx_folder(self.folder, threads=1)


@pytest.mark.allow_hosts(["127.0.0.1"])
class TestAzureOpenAI(EmbedderContract):
    @pytest.fixture(autouse=True)
    def _service(self) -> Iterator[None]:
        with FakeOpenAI(azure=True, models={"vectors": 1536}) as self.service:
            yield

    def embedder(self) -> Embedder:
        remote = RemoteModel(
            endpoint=self.service.endpoint,
            deployment="vectors",
            model="text-embedding-3-small",
            api_key=lambda: KEY,
            dimensions=256,
        )
        return remote_embedder(remote, azure=True)


@pytest.mark.allow_hosts(["127.0.0.1"])
class TestCompatibleServer(EmbedderContract):
    """A local server: no key, its own model, lists instead of base64."""

    @pytest.fixture(autouse=True)
    def _service(self) -> Iterator[None]:
        models = {"bge-m3": 64}
        with FakeOpenAI(models=models, key=None, base64_vectors=False) as self.service:
            yield

    def embedder(self) -> Embedder:
        remote = RemoteModel(endpoint=self.service.endpoint, model="bge-m3", dimensions=64)
        return remote_embedder(remote, azure=False)


@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize("azure", [True, False])
@pytest.mark.parametrize("as_base64", [True, False])
def test_requests_and_answers_keep_to_the_vendors_contract(azure: bool, as_base64: bool) -> None:
    models = {"text-embedding-3-small": 1536}
    with FakeOpenAI(
        azure=azure, models=models, base64_vectors=as_base64, contract=contract()
    ) as service:
        remote = RemoteModel(
            endpoint=service.endpoint,
            model="text-embedding-3-small",
            api_key=lambda: KEY,
            dimensions=32,
        )
        remote_embedder(remote, azure=azure).embed(["late", "", "emoji 👍"])
        assert len(service.asked) == 1
        assert service.broken == []


def test_the_fakes_refusals_keep_to_the_vendors_contract() -> None:
    from closeloop.testing.json_schema import violations
    from closeloop.testing.openai_server import filtered, refusal, too_many

    openai = contract()
    schema = openai["components"]["schemas"]["ErrorResponse"]
    for reply in (refusal(404, "model_not_found", "no"), too_many()):
        assert violations(json.loads(reply.body), schema, root=openai) == []
    azure = document("azure_openai_v1_extract.schema.json")
    answer = json.loads(filtered().body)
    assert violations(answer, azure["$defs"]["AzureErrorResponse"], root=azure) == []
