"""Cuts many texts into words and asks two small lexicons whether they are English or Hindi."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.text.lexicon import ENGLISH, INTERNATIONAL, ROMANISED_HINDI, SHARED_WORDS

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Marks = npt.NDArray[np.bool_]

_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
_STRETCHED = re.compile(r"([^\W\d_])\1\1+")
_LEXICON = sorted(ENGLISH | ROMANISED_HINDI | SHARED_WORDS)
_LEXICON_ARRAY = pa.array(_LEXICON)

# Punctuation, arrows, symbols and emoji: what stands in most texts that are not ASCII, no letter.
_SYMBOLS = (
    r"\x{2010}-\x{205e}\x{20a0}-\x{20bf}\x{2122}\x{2190}-\x{23ff}\x{2500}-\x{2775}\x{2794}-\x{2bff}"
    r"\x{fe0f}\x{1f300}-\x{1f64f}\x{1f680}-\x{1f6ff}\x{1f900}-\x{1f9ff}"
)
_NOT_PLAIN = rf"[^\x00-\x7f{_SYMBOLS}]"
# An apostrophe that is not the only one inside a word.
_ODD_APOSTROPHE = r"(?:^|[^A-Za-z])['’]|['’](?:[^A-Za-z]|$)|['’][A-Za-z]*['’]"
_STRETCHED_ASCII = "|".join(f"{letter}{{3}}" for letter in "abcdefghijklmnopqrstuvwxyz")


def _marked(words: frozenset[str]) -> Floats:
    return np.array([*(float(word in words) for word in _LEXICON), 0.0])


_ENGLISH = _marked(ENGLISH)
_ENGLISH_ALONE = _marked(ENGLISH - INTERNATIONAL)
"""Words that say English, whatever languages a source shows."""
_ENGLISH_OWN = _marked(ENGLISH - SHARED_WORDS)
_HINDI = _marked(ROMANISED_HINDI)
_SHARED = _marked(SHARED_WORDS)


@dataclass(frozen=True, slots=True)
class CutTexts:
    """Texts as lower-case words.

    `spaced` holds the words of each text with single spaces between them, `counts` their number,
    `long_words` the number of those of more than one letter, `of_lexicon` how many of each row of
    marks (English, English alone, English but not shared, Hindi, shared) [marks, texts].
    """

    spaced: pa.Array
    counts: Ints
    long_words: Ints
    of_lexicon: Floats

    def take(self, rows: Ints) -> CutTexts:
        """Return some of the texts."""
        return CutTexts(
            self.spaced.take(pa.array(rows)),
            self.counts[rows],
            self.long_words[rows],
            self.of_lexicon[:, rows],
        )


@dataclass(frozen=True, slots=True)
class ByLexicon:
    """Which texts the lexicons tell, and how sure: the others are for a model.

    `contested` are English if the source shows no other language that says so; of `mixed` neither
    lexicon nor model is to be believed.
    """

    english: Marks
    contested: Marks
    hindi: Marks
    mixed: Marks
    confidence: Floats

    @property
    def told(self) -> Marks:
        """Return the texts that no model need be asked about."""
        return self.english | self.contested | self.hindi | self.mixed


def cut(texts: pa.Array) -> CutTexts:
    """Return the words of texts: runs of letters with apostrophes inside."""
    odd = pc.or_(
        pc.match_substring_regex(texts, _NOT_PLAIN),
        pc.match_substring_regex(texts, _ODD_APOSTROPHE),
    )
    spaced = pc.replace_substring(pc.ascii_lower(texts), "’", "'")
    # Single spaces stay as they are, since each match costs.
    spaced = pc.replace_substring_regex(spaced, "[^a-z' ]+", " ")
    spaced = pc.ascii_trim_whitespace(pc.replace_substring_regex(spaced, " {2,}", " "))
    if pc.any(odd).as_py():
        one_by_one = _cut_each(texts.filter(odd).to_pylist())
        spaced = pc.replace_with_mask(spaced, odd, one_by_one)
    return _counted(spaced)


def stretched(texts: CutTexts) -> Ints:
    """Return the rows of texts that hold a letter three times on end ("goooood")."""
    found = np.asarray(pc.match_substring_regex(texts.spaced, _STRETCHED_ASCII))
    rows = np.flatnonzero(~np.asarray(pc.string_is_ascii(texts.spaced)))
    if len(rows):
        found = found.copy()
        others = texts.spaced.take(pa.array(rows)).to_pylist()
        found[rows] = [_STRETCHED.search(text) is not None for text in others]
    return np.flatnonzero(found)


def shortened(texts: CutTexts, rows: Ints) -> CutTexts:
    """Return stretched texts with two letters in place of more."""
    held = texts.spaced.take(pa.array(rows)).to_pylist()
    return _counted(pa.array([_STRETCHED.sub(r"\1\1", text) for text in held], pa.string()))


def by_lexicon(texts: CutTexts) -> ByLexicon:
    """Say which texts are English or romanised Hindi, where the words of the lexicons decide."""
    english, alone, english_own, romanised, shared = texts.of_lexicon
    count = np.maximum(texts.counts, 1)
    hindi = romanised + 0.5 * shared
    enough = (hindi >= 3) | (hindi / count >= np.where(count <= 4, 0.5, 0.25))
    some = romanised > 0
    is_hindi = some & enough & (hindi >= 2 * english_own / 3)
    mixed = some & ~is_hindi & (hindi >= 2) & (hindi / count >= 0.2)
    # "super application": English where the source shows no other language that says so.
    contested = ~some & (english > 0) & (alone == 0) & (english == texts.counts)
    is_english = ~some & (alone > 0) & (english / count >= 0.5)
    sure = np.where(is_english, np.minimum(0.99, 0.6 + 0.4 * english / count), 0.0)
    sure = np.where(is_hindi, np.minimum(0.99, 0.7 + 0.05 * hindi), sure)
    return ByLexicon(is_english, contested, is_hindi, mixed, sure)


def _cut_each(texts: Iterable[str]) -> pa.Array:
    found = (_WORD.findall(text.lower().replace("’", "'")) for text in texts)
    return pa.array([" ".join(words) for words in found], pa.string())


def _counted(spaced: pa.Array) -> CutTexts:
    lists = pc.split_pattern(spaced, " ")
    words, parents = lists.flatten(), np.asarray(pc.list_parent_indices(lists))
    length = np.asarray(pc.utf8_length(words))
    places = np.asarray(pc.fill_null(pc.index_in(words, value_set=_LEXICON_ARRAY), len(_LEXICON)))
    known = np.flatnonzero(places < len(_LEXICON))
    places, holders = places[known], parents[known]

    def sums(marks: Floats) -> Floats:
        return np.bincount(holders, marks[places], minlength=len(spaced)).astype(np.float64)

    marks: Sequence[Floats] = (_ENGLISH, _ENGLISH_ALONE, _ENGLISH_OWN, _HINDI, _SHARED)
    return CutTexts(
        spaced=spaced,
        counts=np.bincount(parents[length > 0], minlength=len(spaced)),
        long_words=np.bincount(parents[length > 1], minlength=len(spaced)),
        of_lexicon=np.array([sums(marked) for marked in marks]),
    )
