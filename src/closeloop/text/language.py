"""Tells the language of a text, or says that it is unknown: script, small lexicon, then a model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import as_file, files
from typing import Any

import fasttext
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.errors import ModelMissingError
from closeloop.text.language_words import by_lexicon, cut, shortened, stretched
from closeloop.text.scripts import (
    LANGUAGE_OF_SCRIPT,
    LATIN,
    NON_LATIN,
    SHARED_SCRIPTS,
    is_noise,
    main_script,
    script_counts,
)

UNKNOWN = "unknown"
HINGLISH = "hi-Latn"

MODEL_THRESHOLD = 0.6
"""Below this probability the model's answer is "unknown"."""
CERTAIN = 0.8
"""From this probability on the model is believed against the main language of a script."""
_SCRIPT_WORDS = 5
"""Words that a script's answer counts for at the gate of a source."""
_LONGEST = 600
"""Characters that are looked at: more do not change the answer."""

_MASK = r"<[A-Z_]+(?::[0-9a-f]+)?>"
_FOREIGN = re.compile("[\u0370-\u1dff\u1f00-\u1fff\u3040-\ud7af]+")

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Answer:
    """A language, its probability, the words it rests on, and whether the gate is to be asked."""

    language: str
    confidence: float
    words: int
    gated: bool


_NOTHING = Answer(UNKNOWN, 0.0, 0, gated=False)


@dataclass(frozen=True, slots=True)
class _Answers:
    """The answers to many texts, as columns."""

    language: npt.NDArray[np.object_]
    confidence: npt.NDArray[np.float64]
    words: Ints
    gated: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, count: int) -> _Answers:
        return cls(
            np.full(count, UNKNOWN, object),
            np.zeros(count),
            np.zeros(count, np.int64),
            np.zeros(count, np.bool_),
        )

    def put(self, rows: Iterable[int], answers: Iterable[Answer]) -> None:
        for row, answer in zip(rows, answers, strict=True):
            self.language[row] = answer.language
            self.confidence[row] = answer.confidence
            self.words[row] = answer.words
            self.gated[row] = answer.gated


def detect(texts: Sequence[str]) -> list[Answer]:
    """Return the answer for each text; those of the model still have to pass a source's gate."""
    found = _detected(pa.array(texts, pa.string()))
    columns = (found.language, found.confidence, found.words, found.gated)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return [Answer(name, p, words, gated=gated) for name, p, words, gated in rows]


def detect_batch(texts: pa.Array) -> pa.StructArray:
    """Return language, confidence, words and gated for each text, distinct texts asked once."""
    encoded = pc.dictionary_encode(texts, null_encoding="encode")
    found = _detected(pc.fill_null(encoded.dictionary, ""))
    columns = {name: getattr(found, name) for name in ("language", "confidence", "words", "gated")}
    arrays = [pa.array(column) for column in columns.values()]
    return pa.StructArray.from_arrays(arrays, names=list(columns)).take(encoded.indices)


def _detected(texts: pa.Array) -> _Answers:
    answers = _Answers.of(len(texts))
    texts = pc.utf8_slice_codeunits(texts, 0, _LONGEST)
    texts = pc.replace_substring_regex(texts, _MASK, " ")
    foreign = np.flatnonzero(np.asarray(pc.match_substring_regex(texts, NON_LATIN.pattern)))
    latin = np.ones(len(texts), np.bool_)
    if len(foreign):
        latin_parts = _by_script(texts, foreign, answers)
        latin[foreign] = False
        latin[list(latin_parts)] = True
        # A few words of another script would be words that the lexicon does not know.
        written = pa.array(list(latin_parts.values()), pa.string())
        mask = np.zeros(len(texts), np.bool_)
        mask[list(latin_parts)] = True
        texts = pc.replace_with_mask(texts, pa.array(mask), written)
    rows = np.flatnonzero(latin)
    _by_words(texts.take(pa.array(rows)), rows, answers)
    return answers


def _by_words(texts: pa.Array, rows: Ints, answers: _Answers) -> None:
    """Answer for Latin texts: by the lexicons, by them once more ("goooood"), then by the model."""
    words = cut(texts)
    for again in (False, True):
        told = by_lexicon(words)
        english = told.english | told.contested
        answers.language[rows[english]] = "en"
        answers.language[rows[told.hindi]] = HINGLISH
        answers.confidence[rows] = np.where(told.contested, MODEL_THRESHOLD, told.confidence)
        answers.words[rows] = np.where(told.told, words.counts, 0)
        answers.gated[rows] = told.contested
        left = np.flatnonzero(~told.told & (words.counts > 0))
        rows, words = rows[left], words.take(left)
        longer = stretched(words)
        if again or not len(longer):
            break
        others = np.setdiff1d(np.arange(len(rows)), longer)
        _ask(rows[others], words.spaced.take(pa.array(others)), words.long_words[others], answers)
        rows, words = rows[longer], shortened(words, longer)
    _ask(rows, words.spaced, words.long_words, answers)


def _ask(rows: Ints, prepared: pa.Array, words: Ints, answers: _Answers) -> None:
    answers.put(rows.tolist(), _by_model(prepared.to_pylist(), words.tolist()))


def _by_script(texts: pa.Array, rows: Ints, answers: _Answers) -> dict[int, str]:
    """Answer for texts with letters of other scripts; return the Latin part of Latin ones by row."""
    latin: dict[int, str] = {}
    asked: dict[int, str] = {}
    for row, text in zip(rows.tolist(), texts.take(pa.array(rows)).to_pylist(), strict=True):
        script = main_script(text)
        if script is None or (script != LATIN and is_noise(text)):
            continue
        if script == LATIN:
            latin[row] = _FOREIGN.sub(" ", text)
        elif script in SHARED_SCRIPTS or script not in LANGUAGE_OF_SCRIPT:
            asked[row] = text.replace("\n", " ").lower()
        else:
            letters = sum(script_counts(text).values())
            answers.put(
                [row], [Answer(LANGUAGE_OF_SCRIPT[script], 0.99, letters // 4, gated=False)]
            )
    answers.put(asked, _by_model(list(asked.values()), [-1] * len(asked)))
    return latin


@lru_cache(maxsize=1)
def _model() -> Any:
    place = files("closeloop.text").joinpath("data", "lid.176.ftz")
    if not place.is_file():
        raise ModelMissingError(
            "the language model lid.176.ftz is not among the package's files",
            hint="install closeloop again: the file is part of the wheel",
        )
    with as_file(place) as path:
        return fasttext.load_model(str(path))


def _by_model(prepared: Sequence[str], words: Sequence[int]) -> list[Answer]:
    """Return the model's answers to prepared texts of so many words (-1: not in Latin letters)."""
    if not prepared:
        return []
    # The wrapper's call for many texts leaves the probabilities out; this one is as fast.
    predict = _model().f.predict
    answers = []
    for text, count in zip(prepared, words, strict=True):
        found = predict(text + "\n", 1, 0.0, "strict")
        p, label = found[0] if found else (0.0, UNKNOWN)
        answers.append(_judged(text, count, label.removeprefix("__label__"), float(p)))
    return answers


def _judged(prepared: str, words: int, language: str, p: float) -> Answer:
    p = min(p, 1.0)
    if words < 0:
        script = main_script(prepared) or ""
        fits = language in SHARED_SCRIPTS.get(script, frozenset())
        fallback = LANGUAGE_OF_SCRIPT.get(script)
        # A script's main language is the safer answer for a few words (Hindi against Marathi).
        certain = p >= CERTAIN and len(prepared.split()) >= 3
        if fits and p >= MODEL_THRESHOLD and (certain or fallback in (None, language)):
            return Answer(language, p, _SCRIPT_WORDS, gated=False)
        return Answer(fallback, 0.9, 1, gated=False) if fallback else _NOTHING
    if len(prepared) < 4:
        p /= 2
    if p < MODEL_THRESHOLD:
        return Answer(UNKNOWN, p, words, gated=False)
    return Answer(language, p, words, gated=language != "en")
