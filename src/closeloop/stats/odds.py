"""Exposed against unexposed at the same time: odds ratio, interval, Bayes factor."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log, pi, sqrt

MIN_A_SIDE = 15
"""With so few reviews or fewer on a side there is not enough evidence."""
EFFECT_LOG_ODDS, EFFECT_SD, NULL_SD = log(3.0), 0.7, 0.2


@dataclass(frozen=True, slots=True)
class OddsRatio:
    """Odds of a complaint on the exposed side over the other, with its 95% interval.

    `bayes_factor` weighs a real effect (log odds about ln 3, sd .7) against none (0, sd .2).
    """

    ratio: float
    low: float
    high: float
    bayes_factor: float
    exposed: int
    unexposed: int

    @property
    def enough(self) -> bool:
        """Whether both sides hold enough reviews to say anything."""
        return self.exposed > MIN_A_SIDE and self.unexposed > MIN_A_SIDE


def odds_ratio(
    *, exposed_complaints: int, exposed: int, unexposed_complaints: int, unexposed: int
) -> OddsRatio:
    """Return the odds ratio with Haldane's correction (.5 a cell)."""
    cells = (
        exposed_complaints + 0.5,
        exposed - exposed_complaints + 0.5,
        unexposed_complaints + 0.5,
        unexposed - unexposed_complaints + 0.5,
    )
    effect = log(cells[0] * cells[3] / (cells[1] * cells[2]))
    variance = sum(1.0 / cell for cell in cells)
    half = 1.96 * sqrt(variance)
    return OddsRatio(
        ratio=exp(effect),
        low=exp(effect - half),
        high=exp(effect + half),
        bayes_factor=_normal(effect, EFFECT_LOG_ODDS, variance + EFFECT_SD**2)
        / _normal(effect, 0.0, variance + NULL_SD**2),
        exposed=exposed,
        unexposed=unexposed,
    )


def _normal(x: float, mean: float, variance: float) -> float:
    return exp(-((x - mean) ** 2) / (2.0 * variance)) / sqrt(2.0 * pi * variance)
