"""How sure it is that a text belongs to its theme, from pairs that people judged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from closeloop.stats.logistic import Platt, fit_platt

Floats = npt.NDArray[np.float64]

MIN_PAIRS = 100
"""Judged pairs that a calibration needs: 100 gave an expected calibration error of .049, 300 of
.039, on the 77 intents that it was measured on."""
_SCORE, _MARGIN, _OFFSET = 0.43, 1.03, -2.5


SUREST_UNCALIBRATED = 0.99
AS_IS = Platt(1.0, 0.0)


@dataclass(frozen=True, slots=True)
class ThemeConfidence:
    """Turns standard score and margin into P(the text shares its theme's issue).

    `pairs` is how many judgements it rests on. With none it is a start, fitted to one public set
    (77 intents of bank customers), and says nothing sure of other feedback: uncalibrated.
    """

    platt: Platt = AS_IS
    pairs: int = 0

    @property
    def name(self) -> str:
        """How it is named beside each assignment."""
        return f"{self.pairs} pairs" if self.pairs else "uncalibrated"

    def probability(self, scores: Floats, margins: Floats) -> Floats:
        """Return the probability of each text; margins are to the second theme, in deviations."""
        log_odds = linear(scores, margins)
        if not self.pairs:
            return np.minimum(self.platt.probability(log_odds), SUREST_UNCALIBRATED)
        # Two texts are the same issue where both are right: each has the root of the pair's share.
        return np.asarray(np.sqrt(self.platt.probability(log_odds)), np.float64)


def linear(scores: Floats, margins: Floats) -> Floats:
    """Return the uncalibrated log odds that a text belongs to its theme."""
    return np.asarray(_SCORE * scores + _MARGIN * margins + _OFFSET, np.float64)


def fit_confidence(pair_log_odds: Floats, same: npt.ArrayLike) -> ThemeConfidence:
    """Return the calibration from judged pairs of texts within one theme.

    `pair_log_odds` is the mean of both texts' uncalibrated log odds; `same` is what people said.
    Without MIN_PAIRS pairs, or where people gave one answer only, it stays uncalibrated.
    """
    answers = np.asarray(same, np.bool_)
    if len(answers) < MIN_PAIRS or answers.all() or not answers.any():
        return ThemeConfidence()
    platt = fit_platt(pair_log_odds, answers)
    if platt.slope <= 0:
        # Higher scores must never mean less: then only the share of "same" is known.
        share = (answers.sum() + 0.8) / (len(answers) + 1.0)
        share = min(share, 1.0 - 1e-6)
        platt = Platt(0.0, float(np.log(share / (1.0 - share))))
    return ThemeConfidence(platt=platt, pairs=len(answers))


def calibration_error(probability: Floats, truth: npt.ArrayLike, *, bins: int = 10) -> float:
    """Return the expected calibration error over equally wide bins of probability (0..1)."""
    right = np.asarray(truth, np.float64)
    if not len(right):
        return 0.0
    place = np.minimum((np.asarray(probability) * bins).astype(np.int64), bins - 1)
    gaps = np.bincount(place, weights=np.asarray(probability) - right, minlength=bins)
    return float(np.abs(gaps).sum() / len(right))
