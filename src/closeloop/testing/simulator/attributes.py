"""Draws what a row carries beside its text: version, platform, region, order, author, stars."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from closeloop.testing.simulator.phrases import ENGLISH, themes
from closeloop.testing.simulator.traffic import Floats, Ints
from closeloop.testing.simulator.world import Effect, ProductModel
from closeloop.testing.simulator.writing import language_for

NO_VERSION_SHARE = 0.12
"""Reviews often come without a version: the store names it only where it knows the device."""

WRONG_STARS_SHARE = 0.03
RETURNING_SHARE = 0.06

REGIONS: dict[str, tuple[float, str, dict[str, float]]] = {
    # region: share, the country's own language, shares of languages
    "IN": (0.34, "en", {"en": 0.75, "hi-Latn": 0.25}),
    "US": (0.18, "en", {"en": 0.96, "es": 0.04}),
    "GB": (0.16, "en", {"en": 1.0}),
    "DE": (0.14, "de", {"de": 0.7, "en": 0.3}),
    "FR": (0.10, "fr", {"fr": 0.75, "en": 0.25}),
    "ES": (0.08, "es", {"es": 0.75, "en": 0.25}),
}
CENTRES = {
    "IN": "pune",
    "US": "reno",
    "GB": "leeds",
    "DE": "leipzig",
    "FR": "leipzig",
    "ES": "leipzig",
}
TIERS = {"free": 0.72, "plus": 0.22, "gold": 0.06}
DEVICES = {
    "android": ("Pixel 7", "Galaxy S22", "Redmi Note 11", "OnePlus 9", "Moto G"),
    "ios": ("iPhone 13", "iPhone 12", "iPhone SE", "iPad"),
    "web": ("Chrome", "Firefox", "Safari"),
}
ARTICLES = 60
_STARS = {
    "bad": (0.62, 0.24, 0.10, 0.03, 0.01),
    "good": (0.0, 0.01, 0.04, 0.25, 0.70),
    "wish": (0.03, 0.10, 0.27, 0.35, 0.25),
    "neutral": (0.05, 0.12, 0.48, 0.22, 0.13),
}
_HANDLES = ("asha", "jo", "marie", "li", "fatima", "tom", "priya", "carlos", "emma", "noah", "ines")


@dataclass(frozen=True, slots=True)
class Drawn:
    """The attributes of a block of rows, a list a column."""

    languages: Sequence[str]
    columns: Mapping[str, Sequence[Any]]

    def row(self, position: int) -> dict[str, Any]:
        """Return one row's attributes."""
        return {name: values[position] for name, values in self.columns.items()}


def draw(
    product: ProductModel,
    hours: Ints,
    theme_names: Sequence[str],
    effect: Effect | None,
    *,
    shares: Mapping[tuple[str, str], tuple[list[str], Floats]],
    rng: np.random.Generator,
) -> Drawn:
    """Return the attributes of rows at these hours; an effect fixes those that it names."""
    count = hours.size
    platforms = _fixed(effect.platform if effect else None, count) or _pick(
        product.platforms, count, rng
    )
    regions = _fixed(effect.region if effect else None, count) or _regions(effect, count, rng)
    languages = [
        language_for(theme, language)
        for theme, language in zip(theme_names, _languages(regions, rng), strict=True)
    ]
    channels = _pick(product.channels, count, rng)
    columns: dict[str, Sequence[Any]] = {
        "rating": _stars(theme_names, channels, rng),
        "author": _authors(product, count, rng),
        "product": [product.product_id] * count,
        "version": _versions(product, platforms, hours, effect, shares, rng),
        "platform": platforms,
        "device": [
            DEVICES[p][int(u * len(DEVICES[p]))]
            for p, u in zip(platforms, rng.random(count), strict=True)
        ],
        "channel": channels,
        "locale": [
            f"{'hi' if language == 'hi-Latn' else language}-{region}"
            for language, region in zip(languages, regions, strict=True)
        ],
        "region": regions,
        "customer_tier": _pick(TIERS, count, rng),
        "flag_states": _flags(count, rng),
    }
    if product.sells:
        columns |= _orders(effect, regions, channels, rng)
    return Drawn(languages, columns)


def _fixed(value: str | None, count: int) -> list[str] | None:
    return None if value is None else [value] * count


def _pick(weights: Mapping[str, float], count: int, rng: np.random.Generator) -> list[str]:
    names = list(weights)
    chance = np.array(list(weights.values()))
    return [names[i] for i in rng.choice(len(names), count, p=chance / chance.sum())]


def _regions(effect: Effect | None, count: int, rng: np.random.Generator) -> list[str]:
    wanted = effect.fulfilment_centre if effect else None
    weights = {r: v[0] for r, v in REGIONS.items() if wanted in (None, CENTRES[r])}
    return _pick(weights, count, rng)


def _languages(regions: Sequence[str], rng: np.random.Generator) -> list[str]:
    drawn = []
    for region, chance in zip(regions, rng.random(len(regions)), strict=True):
        left = float(chance)
        language = ENGLISH
        for language, share in REGIONS[region][2].items():  # noqa: B007
            left -= share
            if left < 0:
                break
        drawn.append(language)
    return drawn


def _versions(
    product: ProductModel,
    platforms: Sequence[str],
    hours: Ints,
    effect: Effect | None,
    shares: Mapping[tuple[str, str], tuple[list[str], Floats]],
    rng: np.random.Generator,
) -> list[str | None]:
    chance, missing = rng.random(hours.size), rng.random(hours.size) < NO_VERSION_SHARE
    drawn: list[str | None] = [None] * hours.size
    if product.base_version is None:
        return drawn
    cumulative = {
        platform: (shares[product.product_id, platform][0],
                   shares[product.product_id, platform][1].cumsum(axis=1))
        for platform in product.platforms
    }  # fmt: skip
    for i, platform in enumerate(platforms):
        if missing[i]:
            continue
        if effect is not None and effect.version is not None:
            drawn[i] = effect.version
            continue
        versions, upto = cumulative[platform]
        place = int(np.searchsorted(upto[hours[i]], chance[i] * upto[hours[i], -1]))
        drawn[i] = versions[min(place, len(versions) - 1)]
    return drawn


def _stars(
    theme_names: Sequence[str], channels: Sequence[str], rng: np.random.Generator
) -> list[int | None]:
    known = themes()
    upto = {tone: np.cumsum(shares) for tone, shares in _STARS.items()}
    chance, wrong = rng.random(len(theme_names)), rng.random(len(theme_names))
    stars: list[int | None] = []
    for i, theme in enumerate(theme_names):
        drawn = 1 + min(int(np.searchsorted(upto[known[theme].tone], chance[i])), 4)
        drawn = 6 - drawn if wrong[i] < WRONG_STARS_SHARE else drawn
        stars.append(drawn if channels[i] == "review" else None)
    return stars


def _authors(product: ProductModel, count: int, rng: np.random.Generator) -> list[str]:
    everyone = rng.integers(0, product.users, count)
    returning = rng.integers(0, max(1, product.users // 500), count)
    numbers = np.where(rng.random(count) < RETURNING_SHARE, returning, everyone)
    return [f"{_HANDLES[n % len(_HANDLES)]}_{n}" for n in numbers.tolist()]


def _flags(count: int, rng: np.random.Generator) -> list[str | None]:
    on = json.dumps({"new-home-banner": "on"})
    off = json.dumps({"new-home-banner": "off"})
    return [on if u < 0.5 else off for u in rng.random(count).tolist()]


def _orders(
    effect: Effect | None,
    regions: Sequence[str],
    channels: Sequence[str],
    rng: np.random.Generator,
) -> dict[str, list[Any]]:
    count = len(regions)
    named = rng.random(count) < np.where(np.array(channels) == "review", 0.35, 0.9)
    named |= effect is not None and (effect.sku is not None or effect.fulfilment_centre is not None)
    numbers, values = rng.integers(10**6, 10**7, count), rng.lognormal(3.6, 0.7, count)
    # A few articles sell most: shares fall with the square root of the rank.
    weights = 1 / np.sqrt(np.arange(1, ARTICLES + 1))
    articles = rng.choice(ARTICLES, count, p=weights / weights.sum())
    fixed = effect.sku if effect else None
    return {
        "order_ref": [f"ORD-{n}" if k else None for n, k in zip(numbers, named, strict=True)],
        "order_value": [
            round(float(v), 2) if k else None for v, k in zip(values, named, strict=True)
        ],
        "sku": [
            (fixed or f"SKU-{1000 + a}") if k else None
            for a, k in zip(articles, named, strict=True)
        ],
        "fulfilment_centre": [
            CENTRES[r] if k else None for r, k in zip(regions, named, strict=True)
        ],
    }
