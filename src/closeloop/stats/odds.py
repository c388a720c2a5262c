"""Exposed against unexposed: odds ratio, interval, Bayes factor.

The other side is feedback of the same time, or the users of the time where those are counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, sqrt

import numpy as np
from scipy.special import bdtrc, betaincinv, gammaln

from closeloop.stats.baseline import Floats, Ints

MIN_A_SIDE = 15
"""With so few reviews or fewer on a side there is not enough evidence."""
MIN_COMPLAINTS = 8
"""Complaints that must tell what they come from, to be compared with shares of users."""
EFFECT_LOG_ODDS, EFFECT_SD, NULL_SD = log(3.0), 0.7, 0.2
_NODES = np.linspace(-3.0, 3.0, 61)
_WEIGHTS = np.exp(-0.5 * _NODES**2) / np.exp(-0.5 * _NODES**2).sum()


@dataclass(frozen=True, slots=True)
class OddsRatio:
    """Odds of a complaint on the exposed side over the other, with its 95% interval.

    `bayes_factor` weighs a real effect (log odds about ln 3, sd .7) against none (0, sd .2);
    `chance` is the probability of so many complaints or more from the exposed side by chance, those
    that are as many counted half (Fisher's exact test, one-sided, as mid-p: the exact test errs far
    less often than it says where counts are small; Lancaster 1961, Agresti 2013 §3.5.6). `of_users` is the share of users that had it, where complaints
    are compared with that in place of other feedback (`exposed` and `unexposed` are complaints).
    """

    ratio: float
    low: float
    high: float
    bayes_factor: float
    chance: float
    exposed: int
    unexposed: int
    of_users: float | None = None

    @property
    def enough(self) -> bool:
        """Whether both sides hold enough to say anything."""
        if self.of_users is not None:
            return self.exposed + self.unexposed >= MIN_COMPLAINTS
        return self.exposed > MIN_A_SIDE and self.unexposed > MIN_A_SIDE


Counts = tuple[int, int, int, int]
"""Complaints and all feedback of the exposed side, complaints and all of the other."""


def odds_ratio(strata: Sequence[Counts]) -> OddsRatio:
    """Return the odds ratio of feedback that is compared within strata, the hours of one time each.

    A rollout reaches more users while trouble grows: pooled, the calm hours before, in which few
    had it, would make it guilty. The ratio is Mantel and Haenszel's with half a complaint in each
    cell over all strata (Haldane's for one), its interval Robins, Breslow and Greenland's. The Bayes
    factor is exact: the likelihood of how the complaints of each stratum fall on the two sides, given
    how many there are (the noncentral hypergeometric), not a normal approximation. Where the other
    side has next to none that is what matters: 16 of 108 against 0 of 47 is 45 to 1, the
    approximation says 3.
    """
    nodes = _log_odds()
    logs, by_chance, own = np.zeros(len(nodes)), np.ones(1), 0
    for exposed_complaints, exposed, unexposed_complaints, unexposed in strata:
        complaints = exposed_complaints + unexposed_complaints
        k = np.arange(max(0, complaints - unexposed), min(complaints, exposed) + 1)
        ways = _log_choose(exposed, k) + _log_choose(unexposed, complaints - k)
        place = exposed_complaints - int(k[0])
        logs += _log_shares(ways, k, nodes)[:, place]
        by_chance = np.convolve(by_chance, np.exp(_log_shares(ways, k, np.zeros(1))[0]))
        own += place
    effect, error = _mantel_haenszel(strata)
    return OddsRatio(
        ratio=exp(effect),
        low=exp(effect - 1.96 * error),
        high=exp(effect + 1.96 * error),
        bayes_factor=_bayes_factor(np.exp(logs - logs.max())),
        chance=float(min(1.0, by_chance[own:].sum() - 0.5 * by_chance[own])),
        exposed=sum(s[1] for s in strata),
        unexposed=sum(s[3] for s in strata),
    )


def _mantel_haenszel(strata: Sequence[Counts]) -> tuple[float, float]:
    """Return the log of the odds ratio, and its standard error."""
    part = 0.5 / max(len(strata), 1)
    a, n, c, m = (np.array(column, dtype=float) for column in zip(*strata, strict=True))
    a, b, c, d = a + part, n - a + part, c + part, m - c + part
    total = a + b + c + d
    p, q, r, s = (a + d) / total, (b + c) / total, a * d / total, b * c / total
    up, down = r.sum(), s.sum()
    variance = (
        (p * r).sum() / (2 * up * up)
        + (p * s + q * r).sum() / (2 * up * down)
        + (q * s).sum() / (2 * down * down)
    )
    return log(up / down), sqrt(variance)


def odds_against_share(*, own: int, complaints: int, share: float) -> OddsRatio:
    """Return the odds of a complaint from those who had it, over those who had not.

    `own` of `complaints` that say so come from the `share` (0..1, exclusive) of users that had it:
    binomial, with the share's odds times the odds ratio. The interval is Jeffreys' for the share of
    the complaints. For tickets, which hold no praise to compare complaints with.
    """
    base = log(share / (1.0 - share))
    rest = complaints - own
    nodes = 1.0 / (1.0 + np.exp(-(base + _log_odds())))
    likelihood = np.exp(
        own * np.log(nodes) + rest * np.log1p(-nodes) - own * log(share) - rest * log(1.0 - share)
    )
    low, high = (float(betaincinv(own + 0.5, rest + 0.5, q)) for q in (0.025, 0.975))
    odds = exp(-base)
    return OddsRatio(
        ratio=(own + 0.5) / (rest + 0.5) * odds,
        low=low / max(1.0 - low, 1e-12) * odds,
        high=high / max(1.0 - high, 1e-12) * odds,
        bayes_factor=_bayes_factor(likelihood),
        chance=_mid_p(own, complaints, share),
        exposed=own,
        unexposed=rest,
        of_users=share,
    )


def _mid_p(own: int, complaints: int, share: float) -> float:
    more = float(bdtrc(own, complaints, share))
    as_many_or_more = float(bdtrc(own - 1, complaints, share)) if own else 1.0
    return 0.5 * (more + as_many_or_more)


def _log_odds() -> Floats:
    """Return the nodes of the log odds: of harm, then of none.

    A change that does harm makes its users complain more, not less.
    """
    harm = np.maximum(EFFECT_LOG_ODDS + EFFECT_SD * _NODES, 0.0)
    return np.concatenate([harm, NULL_SD * _NODES])


def _bayes_factor(likelihood: Floats) -> float:
    real, none = likelihood[: len(_NODES)] @ _WEIGHTS, likelihood[len(_NODES) :] @ _WEIGHTS
    return float(real / max(none, 1e-300))


def _log_shares(ways: Floats, k: Ints, log_odds: Floats) -> Floats:
    """Return log P(k of the complaints are exposed) [log odds, k]."""
    logs = ways[None, :] + np.outer(log_odds, k)
    return np.asarray(logs - np.logaddexp.reduce(logs, axis=1)[:, None])


def _log_choose(n: int, k: Ints) -> Floats:
    return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))
