"""Keeps answers back in languages that a source has not shown yet."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from closeloop.text.language import HINGLISH, UNKNOWN
from closeloop.text.scripts import LANGUAGE_OF_SCRIPT, SHARED_SCRIPTS

GATE_THRESHOLD = 0.8
GATE_WORDS = 5
"""A language that a source has not shown yet needs this probability and so many words: on Indian
app reviews nearly all stray answers of French, Italian or Swedish were wrong."""
SHOWING_WORDS = 8
SHOWING_THRESHOLD = 0.9
SHOWINGS = 5
"""A source shows a language by so many texts of so many words at so high a probability."""


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
