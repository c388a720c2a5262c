"""MiniLM without torch gives the published model's vectors, whatever the batch."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from closeloop.errors import ModelMissingError, SettingsError
from closeloop.models import weights
from closeloop.models.minilm import minilm
from closeloop.models.wiring import make_embedder


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    try:
        weights.package_folder()
    except ModelMissingError:
        pytest.skip("the weights of all-MiniLM-L6-v2 are not installed")
    return tmp_path / "cache" / "checked.json"


@pytest.mark.model
def test_vectors_have_length_one_and_do_not_depend_on_the_batch(memory: Path) -> None:
    model = minilm(threads=1, memory=memory)
    texts = ["late", "my payment failed and the money is gone " * 8, "", "क्या हुआ", "ok 👍"]
    together = model.embed(texts)
    alone = np.concatenate([model.embed([text]) for text in texts])
    assert together.shape == (5, 384)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    assert ((together * alone).sum(axis=1) >= 0.99999).all()


@pytest.mark.model
def test_like_texts_are_near(memory: Path) -> None:
    paid, money, parcel = minilm(threads=1, memory=memory).embed(
        ["payment failed", "my transaction did not go through", "the parcel is late"]
    )
    assert paid @ money > paid @ parcel + 0.2


@pytest.mark.model
def test_torch_is_not_imported(memory: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from closeloop.models.minilm import minilm;"
        f"minilm(threads=1, memory=Path({str(memory)!r})).embed(['x']);"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_changed_weights_are_refused(tmp_path: Path) -> None:
    for name in weights.PUBLISHED:
        (tmp_path / name).write_bytes(b"not the published file")
    with pytest.raises(ModelMissingError, match="not the published one"):
        weights.check_published(tmp_path, memory=tmp_path / "memory" / "checked.json")


def test_a_folder_without_a_model_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelMissingError, match=r"model\.onnx") as caught:
        make_embedder(kind="onnx", folder=str(tmp_path), threads=None, cache_folder=tmp_path)
    assert "closeloop models install" in caught.value.hint
    with pytest.raises(SettingsError):
        make_embedder(kind="onnx", folder=None, threads=None, cache_folder=tmp_path)


def test_the_default_model_is_not_loaded_before_it_is_needed(tmp_path: Path) -> None:
    embedder = make_embedder(kind="minilm", folder=None, threads=None, cache_folder=tmp_path)
    assert embedder.dimensions == 384
    assert embedder.embed([]).shape == (0, 384)
    assert not list(tmp_path.iterdir())
