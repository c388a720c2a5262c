"""A judge of pairs for tests and benchmarks: it knows the issues, and is wrong as often as told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import xxhash

from closeloop.domain.review import PairAnswer


class ScriptedJudge:
    """Answers from the known issue of each text; texts without one make it unsure.

    `wrong` is the share of pairs that it answers wrongly: which ones follows from their texts and
    the seed, so that the same pair always has the same answer, whoever comes first in it.
    """

    def __init__(self, issues: Mapping[str, str], *, wrong: float = 0.0, seed: int = 0) -> None:
        self._issues = dict(issues)
        self._wrong = wrong
        self._seed = seed
        self.asked: list[tuple[str, str]] = []

    @property
    def name(self) -> str:
        """Name of this judge."""
        return "scripted"

    def judge(self, pairs: Sequence[tuple[str, str]]) -> list[PairAnswer]:
        """Return one answer a pair, and remember what was asked."""
        self.asked += pairs
        return [self._answer(*pair) for pair in pairs]

    def _answer(self, one: str, other: str) -> PairAnswer:
        if one not in self._issues or other not in self._issues:
            return PairAnswer.UNSURE
        same = self._issues[one] == self._issues[other]
        key = "\x1f".join(sorted((one, other))).encode("utf-8", "surrogatepass")
        drawn = xxhash.xxh3_64_intdigest(key, seed=self._seed) / 2**64
        return PairAnswer.SAME if same != (drawn < self._wrong) else PairAnswer.DIFFERENT
