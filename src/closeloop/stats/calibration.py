"""How sure it is that a text belongs to its theme, from pairs that people judged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from closeloop.stats.logistic import Platt, fit_binary, fit_platt

Floats = npt.NDArray[np.float64]

MIN_PAIRS = 100
"""Judged pairs that a calibration needs."""
WITHIN_THEME = 0.4
"""How much alike the texts of one theme are in being right, beyond what their scores tell: some
themes are pure, some are not. With texts right at rate p, pairs agree at (1 - w) p² + w p. On 77
intents, first clustering / streamed, 300 judged pairs, at w = 0 / .2 / .4 / .6: expected calibration
error .045/.038/.035/.044 and .066/.044/.033/.048; share right at .85 or more .898/.905/.913/.921
and .872/.882/.891/.894."""
AUDIT_PAIRS = 12
"""Judged pairs from which on a theme's own share counts in place of its texts' mean."""
_SCORE, _MARGIN, _OFFSET = 0.43, 1.03, -2.5


SUREST_UNCALIBRATED = 0.99
AS_IS = Platt(1.0, 0.0)


@dataclass(frozen=True, slots=True)
class ThemeConfidence:
    """Turns standard score, margin and the theme's size into P(the text shares its theme's issue).

    `size_weight` is what a theme's size tells (see `relative_size`), never more than 0: the larger
    a theme has grown beside the others, the more issues it may hold. On 77 intents that streamed in,
    the texts at .85 and more are right in .88 with it and in .82 without (300 judged pairs).

    `pairs` is how many judgements it rests on. With none it is a start, fitted to one public set
    (77 intents of bank customers), and says nothing sure of other feedback: uncalibrated.
    """

    platt: Platt = AS_IS
    pairs: int = 0
    size_weight: float = 0.0

    @property
    def name(self) -> str:
        """How it is named beside each assignment."""
        return f"{self.pairs} pairs" if self.pairs else "uncalibrated"

    def probability(self, scores: Floats, margins: Floats, sizes: Floats) -> Floats:
        """Return the probability of each text.

        Margins are to the second theme, in deviations; sizes are relative and those of each text's
        theme.
        """
        log_odds = linear(scores, margins)
        if not self.pairs:
            return np.minimum(self.platt.probability(log_odds), SUREST_UNCALIBRATED)
        told = self.platt.slope * log_odds + self.platt.offset + self.size_weight * sizes
        pair = np.asarray(expit(told), np.float64)
        root = np.sqrt(WITHIN_THEME**2 + 4.0 * (1.0 - WITHIN_THEME) * pair)
        return np.asarray((root - WITHIN_THEME) / (2.0 * (1.0 - WITHIN_THEME)), np.float64)


def linear(scores: Floats, margins: Floats) -> Floats:
    """Return the uncalibrated log odds that a text belongs to its theme."""
    return np.asarray(_SCORE * scores + _MARGIN * margins + _OFFSET, np.float64)


def relative_size(sizes: npt.ArrayLike) -> Floats:
    """Return the logarithm of each theme's size over that of the middle theme [themes]."""
    counts = np.maximum(np.asarray(sizes, np.float64), 1.0)
    return np.asarray(np.log(counts / np.median(counts)) if len(counts) else counts, np.float64)


def fit_confidence(
    pair_log_odds: Floats, pair_sizes: Floats, same: npt.ArrayLike
) -> ThemeConfidence:
    """Return the calibration from judged pairs of texts within one theme.

    `pair_log_odds` is the mean of both texts' uncalibrated log odds, `pair_sizes` the relative size
    of their theme; `same` is what people said.
    Without MIN_PAIRS pairs, or where people gave one answer only, it stays uncalibrated.
    """
    answers = np.asarray(same, np.bool_)
    if len(answers) < MIN_PAIRS or answers.all() or not answers.any():
        return ThemeConfidence()
    both = fit_binary(np.column_stack([pair_log_odds, pair_sizes]), answers, l2=1.0)
    slope, size_weight = (float(w) for w in both.weights[:, 0])
    platt = Platt(slope, float(both.bias[0]))
    if size_weight > 0:
        platt, size_weight = fit_platt(pair_log_odds, answers), 0.0
    if platt.slope <= 0:
        # Higher scores must never mean less: then only the share of "same" is known.
        share = (answers.sum() + 0.8) / (len(answers) + 1.0)
        share = min(share, 1.0 - 1e-6)
        platt, size_weight = Platt(0.0, float(np.log(share / (1.0 - share)))), 0.0
    return ThemeConfidence(platt=platt, pairs=len(answers), size_weight=size_weight)


def audited_share(*, same: int, pairs: int) -> float:
    """Return the share of a theme's texts that share its main issue, from pairs judged at random.

    Two texts drawn from a theme agree at about the square of that share, so this is the root of
    (same + .8) / (pairs + 1): no pairs give .89, twelve that agree .99.
    """
    return float(np.sqrt((same + 0.8) / (pairs + 1.0))) if pairs >= same >= 0 else 0.0


def calibration_error(probability: Floats, truth: npt.ArrayLike, *, bins: int = 10) -> float:
    """Return the expected calibration error over equally wide bins of probability (0..1)."""
    right = np.asarray(truth, np.float64)
    if not len(right):
        return 0.0
    place = np.minimum((np.asarray(probability) * bins).astype(np.int64), bins - 1)
    gaps = np.bincount(place, weights=np.asarray(probability) - right, minlength=bins)
    return float(np.abs(gaps).sum() / len(right))
