"""Any folder with an ONNX sentence model takes the default model's place, in any language."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from closeloop.errors import ModelMissingError
from closeloop.models.minilm import OnnxEmbedder
from closeloop.models.onnx_folder import onnx_folder
from closeloop.models.wiring import make_embedder
from tests.unit.models.tiny_onnx import DIMENSIONS, tiny_folder

LANGUAGES = ["payment failed", "paiement échoué", "भुगतान विफल", "paisa atka"]


def model(folder: Path, *, prefix: str = "") -> OnnxEmbedder:
    return onnx_folder(folder, threads=1, prefix=prefix)


def test_translations_are_near_and_other_subjects_are_not(tmp_path: Path) -> None:
    vectors = model(tiny_folder(tmp_path)).embed([*LANGUAGES, "colis retard"])
    near = vectors @ vectors[0]
    assert near[:4].min() > 0.9
    assert near[4] < 0.6


@pytest.mark.parametrize("place", ["model.onnx", "onnx/model.onnx"])
@pytest.mark.parametrize("token_types", [True, False])
def test_usual_layouts(tmp_path: Path, place: str, token_types: bool) -> None:
    folder = tiny_folder(tmp_path, place=place, token_types=token_types)
    assert model(folder).embed(LANGUAGES).shape == (4, DIMENSIONS)


def test_a_sentence_output_gives_what_averaged_tokens_give(tmp_path: Path) -> None:
    tokens = model(tiny_folder(tmp_path / "a"))
    sentence = model(tiny_folder(tmp_path / "b", output="sentence_embedding"))
    assert np.allclose(tokens.embed(LANGUAGES), sentence.embed(LANGUAGES), atol=1e-6)


def test_the_first_token_where_the_folder_says_so(tmp_path: Path) -> None:
    pooling = {"cls_token": True, "mean_tokens": False}
    first = model(tiny_folder(tmp_path / "a", pooling=pooling, special=False))
    one, other = first.embed(["payment late", "payment parcel slow"])
    assert one @ other > 0.99999
    mean = model(tiny_folder(tmp_path / "b", pooling={"mean_tokens": True}, special=False))
    one, other = mean.embed(["payment late", "payment parcel slow"])
    assert one @ other < 0.9
    assert first.model_id.split("+")[0].endswith(mean.model_id.split("@")[1])
    assert first.model_id != mean.model_id


def test_a_prefix_changes_vectors_and_name(tmp_path: Path) -> None:
    folder = tiny_folder(tmp_path)
    plain, query = model(folder), model(folder, prefix="query ")
    assert query.embed(["late"])[0] @ plain.embed(["query late"])[0] > 0.99999
    assert query.model_id != plain.model_id


def test_the_length_may_stand_in_config_only(tmp_path: Path) -> None:
    folder = tiny_folder(tmp_path, width="hidden")
    assert model(folder).dimensions == DIMENSIONS
    (folder / "config.json").unlink()
    with pytest.raises(ModelMissingError, match="hidden_size"):
        model(folder)


def test_as_many_tokens_count_as_the_folder_says(tmp_path: Path) -> None:
    long = "payment " * 8 + "parcel " * 8
    short = model(tiny_folder(tmp_path / "a", max_tokens=8, special=False))
    assert short.embed([long])[0] @ short.embed(["payment"])[0] > 0.99999
    whole = model(tiny_folder(tmp_path / "b", special=False))
    assert whole.embed([long])[0] @ whole.embed(["payment"])[0] < 0.95


def test_a_text_without_tokens_has_a_vector(tmp_path: Path) -> None:
    vectors = model(tiny_folder(tmp_path, special=False)).embed(["", "payment", " "])
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)


def test_what_is_missing_or_unusable_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelMissingError, match=r"holds no model\.onnx"):
        model(tmp_path)
    folder = tiny_folder(tmp_path / "a", pooling={"lasttoken": True})
    with pytest.raises(ModelMissingError, match="pools by lasttoken") as caught:
        model(folder)
    assert "sentence_embedding" in caught.value.hint
    dense = tiny_folder(tmp_path / "b")
    (dense / "modules.json").write_text(
        json.dumps([{"type": "sentence_transformers.models.Dense"}])
    )
    with pytest.raises(ModelMissingError, match="dense layer"):
        model(dense)
    (dense / "modules.json").write_text("{broken")
    with pytest.raises(ModelMissingError, match="can't be read"):
        model(dense)
    (dense / "tokenizer.json").unlink()
    with pytest.raises(ModelMissingError, match=r"tokenizer\.json"):
        model(dense)


def test_configuration_reaches_the_folder(tmp_path: Path) -> None:
    folder = tiny_folder(tmp_path / "model")
    embedder = make_embedder(
        kind="onnx", folder=str(folder), threads=1, cache_folder=tmp_path / "cache", prefix="query "
    )
    assert embedder.model_id == model(folder, prefix="query ").model_id
    assert embedder.embed(LANGUAGES).shape == (4, DIMENSIONS)


def test_weights_beside_the_graph_are_part_of_the_name(tmp_path: Path) -> None:
    folder, memory = tiny_folder(tmp_path / "model"), tmp_path / "cache" / "hashed.json"
    names = [onnx_folder(folder, threads=1, memory=memory).model_id]
    for weights in (b"one", b"another"):
        (folder / "model.onnx_data").write_bytes(weights)
        names.append(onnx_folder(folder, threads=1, memory=memory).model_id)
        assert onnx_folder(folder, threads=1, memory=memory).model_id == names[-1]
        assert onnx_folder(folder, threads=1).model_id == names[-1]
    assert len(set(names)) == 3
