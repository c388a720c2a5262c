"""Evidence that a series has risen: Shiryaev-Roberts over windows and sizes, as an e-value.

M = sum over windows W of gap_W x mean over rises rho of LR(W, rho), with
LR = rho^Y ((b + E) / (b + rho E))^(a + Y): gamma-Poisson, Y complaints in exposure E. M/720 is an
e-value at every stopping time within a month of hours, so that looking often is no cheating
(e-detectors; "error over patience", arXiv 2501.04130).
"""

from __future__ import annotations

from math import log

import numpy as np
import numpy.typing as npt
from scipy.special import xlogy

from closeloop.stats.baseline import Floats

WINDOWS_H = (1, 3, 6, 12, 24, 48, 72, 120, 168, 336)
GAPS_H = (1, 2, 3, 6, 12, 24, 24, 48, 48, 168)
RISES = (1.5, 2.0, 3.0, 5.0, 10.0, 25.0)
HOURS_A_MONTH = 720.0
SURGE_PRIOR = 20.0
"""Pseudo-complaints in the ratio of the product's other complaints, observed to expected."""
GATE_STRENGTH = 100.0
GATE_SPREAD = 0.1
"""Variance, in parts of its square, that a series' share of a surge has by itself."""
GATE_P = 0.01
NEARLY_ALL = 0.9
"""Part of a product's feedback from which on a series has nothing beside it: a one-category queue."""
LEAST_USUAL = 0.5
"""Texts that count as usual at least: what was never seen before is no infinite rise."""
FIRST_TERMS, MOST_TERMS = 256, 32_768
"""Terms of a sum that are worked out at once: first, and at most (what a core's cache holds)."""
NO_MORE = 1e-16
"""What is left of a sum is left out where it is a smaller part: it is lost in rounding anyhow."""

Bools = npt.NDArray[np.bool_]


def window_terms(
    counts: Floats, exposure: Floats, *, mean: Floats, shape: Floats, phi: Floats, width: int
) -> Floats:
    """Return log of gap_W x mean over rho of LR for one window; arrays of one value a look."""
    gap = GAPS_H[WINDOWS_H.index(width)]
    logs = log_ratios(counts, exposure, mean=mean, shape=shape, phi=phi, width=width, ratios=RISES)
    return np.asarray(logs + np.log(gap))


def log_ratios(
    counts: Floats,
    exposure: Floats,
    *,
    mean: Floats,
    shape: Floats,
    phi: Floats,
    width: int,
    ratios: tuple[float, ...],
) -> Floats:
    """Return log of the mean over `ratios` of LR = rho^Y ((b + E)/(b + rho E))^(a + Y).

    `counts` Y in `exposure` E over `width` hours; a = 1/(1/shape + phi/sqrt(days)), b = a/mean.
    Ratios over 1 are rises, under 1 falls; 0 allows no count at all.
    """
    spread = phi / np.sqrt(max(1.0, width / 24.0))
    a = 1.0 / (1.0 / shape + spread)
    b = a / np.maximum(mean, 1e-9)
    usual, power = np.log(b + exposure), a + counts
    logs = np.stack(
        [xlogy(counts, rho) + power * (usual - np.log(b + rho * exposure)) for rho in ratios]
    )
    # As logaddexp.reduce, and several times as fast.
    most = np.maximum(logs.max(axis=0), -1e300)
    with np.errstate(divide="ignore"):
        return np.asarray(most + np.log(np.exp(logs - most).sum(axis=0)) - np.log(len(ratios)))


def strength(count: float, expected: float) -> float:
    """Return how much `count` texts speak for a rise where `expected` are usual, 0 for none.

    The log of the likelihood ratio of the best rate against the usual one (Poisson):
    Y (ln rho - 1 + 1/rho) with rho = Y / mu, the limit formula's left side, mu at least half a text.
    """
    usual = max(expected, LEAST_USUAL)
    return count * log(count / usual) - (count - usual) if count > usual else 0.0


def surge_factor(others: Floats, others_expected: Floats) -> Floats:
    """Return by how much all else has risen, at least 1: the exposure is multiplied by it.

    What chance adds to the others' count in one case of six (a standard deviation) is no rise.
    """
    risen = others - np.sqrt(others_expected) + SURGE_PRIOR
    return np.maximum(1.0, risen / (others_expected + SURGE_PRIOR))


def surge_gate(count: Floats, total: Floats, share: Floats, *, shape: Floats) -> Bools:
    """Return whether a series' share of a window is too large for a surge of everything.

    P(BetaBinomial(total, s p, s (1 - p)) >= count) < .01, p the baseline's share and `shape` the
    complaints that it rests on. The share may vary by a third, and by what is not known of it; s is
    100 at least, which alone would let a rare series' share vary by several times itself. A series
    that is nearly all that comes, then as usually, passes: nothing beside it tells of a surge.
    """
    p = np.clip(share, 1e-4, 1.0 - 1e-4)
    s = np.maximum(GATE_STRENGTH, (1.0 - p) / (p * (GATE_SPREAD + 1.0 / shape)))
    passed: Bools = (share >= NEARLY_ALL) & (count >= NEARLY_ALL * total)
    for i in np.flatnonzero(~passed):
        a, b = s[i] * p[i], s[i] * (1.0 - p[i])
        passed[i] = beta_binomial_tail(int(count[i]), int(total[i]), a, b) < GATE_P
    return passed


def beta_binomial_tail(k: int, n: int, a: float, b: float) -> float:
    """Return P(X >= k) for X ~ BetaBinomial(n, a, b), in milliseconds for n in the millions.

    What lies on either side of k is summed in parts of P(X = k), so that no gamma function is
    needed: their logarithms at n = 1.4 million leave only eight digits of what they differ by.
    """
    if k <= 0:
        return 1.0
    if k > n:
        return 0.0
    above = 1.0 + _beyond(k, n, a, b)
    below = _beyond(n - k, n, b, a)
    return 1.0 / (1.0 + below / above)


def _beyond(k: int, n: int, a: float, b: float) -> float:
    """Return P(X > k) / P(X = k) for X ~ BetaBinomial(n, a, b); infinite beyond 1e308.

    P(X = x + 1) / P(X = x) = (n - x)(x + a) / ((x + 1)(n - x - 1 + b)). It is under 1 where
    (n - x)(a - 1) < (x + 1)(b - 1), which is linear in x: so where it is under 1 at both ends of
    what is left, no term that is left is larger than the last one, and few are needed.
    """
    total, last, at, size = 0.0, 1.0, k, FIRST_TERMS
    falls_at_end = a - 1.0 < n * (b - 1.0)
    with np.errstate(over="ignore"):
        while at < n and total < np.inf:
            x = np.arange(at, min(at + size, n), dtype=np.float64)
            terms = last * np.cumprod((n - x) * (x + a) / ((x + 1.0) * (n - x - 1.0 + b)))
            total, last, at = total + float(terms.sum()), float(terms[-1]), at + len(x)
            falls = falls_at_end and (n - at) * (a - 1.0) < (at + 1) * (b - 1.0)
            if falls and last * (n - at) <= NO_MORE * (1.0 + total):
                break
            size = min(2 * size, MOST_TERMS)
    return total


def e_bh(evidence: Floats, *, family: int, q: float) -> Bools:
    """Return which hypotheses e-BH rejects at q: the k-th largest e-value must reach N / (q k)."""
    order = np.argsort(-evidence, kind="stable")
    ranked = evidence[order]
    needed = family / (q * np.arange(1, len(ranked) + 1))
    reached = np.flatnonzero(ranked >= needed)
    passed = np.zeros(len(evidence), dtype=np.bool_)
    if len(reached):
        passed[order[: reached[-1] + 1]] = True
    return passed
