"""closeloop's detector beside plain rules and a public detector, on the same simulated series.

    python benchmarks/detectors_compared.py [--products 6] [--peer PYTHON]

The worlds and rises of detector.py. "+20%": the last six hours against the mean of the same six
hours in the 28 days before; "3 sigma": against that mean and three standard deviations. PYTHON has
ADTK 0.6.2 (requirements-adtk.txt), whose SeasonalAD is fitted to the first 60 days. Alarms of a
series within 24 hours are one. Found: within twice the complaints of the limit.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Callable
from math import log
from pathlib import Path

import numpy as np
import numpy.typing as npt

from closeloop.stats.baseline import Ints
from detector import (
    DAYS,
    FIRST_DAY,
    JUDGED_FROM,
    RHYTHM,
    SERIES,
    SURGE_DAY,
    WORLDS,
    World,
    _counts,
    _scan,
)

Bools = npt.NDArray[np.bool_]
Rule = Callable[[Ints], Bools]
MEMORY_DAYS = 28
APART_H = 24
FAMILY = 50
RISES = ((0.1, 25.0), (0.3, 10.0), (1.0, 10.0), (4.0, 3.0))


def main() -> None:
    """Print false alarms a series-month in each world, then what is found of each rise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--products", type=int, default=6)
    parser.add_argument("--peer", help="a Python that has ADTK")
    options = parser.parse_args()
    rules: dict[str, Rule] = {"+20% in six hours": plus_twenty, "3 sigma": three_sigma}
    if options.peer:
        rules["ADTK 0.6.2 SeasonalAD"] = lambda counts: _peer(counts, options.peer)
    rules["closeloop"] = _closeloop
    print("| detector | " + " | ".join(w.name for w in WORLDS) + " |")
    print("|---" * (len(WORLDS) + 1) + "|")
    months = options.products * SERIES * (DAYS - JUDGED_FROM) / 30
    for name, rule in rules.items():
        cells = [f"{_false_alarms(rule, w, options.products) / months:.3f}" for w in WORLDS]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
    print("\n| detector | " + " | ".join(f"{b:g} a day x{r:g}" for b, r in RISES) + " |")
    print("|---" * (len(RISES) + 1) + "|")
    for name, rule in rules.items():
        cells = [f"{_found(rule, b, r, 3 * options.products):.2f}" for b, r in RISES]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def plus_twenty(counts: Ints) -> Bools:
    """Return where six hours hold 20% more than the mean of the same hours in 28 days."""
    six, mean, _ = _same_hours(counts)
    return np.asarray((six > 1.2 * mean) & (counts[:-1] > 0))


def three_sigma(counts: Ints) -> Bools:
    """Return where six hours hold more than the mean and three standard deviations."""
    six, mean, deviation = _same_hours(counts)
    return np.asarray((six > mean + 3.0 * deviation) & (counts[:-1] > 0))


def _same_hours(counts: Ints) -> tuple[npt.NDArray[np.float64], ...]:
    """Return six-hour counts [series, hours], and mean and deviation of those of 28 days before."""
    own = counts[:-1].astype(float)
    total = np.concatenate([np.zeros((len(own), 1)), np.cumsum(own, axis=1)], axis=1)
    end = np.arange(own.shape[1]) + 1
    six = total[:, end] - total[:, np.maximum(end - 6, 0)]
    by_day = six.reshape(len(own), -1, 24)
    mean, deviation = np.full_like(by_day, np.inf), np.zeros_like(by_day)
    for day in range(MEMORY_DAYS, by_day.shape[1]):
        before = by_day[:, day - MEMORY_DAYS : day]
        mean[:, day], deviation[:, day] = before.mean(axis=1), before.std(axis=1)
    return six, mean.reshape(six.shape), deviation.reshape(six.shape)


def _closeloop(counts: Ints) -> Bools:
    alarms = np.zeros(counts[:-1].shape, dtype=np.bool_)
    for alarm in _scan(counts, family=FAMILY):
        alarms[alarm.series, alarm.hour - FIRST_DAY * 24] = True
    return alarms


def _peer(counts: Ints, python: str) -> Bools:
    with tempfile.TemporaryDirectory() as folder:
        given, answer = Path(folder) / "counts.npy", Path(folder) / "alarms.npy"
        np.save(given, counts[:-1])
        script = Path(__file__).with_name("adtk_peer.py")
        command = [python, str(script), str(given), str(answer), str(JUDGED_FROM * 24)]
        subprocess.run(command, check=True)
        return np.asarray(np.load(answer))


def _false_alarms(rule: Rule, world: World, products: int) -> int:
    raised = 0
    for seed in range(products):
        rng = np.random.default_rng(seed)
        rates = np.exp(rng.uniform(log(0.05), log(4.0), SERIES))
        alarms = rule(_counts(rng, rates, world))[:, JUDGED_FROM * 24 :]
        for own in alarms:
            hours = np.flatnonzero(own)
            raised += int((np.diff(hours, prepend=-APART_H - 1) > APART_H).sum())
    return raised


def _found(rule: Rule, base: float, rise: float, runs: int) -> float:
    limit = log(720.0 * FAMILY) / (log(rise) - 1.0 + 1.0 / rise)
    found = 0
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        rates = np.append(base, np.exp(rng.uniform(log(0.05), log(4.0), SERIES - 1)))
        counts = _counts(rng, rates, World("quiet"))
        start = SURGE_DAY * 24 + int(rng.integers(24))
        hours = np.arange(start, counts.shape[1])
        counts[0, start:] += rng.poisson(base * (rise - 1.0) * RHYTHM[hours % 24] / 24.0)
        counts[0, start:][np.cumsum(counts[0, start:]) > 2.0 * limit] = 0
        # The others look at each series by itself; closeloop needs the product around it.
        given = counts if rule is _closeloop else counts[[0, -1]]
        found += bool(rule(given)[0, start:].any())
    return found / runs


if __name__ == "__main__":
    main()
