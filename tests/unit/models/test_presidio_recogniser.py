"""Presidio as a recogniser: its patterns without a language model, nothing fetched, faults closed."""

from __future__ import annotations

import importlib.util
import pickle

import pytest

from closeloop.errors import ModelMissingError, SettingsError
from closeloop.models.presidio_recogniser import PresidioRecogniser

INSTALLED = importlib.util.find_spec("presidio_analyzer") is not None
needs_presidio = pytest.mark.skipif(
    not INSTALLED, reason="presidio-analyzer is not installed (pip install 'closeloop[presidio]')"
)


@pytest.mark.skipif(INSTALLED, reason="presidio-analyzer is installed here")
def test_without_the_package_it_says_what_to_install() -> None:
    with pytest.raises(ModelMissingError, match="not installed") as caught:
        PresidioRecogniser()
    assert "closeloop[presidio]" in caught.value.hint


@pytest.mark.parametrize("entity", ["EMAIL_ADDRESS", "URL"])
def test_what_would_fetch_from_the_network_is_refused(entity: str) -> None:
    with pytest.raises(SettingsError, match=entity):
        PresidioRecogniser(entities={entity: "X"})


def test_names_need_a_language_model() -> None:
    with pytest.raises(SettingsError, match="spaCy"):
        PresidioRecogniser(entities={"PERSON": "NAME"})


@needs_presidio
def test_a_missing_language_model_is_named() -> None:
    with pytest.raises(ModelMissingError, match="en_no_such_model"):
        PresidioRecogniser(spacy_model="en_no_such_model")


@needs_presidio
def test_patterns_find_numbers_without_a_language_model() -> None:
    model = PresidioRecogniser()
    text = "card 4111 1111 1111 1111, phone (212) 555-1234"
    found = {(text[r.start : r.end], r.token) for r in model.recognise([text])[0]}
    assert found == {("4111 1111 1111 1111", "CARD"), ("(212) 555-1234", "PHONE")}
    again = pickle.loads(pickle.dumps(model))
    assert again.version == model.version
    assert again.recognise([text, "fine"]) == [model.recognise([text])[0], []]
