"""Lays out a scenario in time: how many texts of each origin and theme are expected, and come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from closeloop.testing.simulator.phrases import themes
from closeloop.testing.simulator.traffic import (
    DAY_NOISE,
    THEME_NOISE,
    Floats,
    Ints,
    day_noise,
    profile,
    season,
    version_shares,
)
from closeloop.testing.simulator.world import Campaign, Effect, ProductModel, Scenario

Shares = Mapping[tuple[str, str], tuple[list[str], Floats]]
"""Versions and their shares of users, [hours, versions], by product and platform."""


@dataclass(frozen=True, slots=True)
class Stream:
    """Texts of one origin: the ordinary days of a product, an effect, or a campaign.

    `expected` and `counts` are [hours, themes].
    """

    product: ProductModel
    themes: tuple[str, ...]
    expected: Floats
    counts: Ints
    effect: Effect | None = None
    campaign: Campaign | None = None

    @property
    def cause(self) -> str | None:
        """What the truth names as the cause of these texts."""
        origin = self.effect or self.campaign
        return None if origin is None else origin.cause


@dataclass(frozen=True, slots=True)
class Layout:
    """A scenario laid out over `hours` hours from `start`."""

    scenario: Scenario
    start: datetime
    hours: int
    rates: Floats
    shares: Shares
    streams: tuple[Stream, ...]

    def usual(self, product: str, categories: Sequence[str]) -> Floats:
        """Return how many texts of these categories a product's ordinary days bring, [hours]."""
        known = themes()
        (stream,) = (s for s in self.streams if s.cause is None and s.product.product_id == product)
        wanted = [known[name].category in categories for name in stream.themes]
        return np.asarray(stream.expected[:, wanted].sum(axis=1))


def lay_out(
    scenario: Scenario,
    *,
    start: datetime,
    hours: int,
    per_day: float,
    rng: np.random.Generator,
) -> Layout:
    """Return the layout with what comes drawn by `rng`; `per_day` scales effects too."""
    days = -(-hours // 24)
    rates = (profile(start.weekday(), days) * season(start, days * 24))[:hours]
    shares = {
        (product.product_id, platform): _versions(scenario, product, platform, hours)
        for product in scenario.products
        for platform in product.platforms
    }
    scale = per_day / scenario.per_day
    streams = [_ordinary(scenario, p, rates * per_day * p.share, rng) for p in scenario.products]
    for effect in scenario.effects:
        rate = rates * effect.per_day * scale * _exposed(scenario, effect, hours, shares)
        streams.append(_special(scenario.product(effect.product), effect, rate, rng))
    for campaign in scenario.campaigns:
        rate = rates * campaign.per_day * scale * _during(campaign.day, campaign.end_day, hours)
        streams.append(_special(scenario.product(campaign.product), campaign, rate, rng))
    return Layout(scenario, start, hours, rates, shares, tuple(streams))


def _versions(
    scenario: Scenario, product: ProductModel, platform: str, hours: int
) -> tuple[list[str], Floats]:
    if product.base_version is None:
        return [""], np.ones((hours, 1))
    own = [r for r in scenario.releases if r.product == product.product_id]
    return version_shares(own, base_version=product.base_version, platform=platform, hours=hours)


def _ordinary(
    scenario: Scenario, product: ProductModel, rate: Floats, rng: np.random.Generator
) -> Stream:
    surges = [s for s in scenario.surges if s.product == product.product_id]
    names = tuple(dict.fromkeys([*product.themes, *(t for s in surges for t in s.themes or ())]))
    expected = rate[:, None] * _weights(product.themes, names)
    for shift in scenario.shifts:
        if shift.product == product.product_id:
            inside = _during(shift.day, shift.end_day, rate.size) > 0
            touched = np.isin(names, shift.themes)
            expected[np.ix_(inside, touched)] *= shift.factor
    for surge in surges:
        inside = _during(surge.day, surge.end_day, rate.size) > 0
        if surge.themes is not None:
            expected[inside] = rate[inside, None] * _weights(surge.themes, names)
        expected[inside] *= surge.factor
    noise = day_noise(rate.size, 1, DAY_NOISE, rng) * day_noise(
        rate.size, len(names), THEME_NOISE, rng
    )
    return Stream(product, names, expected, rng.poisson(expected * noise))


def _special(
    product: ProductModel, origin: Effect | Campaign, rate: Floats, rng: np.random.Generator
) -> Stream:
    names = tuple(origin.themes)
    expected = rate[:, None] * _weights(origin.themes, names)
    counts = rng.poisson(expected * day_noise(rate.size, 1, DAY_NOISE, rng))
    if isinstance(origin, Effect):
        return Stream(product, names, expected, counts, effect=origin)
    return Stream(product, names, expected, counts, campaign=origin)


def _weights(weights: Mapping[str, float], names: Sequence[str]) -> Floats:
    drawn = np.array([weights.get(name, 0.0) for name in names])
    return np.asarray(drawn / drawn.sum())


def _days(hours: int) -> Floats:
    """Return when each hour begins, in days: what comes in it comes after that."""
    return (np.arange(hours) + 1e-6) / 24


def _during(day: float, end_day: float | None, hours: int) -> Floats:
    time = _days(hours)
    return np.where((time >= day) & (time < (np.inf if end_day is None else end_day)), 1.0, 0.0)


def _exposed(scenario: Scenario, effect: Effect, hours: int, shares: Shares) -> Floats:
    """Return the share of the product's users whom an effect hits, [hours]."""
    exposed = _during(effect.day, effect.end_day, hours)
    if effect.grows_days:
        exposed = exposed * np.clip((_days(hours) - effect.day) / effect.grows_days, 0, 1)
    if effect.flag is not None:
        flag = next(c for c in scenario.changes if c.name == effect.flag)
        exposed = exposed * flag.share * _during(flag.day, flag.end_day, hours)
    if effect.version is None:
        return exposed
    on_version = np.zeros(hours)
    for platform, weight in scenario.product(effect.product).platforms.items():
        versions, share = shares[effect.product, platform]
        if effect.version in versions and effect.platform in (None, platform):
            on_version += weight * share[:, versions.index(effect.version)]
    return exposed * on_version
