"""Groups a few texts by what is known of their pairs: how alike they are, and what a judge said."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from closeloop.domain.review import PairAnswer
from closeloop.stats.themes import Frame

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Pair = tuple[int, int]

SLOPE = 2.05
EVEN_AT = 3.6
EVEN_TEXTS = 58
"""Among 58 texts a pair is as likely one issue as not at a standard score of 3.6; the log odds rise
by 2.05 a unit, and fall by log 2 where the texts are twice as many, as the share of pairs of one
issue is then half as large. Logistic fits to one half of the issues of benchmarks/tickets.py."""
STRANGERS = 20
"""The mean of few texts lies near each of them: it is drawn to zero as by so many texts more."""
JOIN_AT = 0.0
"""Without answers groups are joined from even odds on: in the half for choosing no group of 17 held
two issues (nor at .6 to one; at .4 to one 2 of 17 did)."""
JUDGE_WEIGHT = math.log(0.9 / 0.1)
"""Log odds of a judge's answer: one in ten is taken to be wrong."""
PERSON_WEIGHT = 100.0
"""What a person said holds, whatever the likeness."""
JOIN_JUDGED_AT = math.log(0.9 / 0.1)
"""With answers groups are joined at nine to one. In the half for choosing, under a judge wrong in 10%,
at most .1 of 17 groups held two issues (at 2.7 to one .3), with the same adjusted Rand index."""
MAX_ASKED = 5
"""Pairs of any two groups that are asked about: agreement of several decides, not one answer."""


def log_odds(vectors: npt.NDArray[np.float32]) -> Floats:
    """Return log odds that two texts are of one issue, from their vectors [texts, texts].

    From the standard score of their cosine. Its unit comes from the lower half of the pairs, which
    texts of one issue do not reach: it is the same whether there are many such pairs or none.
    """
    count = len(vectors)
    if count < 2:
        return np.zeros((count, count))
    centre = vectors.sum(axis=0, dtype=np.float64) / (count + STRANGERS)
    centred = Frame(centre=centre.astype(np.float32), mu=0.0, sd=1.0).centred(vectors)
    cosines = (centred @ centred.T).astype(np.float64)
    pairs = cosines[np.triu_indices(count, 1)]
    middle = float(np.median(pairs))
    below = max(float(np.sqrt(np.mean((pairs[pairs <= middle] - middle) ** 2))), 1e-3)
    scores = (cosines - middle) / below
    return np.asarray(SLOPE * (scores - EVEN_AT) - math.log(count / EVEN_TEXTS), np.float64)


@dataclass(slots=True)
class Evidence:
    """What is known of pairs of texts, in log odds that they are of one issue [texts, texts].

    `alike` comes from their likeness, `said` is the sum of answers, `asked` marks pairs with one.
    """

    alike: Floats
    said: Floats = field(init=False)
    asked: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.said = np.zeros_like(self.alike)
        self.asked = np.zeros_like(self.alike)

    def add(self, pair: Pair, answer: PairAnswer, *, weight: float) -> None:
        """Add an answer that weighs so much; "unsure" weighs nothing."""
        sign = {PairAnswer.SAME: 1.0, PairAnswer.DIFFERENT: -1.0, PairAnswer.UNSURE: 0.0}[answer]
        for place in (pair, pair[::-1]):
            self.said[place] += sign * weight
            self.asked[place] = 1.0


def joined(evidence: Evidence, themes: Ints) -> Ints:
    """Return a group number for each text; `themes` holds that of texts grouped earlier, else -1.

    The two groups with the strongest evidence are joined first, and weighed anew as one: the mean
    of their pairs' likeness and the sum of all answers. Themes keep their texts and numbers and
    are never joined with one another; new groups have numbers above theirs.
    """
    return _join(evidence, themes, ask_first=False).of


def to_ask(evidence: Evidence, themes: Ints, *, limit: int) -> list[Pair]:
    """Return pairs whose answers can decide whether two groups are joined, most likely first.

    One pair of any two groups, the most alike of those not asked, so that each round of answers
    can settle a question before the next is asked. Empty where no answers could change anything:
    groups are joined at nine to one, and left apart where five answers could not lead there.
    """
    state = _join(evidence, themes, ask_first=True)
    open_pairs = np.minimum(state.pairs(), MAX_ASKED) - state.asked
    odds = state.odds()
    could = (open_pairs > 0) & (odds + open_pairs * JUDGE_WEIGHT >= JOIN_JUDGED_AT)
    ones, others = np.nonzero(np.triu(could & np.isfinite(odds), k=1))
    order = np.argsort(-odds[ones, others], kind="stable")[:limit]
    return [state.most_alike(evidence, int(ones[i]), int(others[i])) for i in order]


@dataclass(slots=True)
class _Groups:
    """Groups in the making: sums over the pairs of texts of each two groups [groups, groups]."""

    of: Ints
    sizes: Floats
    alike: Floats
    said: Floats
    asked: Floats
    fixed: npt.NDArray[np.bool_]

    def pairs(self) -> Floats:
        return np.asarray(np.maximum(np.outer(self.sizes, self.sizes), 1.0), np.float64)

    def odds(self) -> Floats:
        """Return log odds that two groups are of one issue; -inf where they may not be joined."""
        odds = self.alike / self.pairs() + self.said
        gone = self.sizes == 0
        odds[gone] = -np.inf
        odds[:, gone] = -np.inf
        odds[np.outer(self.fixed, self.fixed)] = -np.inf
        np.fill_diagonal(odds, -np.inf)
        return odds

    def odds_of(self, group: int) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """Return one row of `odds`, and with which groups somebody was asked."""
        odds = self.alike[group] / np.maximum(self.sizes * self.sizes[group], 1.0)
        odds += self.said[group]
        odds[self.sizes == 0] = -np.inf
        odds[group] = -np.inf
        if self.fixed[group]:
            odds[self.fixed] = -np.inf
        return odds, self.asked[group] > 0

    def join(self, one: int, other: int) -> None:
        for sums in (self.alike, self.said, self.asked):
            sums[one] += sums[other]
            sums[:, one] += sums[:, other]
        self.sizes[one] += self.sizes[other]
        self.sizes[other] = 0.0
        self.fixed[one] |= self.fixed[other]
        self.of[self.of == other] = one

    def most_alike(self, evidence: Evidence, one: int, other: int) -> Pair:
        """Return the most alike pair of texts of two groups that nobody was asked about."""
        left, right = np.flatnonzero(self.of == one), np.flatnonzero(self.of == other)
        block = np.ix_(left, right)
        alike = np.where(evidence.asked[block] > 0, -np.inf, evidence.alike[block])
        row, column = divmod(int(alike.argmax()), len(right))
        return int(left[row]), int(right[column])


def _start(evidence: Evidence, themes: Ints) -> _Groups:
    count = int(themes.max(initial=-1)) + 1
    alone = np.flatnonzero(themes < 0)
    of = np.asarray(themes, np.int64).copy()
    of[alone] = count + np.arange(len(alone))
    inside = np.zeros((count + len(alone), len(of)))
    inside[of, np.arange(len(of))] = 1.0
    return _Groups(
        of=of,
        sizes=inside.sum(axis=1),
        alike=inside @ evidence.alike @ inside.T,
        said=inside @ evidence.said @ inside.T,
        asked=inside @ evidence.asked @ inside.T,
        fixed=np.arange(len(inside)) < count,
    )


def _join(evidence: Evidence, themes: Ints, *, ask_first: bool) -> _Groups:
    """Join groups while the evidence is enough; with `ask_first` likeness alone has to be as much."""
    unasked = JOIN_JUDGED_AT if ask_first else JOIN_AT
    state = _start(evidence, themes)
    gain = state.odds() - np.where(state.asked > 0, JOIN_JUDGED_AT, unasked)
    while len(state.sizes) > 1:
        one, other = divmod(int(gain.argmax()), len(gain))
        if gain[one, other] < 0:
            break
        one, other = min(one, other), max(one, other)
        state.join(one, other)
        odds, asked = state.odds_of(one)
        fresh = odds - np.where(asked, JOIN_JUDGED_AT, unasked)
        gain[one], gain[:, one] = fresh, fresh
        gain[other], gain[:, other] = -np.inf, -np.inf
    return state
