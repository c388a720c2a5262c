"""False alarms and power of the series detector on simulated products.

    python benchmarks/detector.py [--products 100] [--allowed 1.0]

A product has 20 series of .05 to 4 complaints a day with a daily rhythm, and twice as much praise.
Each is run for 200 days; the first 60 are not judged. Alarms of a series within a week are one
problem. Power is on one series of a product with 50.
"""

from __future__ import annotations

import argparse
from math import log
from typing import NamedTuple

import numpy as np

from closeloop.stats.baseline import Floats, Ints
from closeloop.stats.scan import Alarm, scan
from closeloop.stats.series import SeriesData

DAYS, JUDGED_FROM = 200, 60
FIRST_DAY = 19_000
SERIES = 20
WEEK_H = 168
SURGE_DAY = 150
PERSISTENCE = 0.8
"""What of an hour's burst is carried over to the next."""
RHYTHM = 1.0 + 0.7 * np.sin((np.arange(24) - 9.0) * np.pi / 12.0)


class World(NamedTuple):
    """What goes on in a product.

    Days of a series vary by `phi`, its hours by `bursts` (sd of the logarithm), one weekday of a fifth
    of the series by `weekly`, everything by `surge` for some days.
    """

    name: str
    phi: float = 0.0
    surge: float = 1.0
    surge_days: int = 0
    bursts: float = 0.0
    weekly: float = 1.0


WORLDS = (
    World("quiet"),
    World("overdispersed (phi .3 a day)", phi=0.3),
    World("holiday: everything x2.5 for 4 days", surge=2.5, surge_days=4),
    World("rating prompt: everything x4 for a day", surge=4.0, surge_days=1),
)


def main() -> None:
    """Print the tables of false alarms and of power."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--products", type=int, default=100)
    parser.add_argument("--allowed", type=float, default=1.0, help="false alarms a product-month")
    options = parser.parse_args()
    _print_false_alarms(options.products, allowed=options.allowed)
    _print_power(options.products)


def _print_false_alarms(products: int, *, allowed: float) -> None:
    months = products * (DAYS - JUDGED_FROM) / 30
    print(
        f"{products} products of {SERIES} series, {allowed:g} false alarms a product-month allowed\n"
    )
    print(
        "| world | problems a product-month | a series-month | series raised in the surge | e-BH |"
    )
    print("|---|---|---|---|---|")
    for world in WORLDS:
        raised = controlled = surged = 0
        for seed in range(products):
            rng = np.random.default_rng(seed)
            rates = np.exp(rng.uniform(log(0.05), log(4.0), SERIES))
            problems = _problems(_scan(_counts(rng, rates, world), family=SERIES, allowed=allowed))
            raised += len(problems)
            controlled += sum(p.fdr_pass for p in problems)
            surged += sum(0 <= p.hour // 24 - FIRST_DAY - SURGE_DAY <= 5 for p in problems)
        in_surge = f"{surged / products / SERIES:.3f}" if world.surge_days else ""
        print(
            f"| {world.name} | {raised / months:.3f} | {raised / months / SERIES:.4f} "
            f"| {in_surge} | {controlled / months:.3f} |"
        )


def _print_power(products: int) -> None:
    print(
        "\n| base a day | rise | limit: complaints | found with twice as many | median found at |"
    )
    print("|---|---|---|---|---|")
    for base, rise in ((0.05, 25.0), (0.1, 25.0), (0.3, 10.0), (1.0, 5.0), (1.0, 10.0), (4.0, 3.0)):
        limit = log(720.0 * 50) / (log(rise) - 1.0 + 1.0 / rise)
        needed = []
        for seed in range(products):
            found = _complaints_until_alarm(seed, base=base, rise=rise, most=2.0 * limit)
            needed.append(found)
        share = float(np.isfinite(needed).mean())
        median = float(np.median(needed))
        print(f"| {base} | x{rise:.0f} | {limit:.1f} | {share:.2f} | {median:.0f} |")


def _counts(
    rng: np.random.Generator,
    rates: Floats,
    world: World,
    *,
    days: int = DAYS,
    surge_day: int = SURGE_DAY,
) -> Ints:
    """Return hourly counts [series + 1, hours], praise last."""
    level = np.ones(days)
    level[surge_day : surge_day + world.surge_days] = world.surge
    all_rates = np.append(rates, 2.0 * rates.sum())
    daily = np.outer(all_rates, level)
    daily[: max(len(rates) // 5, 1), ::7] *= world.weekly
    if world.phi:
        daily *= rng.gamma(1.0 / world.phi, world.phi, daily.shape)
    hourly = (daily[:, :, None] * (RHYTHM / 24.0)).reshape(len(all_rates), -1)
    if world.bursts:
        moved = rng.normal(size=hourly.shape)
        for hour in range(1, hourly.shape[1]):
            moved[:, hour] *= np.sqrt(1.0 - PERSISTENCE**2)
            moved[:, hour] += PERSISTENCE * moved[:, hour - 1]
        hourly *= np.exp(world.bursts * moved - world.bursts**2 / 2.0)
    return np.asarray(rng.poisson(hourly), dtype=np.int64)


def _scan(
    counts: Ints, *, family: int, allowed: float = 1.0, since: int = JUDGED_FROM * 24
) -> tuple[Alarm, ...]:
    hour, series = np.nonzero(counts[:-1].T)
    found = scan(
        SeriesData(
            hours=hour + FIRST_DAY * 24,
            weight=counts[series, hour].astype(np.float64),
            all_hours=np.arange(counts.shape[1]) + FIRST_DAY * 24,
            all_weight=counts.sum(axis=0).astype(np.float64),
            member_row=np.arange(len(hour)),
            member_series=series,
            testable=np.ones(len(hour), dtype=np.bool_),
            ready=np.zeros(len(counts) - 1, dtype=np.int64),
        ),
        since=FIRST_DAY * 24 + since,
        until=FIRST_DAY * 24 + counts.shape[1],
        first_day=FIRST_DAY,
        family=family,
        false_alarms=allowed,
        q=0.1,
    )
    return found.alarms


def _problems(alarms: tuple[Alarm, ...]) -> list[Alarm]:
    """Return the first alarm of each problem: alarms of a series within a week are one."""
    begun: list[Alarm] = []
    last: dict[int, int] = {}
    for alarm in alarms:
        if alarm.hour - last.get(alarm.series, -WEEK_H) >= WEEK_H:
            begun.append(alarm)
        last[alarm.series] = alarm.hour
    return begun


def _complaints_until_alarm(seed: int, *, base: float, rise: float, most: float) -> float:
    """Return after how many complaints of a rise the series is raised; infinite where it isn't."""
    rng = np.random.default_rng(seed)
    rates = np.append(base, np.exp(rng.uniform(log(0.05), log(4.0), SERIES - 1)))
    counts = _counts(rng, rates, World("quiet"))
    start = SURGE_DAY * 24 + int(rng.integers(24))
    hours = np.arange(start, counts.shape[1])
    extra = rng.poisson(base * (rise - 1.0) * RHYTHM[hours % 24] / 24.0)
    counts[0, start:] += np.asarray(extra, dtype=np.int64)
    seen = np.cumsum(counts[0, start:])
    counts[0, start:][seen > most] = 0
    for alarm in _scan(counts, family=50, since=start):
        at = alarm.hour - FIRST_DAY * 24 - start
        if alarm.series == 0 and at >= 0:
            return float(seen[at])
    return float("inf")


if __name__ == "__main__":
    main()
