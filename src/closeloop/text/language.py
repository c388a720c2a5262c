"""Tells the language of a text, or says that it is unknown: script, small lexicon, then a model."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import as_file, files
from typing import Any

import fasttext
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.errors import ModelMissingError
from closeloop.text.lexicon import ENGLISH, INTERNATIONAL, ROMANISED_HINDI, SHARED_WORDS
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
GATE_THRESHOLD = 0.8
GATE_WORDS = 5
"""A language that a source has not shown yet needs this probability and so many words: on Indian
app reviews nearly all stray answers of French, Italian or Swedish were wrong."""
SHOWING_WORDS = 8
SHOWING_THRESHOLD = 0.9
SHOWINGS = 5
"""A source shows a language by so many texts of so many words at so high a probability."""
_LONGEST = 600
"""Characters that are looked at: more do not change the answer."""

_TOKEN = re.compile(r"<[A-Z_]+(?::[0-9a-f]+)?>")
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
_ASCII_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")
_FOREIGN = re.compile("[\u0370-\u1dff\u1f00-\u1fff\u3040-\ud7af]+")
_STRETCHED = re.compile(r"([^\W\d_])\1\1+")


@dataclass(frozen=True, slots=True)
class Answer:
    """A language, its probability, the words it rests on, and whether the gate is to be asked."""

    language: str
    confidence: float
    words: int
    gated: bool


_NOTHING = Answer(UNKNOWN, 0.0, 0, gated=False)
_ENGLISH_ALONE = ENGLISH - INTERNATIONAL
"""Words that say English, whatever languages a source shows."""


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


def by_lexicon(words: Sequence[str]) -> Answer | None:
    """Return English or romanised Hindi where the words of the lexicons decide, else None."""
    count = len(words)
    if not ROMANISED_HINDI.isdisjoint(words):
        hindi: float = sum(map(ROMANISED_HINDI.__contains__, words))
        hindi += 0.5 * sum(map(SHARED_WORDS.__contains__, words))
        english = sum(word in ENGLISH and word not in SHARED_WORDS for word in words)
        enough = hindi >= 3 or hindi / count >= (0.5 if count <= 4 else 0.25)
        if enough and hindi >= 2 * english / 3:
            return Answer(HINGLISH, min(0.99, 0.7 + 0.05 * hindi), count, gated=False)
        if hindi >= 2 and hindi / count >= 0.2:
            return Answer(UNKNOWN, 0.0, count, gated=False)
        return None
    english = sum(map(ENGLISH.__contains__, words))
    if english and _ENGLISH_ALONE.isdisjoint(words):
        # "super application": English where the source shows no other language that says so.
        contested = Answer("en", MODEL_THRESHOLD, count, gated=True)
        return contested if english == count else None
    return _english(english, count) if english and english / count >= 0.5 else None


@lru_cache(maxsize=4_096)
def _english(english: int, count: int) -> Answer:
    return Answer("en", min(0.99, 0.6 + 0.4 * english / count), count, gated=False)


def _words(text: str) -> list[str]:
    if text.isascii():
        return _ASCII_WORD.findall(text)
    return _WORD.findall(text.replace("’", "'"))


def _prepared(text: str) -> tuple[Answer | None, str, int]:
    """Return the answer where none need be asked of the model, else its input and word count."""
    text = text[:_LONGEST]
    if "<" in text:
        text = _TOKEN.sub(" ", text)
    if NON_LATIN.search(text):
        answer = _by_script(text)
        if answer is None or answer.words >= 0:
            return answer, text.replace("\n", " ").lower(), -1
        # A few words of another script would be words that the lexicon does not know.
        text = _FOREIGN.sub(" ", text)
    words = _words(text.lower())
    if not words:
        return _NOTHING, "", 0
    answer = by_lexicon(words)
    if answer is None and _STRETCHED.search(text):
        # "goooood" is "good".
        words = _words(_STRETCHED.sub(r"\1\1", text.lower()))
        answer = by_lexicon(words)
    if answer is not None:
        return answer, "", 0
    return None, " ".join(words), sum(len(word) > 1 for word in words)


_LATIN_TEXT = Answer(UNKNOWN, 0.0, -1, gated=False)


def _by_script(text: str) -> Answer | None:
    """Return the language of a script, None where the model has to tell, _LATIN_TEXT if Latin."""
    script = main_script(text)
    if script is None or (script != LATIN and is_noise(text)):
        return _NOTHING
    if script == LATIN:
        return _LATIN_TEXT
    if script in SHARED_SCRIPTS or script not in LANGUAGE_OF_SCRIPT:
        return None
    letters = sum(script_counts(text).values())
    return Answer(LANGUAGE_OF_SCRIPT[script], 0.99, letters // 4, gated=False)


def detect(texts: Sequence[str]) -> list[Answer]:
    """Return the answer for each text; those of the model still have to pass a source's gate."""
    answers: list[Answer] = [_NOTHING] * len(texts)
    asked: list[tuple[int, str, int]] = []
    for position, text in enumerate(texts):
        answer, prepared, words = _prepared(text)
        if answer is not None:
            answers[position] = answer
        else:
            asked.append((position, prepared, words))
    if asked:
        # The wrapper's call for many texts leaves the probabilities out; this one is as fast.
        predict = _model().f.predict
        for position, prepared, words in asked:
            found = predict(prepared + "\n", 1, 0.0, "strict")
            p, label = found[0] if found else (0.0, UNKNOWN)
            answers[position] = _judged(prepared, words, label.removeprefix("__label__"), float(p))
    return answers


def _judged(prepared: str, words: int, language: str, p: float) -> Answer:
    p = min(p, 1.0)
    if words < 0:
        script = main_script(prepared) or ""
        fits = language in SHARED_SCRIPTS.get(script, frozenset())
        fallback = LANGUAGE_OF_SCRIPT.get(script)
        # A script's main language is the safer answer for a few words (Hindi against Marathi).
        certain = p >= GATE_THRESHOLD and len(prepared.split()) >= 3
        if fits and p >= MODEL_THRESHOLD and (certain or fallback in (None, language)):
            return Answer(language, p, GATE_WORDS, gated=False)
        return Answer(fallback, 0.9, 1, gated=False) if fallback else _NOTHING
    if len(prepared) < 4:
        p /= 2
    if p < MODEL_THRESHOLD:
        return Answer(UNKNOWN, p, words, gated=False)
    return Answer(language, p, words, gated=language != "en")


@dataclass(frozen=True, slots=True)
class LanguageGate:
    """What languages each source has shown in long, certain texts; frozen while a batch runs."""

    shown: Mapping[str, Mapping[str, int]]

    @classmethod
    def from_bytes(cls, blob: bytes | None) -> LanguageGate:
        """Return the remembered gate, or an empty one."""
        return cls(shown=json.loads(blob) if blob else {})

    def to_bytes(self) -> bytes:
        """Return the gate as JSON, counts held at what is needed, so that it stops changing."""
        return json.dumps(self.shown, sort_keys=True, separators=(",", ":")).encode()

    def after(
        self, *, sources: pa.Array, languages: pa.Array, confidences: pa.Array, words: pa.Array
    ) -> LanguageGate:
        """Return the gate with the long, certain texts of these rows counted in."""
        certain = pc.and_(
            pc.and_(
                pc.greater_equal(words, SHOWING_WORDS),
                pc.greater_equal(confidences, SHOWING_THRESHOLD),
            ),
            pc.not_equal(languages, UNKNOWN),
        )
        rows = pa.table({"source": sources, "language": languages}).filter(certain)
        if rows.num_rows == 0:
            return self
        counted = rows.group_by(["source", "language"]).aggregate([([], "count_all")]).to_pylist()
        shown = {source: dict(languages) for source, languages in self.shown.items()}
        for row in counted:
            of_source = shown.setdefault(row["source"], {})
            count = of_source.get(row["language"], 0) + int(row["count_all"])
            of_source[row["language"]] = min(count, SHOWINGS)
        return LanguageGate(shown=shown)

    def _with_rivals(self) -> pa.Array:
        """Return the sources that show another language in Latin letters than English."""
        sources = [
            source
            for source, shown in self.shown.items()
            if any(n >= SHOWINGS and name not in _NO_RIVALS for name, n in shown.items())
        ]
        return pa.array(sources, pa.string())

    def apply(
        self,
        *,
        sources: pa.Array,
        languages: pa.Array,
        confidences: pa.Array,
        words: pa.Array,
        gated: pa.Array,
    ) -> pa.Array:
        """Return the languages with those in doubt replaced by "unknown"."""
        pairs = pc.binary_join_element_wise(sources, languages, "\x1f")
        open_pairs = pa.array(
            [
                f"{source}\x1f{language}"
                for source, shown in self.shown.items()
                for language, count in shown.items()
                if count >= SHOWINGS
            ],
            pa.string(),
        )
        contested = pc.and_(pc.equal(languages, "en"), gated)
        contested = pc.and_(contested, pc.is_in(sources, value_set=self._with_rivals()))
        strong = pc.and_(
            pc.greater_equal(words, GATE_WORDS), pc.greater_equal(confidences, GATE_THRESHOLD)
        )
        english = pc.and_(pc.equal(languages, "en"), pc.invert(contested))
        known = pc.or_(english, pc.is_in(pairs, value_set=open_pairs))
        passes = pc.or_(pc.invert(gated), pc.or_(strong, known))
        passes = pc.and_(passes, pc.invert(contested))
        return pc.if_else(passes, languages, UNKNOWN)


def _told_by_script() -> frozenset[str]:
    shared = {language for languages in SHARED_SCRIPTS.values() for language in languages}
    return frozenset(LANGUAGE_OF_SCRIPT.values()) | shared


_NO_RIVALS = _told_by_script() | {"en", HINGLISH}


def detect_batch(texts: pa.Array) -> pa.StructArray:
    """Return language, confidence, words and gated for each text, distinct texts asked once."""
    encoded = pc.dictionary_encode(texts, null_encoding="encode")
    distinct = ["" if t is None else t for t in encoded.dictionary.to_pylist()]
    answers = detect(distinct)
    table = pa.StructArray.from_arrays(
        [
            pa.array([a.language for a in answers], pa.string()),
            pa.array(np.array([a.confidence for a in answers], dtype=np.float64)),
            pa.array(np.array([a.words for a in answers], dtype=np.int64)),
            pa.array(np.array([a.gated for a in answers], dtype=np.bool_)),
        ],
        names=["language", "confidence", "words", "gated"],
    )
    return table.take(encoded.indices)
