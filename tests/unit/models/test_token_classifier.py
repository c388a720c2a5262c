"""A local folder with a token classifier finds names that no rule sees."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from closeloop.errors import ModelMissingError, RecogniserFaultError, SettingsError
from closeloop.models.token_classifier import TokenClassifier
from closeloop.models.wiring import make_recogniser
from closeloop.ports import Recognised
from tests.unit.models.tiny_onnx import tiny_classifier

LABELS = ("O", "B-PER", "I-PER", "B-LOC", "B-STREET")
WORDS = {
    "asha": "B-PER",
    "rao": "I-PER",
    "ravi": "B-PER",
    "mumbai": "B-LOC",
    "##ksha": "I-PER",
    "elm": "B-STREET",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_classifier(tmp_path / "names", words=WORDS, labels=LABELS, splits=("raksha",))


def _found(folder: Path, text: str, **settings: object) -> list[tuple[str, str]]:
    model = TokenClassifier(folder, **settings)  # type: ignore[arg-type]
    return [(text[r.start : r.end], r.token) for r in model.recognise([text])[0]]


def test_a_name_of_several_words_is_one_stretch_and_places_stay(folder: Path) -> None:
    assert _found(folder, "then Asha Rao of Mumbai wrote") == [("Asha Rao", "NAME")]


def test_a_new_beginning_is_another_name(folder: Path) -> None:
    assert _found(folder, "Asha Ravi") == [("Asha", "NAME"), ("Ravi", "NAME")]


def test_a_word_is_masked_whole_where_one_of_its_pieces_is_a_name(folder: Path) -> None:
    assert _found(folder, "ask Raksha now") == [("Raksha", "NAME")]


def test_labels_say_what_is_masked_and_as_what(folder: Path) -> None:
    assert _found(folder, "Asha at 4 Elm", labels={"street": "STREET"}) == [("Elm", "STREET")]


def test_a_name_past_the_model_s_window_is_found(folder: Path) -> None:
    text = "so " * 700 + "Asha"
    assert _found(folder, text) == [("Asha", "NAME")]


def test_the_least_score_counts(folder: Path) -> None:
    assert _found(folder, "Asha", min_score=1.0) == []


def test_answers_do_not_depend_on_the_batch(folder: Path) -> None:
    model = TokenClassifier(folder)
    texts = ["Asha", "", "x " * 40 + "Ravi said", "\ud800 Asha", "🙂 Asha Rao"]
    assert model.recognise(texts) == [model.recognise([text])[0] for text in texts]
    assert model.recognise(texts)[4] == [Recognised(2, 10, "NAME")]


def test_the_version_changes_with_model_labels_and_score(folder: Path, tmp_path: Path) -> None:
    other = tiny_classifier(tmp_path / "b" / "names", words={"asha": "B-PER"}, labels=LABELS)
    versions = {
        TokenClassifier(folder).version,
        TokenClassifier(folder, min_score=0.9).version,
        TokenClassifier(folder, labels={"LOC": "PLACE"}).version,
        TokenClassifier(other).version,
    }
    assert len(versions) == 4
    assert all(version.startswith("names/onnx@") for version in versions)


def test_it_is_shipped_by_its_settings(folder: Path) -> None:
    model = TokenClassifier(folder, labels={"LOC": "PLACE"}, asked="all")
    before = model.recognise(["in Mumbai"])
    again = pickle.loads(pickle.dumps(model))
    assert (again.version, again.asked, again.tokens) == (model.version, "all", {"PLACE"})
    assert again.recognise(["in Mumbai"]) == before != [[]]


@pytest.mark.parametrize("file", ["model.onnx", "tokenizer.json", "config.json"])
def test_a_missing_file_is_named(folder: Path, file: str) -> None:
    (folder / file).unlink()
    with pytest.raises(ModelMissingError, match=file):
        TokenClassifier(folder)


def test_a_model_without_labels_of_persons_lists_its_own(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"id2label": {"0": "O", "1": "B-ORG"}}))
    with pytest.raises(ModelMissingError, match="no label of persons") as caught:
        TokenClassifier(folder)
    assert "ORG" in caught.value.hint
    with pytest.raises(ModelMissingError, match="PERSONS"):
        TokenClassifier(folder, labels={"PERSONS": "NAME"})


def test_another_model_s_config_is_a_fault_not_an_answer(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"id2label": {"0": "O", "1": "B-PER"}}))
    with pytest.raises(RecogniserFaultError, match="token and label"):
        TokenClassifier(folder).recognise(["Asha"])


def test_a_broken_model_is_named(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"no model")
    with pytest.raises(ModelMissingError, match="can't be loaded"):
        TokenClassifier(folder).recognise(["Asha"])


def test_wiring_refuses_what_means_nothing(folder: Path, tmp_path: Path) -> None:
    settings = dict.fromkeys(("labels", "min_score", "ask", "threads"))
    common = {"language": "en", "cache_folder": tmp_path, **settings}
    with pytest.raises(SettingsError, match="folder is not set"):
        make_recogniser(kind="onnx", folder=None, spacy_model=None, **common)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="means nothing"):
        make_recogniser(kind="presidio", folder=str(folder), spacy_model=None, **common)  # type: ignore[arg-type]
    made = make_recogniser(kind="onnx", folder=str(folder), spacy_model=None, **common)  # type: ignore[arg-type]
    assert made.recognise(["Asha"]) == [[Recognised(0, 4, "NAME")]]
