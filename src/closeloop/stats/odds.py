"""Exposed against unexposed at the same time: odds ratio, interval, Bayes factor."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log, sqrt

import numpy as np
from scipy.special import gammaln

from closeloop.stats.baseline import Floats, Ints

MIN_A_SIDE = 15
"""With so few reviews or fewer on a side there is not enough evidence."""
EFFECT_LOG_ODDS, EFFECT_SD, NULL_SD = log(3.0), 0.7, 0.2
_NODES = np.linspace(-3.0, 3.0, 61)
_WEIGHTS = np.exp(-0.5 * _NODES**2) / np.exp(-0.5 * _NODES**2).sum()


@dataclass(frozen=True, slots=True)
class OddsRatio:
    """Odds of a complaint on the exposed side over the other, with its 95% interval.

    `bayes_factor` weighs a real effect (log odds about ln 3, sd .7) against none (0, sd .2);
    `chance` is the probability of so many complaints or more from the exposed side by chance
    (Fisher's exact test, one-sided).
    """

    ratio: float
    low: float
    high: float
    bayes_factor: float
    chance: float
    exposed: int
    unexposed: int

    @property
    def enough(self) -> bool:
        """Whether both sides hold enough reviews to say anything."""
        return self.exposed > MIN_A_SIDE and self.unexposed > MIN_A_SIDE


def odds_ratio(
    *, exposed_complaints: int, exposed: int, unexposed_complaints: int, unexposed: int
) -> OddsRatio:
    """Return the odds ratio with Haldane's correction (.5 a cell).

    The Bayes factor is exact: the likelihood of how the complaints fall on the two sides, given how
    many there are (the noncentral hypergeometric), not a normal approximation. Where the other side
    has next to none that is what matters: 16 of 108 against 0 of 47 is 45 to 1, the approximation
    says 3.
    """
    cells = (
        exposed_complaints + 0.5,
        exposed - exposed_complaints + 0.5,
        unexposed_complaints + 0.5,
        unexposed - unexposed_complaints + 0.5,
    )
    effect = log(cells[0] * cells[3] / (cells[1] * cells[2]))
    half = 1.96 * sqrt(sum(1.0 / cell for cell in cells))
    # A change that does harm makes its users complain more, not less.
    harm = np.maximum(EFFECT_LOG_ODDS + EFFECT_SD * _NODES, 0.0)
    nodes = np.concatenate([harm, NULL_SD * _NODES])
    complaints = exposed_complaints + unexposed_complaints
    k = np.arange(max(0, complaints - unexposed), min(complaints, exposed) + 1)
    ways = _log_choose(exposed, k) + _log_choose(unexposed, complaints - k)
    own = exposed_complaints - int(k[0])
    likelihood = np.exp(_log_shares(ways, k, nodes)[:, own])
    by_chance = np.exp(_log_shares(ways, k, np.zeros(1))[0])
    real, none = likelihood[: len(_NODES)] @ _WEIGHTS, likelihood[len(_NODES) :] @ _WEIGHTS
    return OddsRatio(
        ratio=exp(effect),
        low=exp(effect - half),
        high=exp(effect + half),
        bayes_factor=float(real / max(none, 1e-300)),
        chance=float(min(1.0, by_chance[own:].sum())),
        exposed=exposed,
        unexposed=unexposed,
    )


def _log_shares(ways: Floats, k: Ints, log_odds: Floats) -> Floats:
    """Return log P(k of the complaints are exposed) [log odds, k]."""
    logs = ways[None, :] + np.outer(log_odds, k)
    return np.asarray(logs - np.logaddexp.reduce(logs, axis=1)[:, None])


def _log_choose(n: int, k: Ints) -> Floats:
    return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))
