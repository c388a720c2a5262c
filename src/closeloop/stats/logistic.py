"""Logistic regression, Platt's and temperature scaling: small, deterministic, on numpy and scipy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.special import expit, log_softmax, softmax

SLOPE_TOLERANCE = 1e-5

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Logistic:
    """Weights [features, classes] and bias [classes]; one class column for a yes-no question."""

    weights: Floats
    bias: Floats

    def scores(self, features: Any) -> Floats:
        """Return the log odds (one class) or unnormalised log probabilities [rows, classes]."""
        weights = self.weights
        if isinstance(features, np.ndarray) and features.dtype == np.float32:
            # A wide copy of the features would be twice their size.
            weights = weights.astype(np.float32)
        return np.asarray(features @ weights, np.float64) + self.bias


def packed(head: Logistic) -> npt.NDArray[np.float32]:
    """Return the weights and the bias of a yes-no question's head, to be stored [features + 1]."""
    return np.append(head.weights[:, 0], head.bias).astype(np.float32)


def unpacked(values: npt.NDArray[np.float32]) -> Logistic:
    """Return the head that `packed` wrote."""
    wide = values.astype(np.float64)
    return Logistic(weights=wide[:-1, None], bias=wide[-1:])


def fit_binary(
    features: Any, truth: npt.ArrayLike, *, l2: float = 1.0, prior: Floats | None = None
) -> Logistic:
    """Return the head of a yes-no question. `features` is dense or sparse [rows, features].

    Minimises the summed log loss plus l2/2 times the squared distance of the weights from `prior`
    (zero by default; the bias is free), by L-BFGS from there, so the same rows give the same head.
    """
    y = np.asarray(truth, np.float64)
    start = np.zeros(features.shape[1]) if prior is None else prior

    def loss(point: Floats) -> tuple[float, Floats]:
        weights, bias = point[:-1], point[-1]
        score = np.asarray(features @ weights).ravel() + bias
        residual = expit(score) - y
        away = weights - start
        value = np.logaddexp(0.0, score).sum() - y @ score + 0.5 * l2 * away @ away
        slope = np.asarray(features.T @ residual).ravel() + l2 * away
        return float(value), np.append(slope, residual.sum())

    best = _minimised(loss, np.append(start, 0.0), rounds=120)
    return Logistic(weights=best[:-1, None], bias=best[-1:])


def fit_classes(
    features: Any,
    classes: Ints,
    *,
    count: int,
    l2: float = 1.0,
    sample_weight: Floats | None = None,
) -> Logistic:
    """Return the head of a choice among `count` classes; one class number a row.

    `features` is dense or sparse [rows, features].
    """
    x = features if sparse.issparse(features) else np.asarray(features, np.float64)
    rows = x.shape[0]
    weight = np.ones(rows) if sample_weight is None else sample_weight
    truth = np.zeros((rows, count))
    truth[np.arange(rows), classes] = 1.0
    shape = (x.shape[1] + 1, count)

    def loss(point: Floats) -> tuple[float, Floats]:
        table = point.reshape(shape)
        score = x @ table[:-1] + table[-1]
        logs = log_softmax(score, axis=1)
        residual = (np.exp(logs) - truth) * weight[:, None]
        value = -(logs * truth * weight[:, None]).sum() + 0.5 * l2 * (table[:-1] ** 2).sum()
        slope = np.vstack([x.T @ residual + l2 * table[:-1], residual.sum(axis=0)])
        return float(value), slope.ravel()

    table = _minimised(loss, np.zeros(shape).ravel(), rounds=200).reshape(shape)
    return Logistic(weights=table[:-1], bias=table[-1])


@dataclass(frozen=True, slots=True)
class Platt:
    """Maps a log odds to a calibrated one: slope x + offset."""

    slope: float
    offset: float

    def probability(self, log_odds: Floats) -> Floats:
        """Return the calibrated probability."""
        return np.asarray(expit(self.slope * log_odds + self.offset), np.float64)


def fit_platt(log_odds: Floats, truth: npt.ArrayLike) -> Platt:
    """Return Platt's scaling, with his smoothed targets (Platt 1999), so that 0 and 1 stay off."""
    y = np.asarray(truth, np.float64)
    yes, no = y.sum(), len(y) - y.sum()
    target = np.where(y > 0.5, (yes + 1.0) / (yes + 2.0), 1.0 / (no + 2.0))
    head = fit_binary(np.asarray(log_odds, np.float64)[:, None], target, l2=1e-6)
    return Platt(slope=float(head.weights[0, 0]), offset=float(head.bias[0]))


def fit_temperature(scores: Floats, classes: Ints) -> float:
    """Return the temperature in [.05, 20] at which softmax(scores / T) has the least log loss."""
    # Takes a quarter of a second, which most commands have no use for.
    from scipy.optimize import minimize_scalar

    rows = np.arange(len(classes))

    def loss(log_t: float) -> float:
        logs = log_softmax(scores / np.exp(log_t), axis=1)
        return float(-logs[rows, classes].mean())

    best = minimize_scalar(loss, bounds=(np.log(0.05), np.log(20.0)), method="bounded")
    return float(np.exp(best.x))


def probabilities(scores: Floats, *, temperature: float) -> Floats:
    """Return softmax(scores / temperature) [rows, classes]."""
    return np.asarray(softmax(scores / temperature, axis=1), np.float64)


def log_odds(probability: Floats) -> Floats:
    """Return the log odds of probabilities, kept within 1e-6 of 0 and 1."""
    p = np.clip(probability, 1e-6, 1.0 - 1e-6)
    return np.asarray(np.log(p) - np.log1p(-p), np.float64)


def _minimised(
    loss: Callable[[Floats], tuple[float, Floats]], start: Floats, *, rounds: int
) -> Floats:
    """Return where a smooth convex loss is least, by limited-memory BFGS from `start`.

    Nocedal & Wright (2006), algorithm 7.4 with ten pairs and backtracking. On a busy machine
    scipy's takes 40 ms a round for 32,000 weights, this one under 1.
    """
    point = start
    value, slope = loss(point)
    pairs: list[tuple[Floats, Floats, float]] = []
    for _ in range(rounds):
        step = -_scaled(slope, pairs)
        descent = _dot(slope, step)
        if np.abs(slope).max() < SLOPE_TOLERANCE or descent >= 0:
            break
        length = 1.0 if pairs else min(1.0, 1.0 / float(np.abs(slope).sum()))
        for _ in range(30):
            fresh = point + length * step
            fresh_value, fresh_slope = loss(fresh)
            if fresh_value <= value + 1e-4 * length * descent:
                break
            length *= 0.5
        else:
            break
        moved, turned = fresh - point, fresh_slope - slope
        curvature = _dot(moved, turned)
        if curvature > 1e-12:
            pairs = [*pairs[-9:], (moved, turned, curvature)]
        gained = value - fresh_value
        point, value, slope = fresh, fresh_value, fresh_slope
        if gained <= 1e-9 * max(abs(value), 1.0):
            break
    return point


def _scaled(slope: Floats, pairs: list[tuple[Floats, Floats, float]]) -> Floats:
    """Return the slope times the inverse curvature that the pairs tell of (two-loop recursion)."""
    direction = slope.copy()
    shares = []
    for moved, turned, curvature in reversed(pairs):
        share = _dot(moved, direction) / curvature
        direction -= share * turned
        shares.append(share)
    if pairs:
        _, turned, curvature = pairs[-1]
        direction *= curvature / _dot(turned, turned)
    for (moved, turned, curvature), share in zip(pairs, reversed(shares), strict=True):
        direction += (share - _dot(turned, direction) / curvature) * moved
    return direction


def _dot(one: Floats, other: Floats) -> float:
    # Not "@": BLAS wakes its threads for each, which costs 2 ms where other programs run.
    return float(np.einsum("i,i->", one, other))
