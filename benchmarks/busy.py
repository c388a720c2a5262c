"""False alarms and delays in simulated products whose complaints come by the dozen an hour.

    python benchmarks/busy.py [--series-months 300]

A product has 1, 5 or 20 series of 60 to 600 complaints a day (each 300 where it is one) with a daily
rhythm, and twice as much praise. What varies beyond chance: days (gamma, phi .3), hours (logarithm, sd
.5, eight tenths of it carried over from hour to hour), both, one weekday (twice as much of a fifth of
the series, one at least), or everything at once (a holiday, a rating prompt). Each product is run for
80 days from its first, with one false alarm a product and month allowed. Alarms of a series within a
week are one problem; "would be a ticket": passed e-BH at q = .1. Rises last two days in one of the
series, after sixty calm ones.
"""

from __future__ import annotations

import argparse

import numpy as np

from closeloop.stats.baseline import Floats
from detector import FIRST_DAY, RHYTHM, World, _counts, _problems, _scan

DAYS, YOUNG_DAYS, SURGE_DAY, RISE_DAY = 80, 17, 60, 60
WORLDS = (
    World("chance only"),
    World("days vary (phi .3)", phi=0.3),
    World("hours come in bursts", bursts=0.5),
    World("days vary and hours come in bursts", phi=0.3, bursts=0.5),
    World("one weekday x2", weekly=2.0),
    World("holiday, everything x2.5 for 4 days", surge=2.5, surge_days=4),
    World("rating prompt, everything x4 for a day", surge=4.0, surge_days=1),
)
RISES = ((1.5, 14), (2.0, 14), (2.0, 2), (3.0, 14), (3.0, 2), (5.0, 2))


def main() -> None:
    """Print false alarms by world and size of product, then how soon rises are found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series-months", type=int, default=300)
    options = parser.parse_args()
    print(
        "| world | series | problems a product-month, first 17 days | later | would be tickets "
        "| series raised in the surge |\n|---|---|---|---|---|---|"
    )
    for world in WORLDS:
        for size in (1, 5, 20):
            products = max(1, round(options.series_months * 30 / DAYS / size))
            print(_false_alarms(world, size, products), flush=True)
    print(
        "\n| world | series | rise | begins at | found | median hours |\n|---|---|---|---|---|---|"
    )
    for world in WORLDS[:3]:
        for size in (1, 20):
            for rise, at in RISES:
                print(_rise(world, size, rise, at, products=max(12, 40 // size)), flush=True)


def _false_alarms(world: World, size: int, products: int) -> str:
    young = later = tickets = surged = 0
    for seed in range(products):
        rng = np.random.default_rng(seed)
        counts = _counts(rng, _rates(rng, size), world, days=DAYS, surge_day=SURGE_DAY)
        for problem in _problems(_scan(counts, family=size, since=0)):
            day = problem.hour // 24 - FIRST_DAY
            young += day < YOUNG_DAYS
            later += day >= YOUNG_DAYS
            tickets += problem.fdr_pass
            surged += 0 <= day - SURGE_DAY <= 5
    # Nothing is looked at before the fifth day.
    looked = products * (YOUNG_DAYS - 4) / 30, products * (DAYS - YOUNG_DAYS) / 30
    in_surge = f"{surged / products / size:.3f}" if world.surge_days else ""
    return (
        f"| {world.name} | {size} | {young / looked[0]:.2f} | {later / looked[1]:.2f} "
        f"| {tickets / sum(looked):.2f} | {in_surge} |"
    )


def _rise(world: World, size: int, rise: float, at: int, *, products: int) -> str:
    delays = []
    for seed in range(products):
        rng = np.random.default_rng(seed)
        rates = _rates(rng, size)
        rates[0] = 300.0
        counts = _counts(rng, rates, world, days=DAYS)
        start = RISE_DAY * 24 + at
        usual = rates[0] / 24.0 * np.tile(np.roll(RHYTHM, -at), 2)
        counts[0, start : start + 48] += rng.poisson((rise - 1.0) * usual)
        hours = [
            a.hour - FIRST_DAY * 24 - start
            for a in _scan(counts, family=size, since=start)
            if a.series == 0 and a.hour < FIRST_DAY * 24 + start + 48
        ]
        delays.append(min(hours) + 1.0 if hours else np.inf)
    found, median = float(np.isfinite(delays).mean()), float(np.median(delays))
    said = f"{median:.0f}" if np.isfinite(median) else ""
    return f"| {world.name} | {size} | x{rise:g} | {at} h | {found:.2f} | {said} |"


def _rates(rng: np.random.Generator, size: int) -> Floats:
    if size == 1:
        return np.array([300.0])
    return np.asarray(np.exp(rng.uniform(np.log(60.0), np.log(600.0), size)))


if __name__ == "__main__":
    main()
