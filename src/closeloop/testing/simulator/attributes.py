"""Draws what a row carries beside its text: version, platform, region, order, author, stars."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from closeloop.testing.simulator.phrases import ENGLISH, themes
from closeloop.testing.simulator.streams import Layout, Stream
from closeloop.testing.simulator.traffic import Ints
from closeloop.testing.simulator.world import Campaign, Effect, OtherChange, ProductModel
from closeloop.testing.simulator.writing import language_for

Objects = npt.NDArray[np.object_]

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


def draw(
    layout: Layout,
    stream: Stream,
    hours: Ints,
    theme_names: Sequence[str],
    rng: np.random.Generator,
) -> Drawn:
    """Return the attributes of a stream's rows at these hours; its origin fixes those it names."""
    count = hours.size
    product, effect, campaign = stream.product, stream.effect, stream.campaign
    platforms = _fixed(effect.platform if effect else None, count)
    platforms = _pick(product.platforms, count, rng) if platforms is None else platforms
    regions = _fixed(effect.region if effect else None, count)
    regions = _regions(effect, count, rng) if regions is None else regions
    languages = _languages(regions, theme_names, rng)
    channels = _channels(product, effect, campaign, count, rng)
    versions = (
        np.full(count, None, dtype=object)
        if campaign is not None
        else _versions(layout, product, platforms, hours, effect, rng)
    )
    columns: dict[str, Sequence[Any]] = {
        "rating": _stars(theme_names, channels, campaign, rng),
        "author": _authors(product, campaign, count, rng),
        "product": [product.product_id] * count,
        "version": versions.tolist(),
        "platform": platforms.tolist(),
        "device": _devices(platforms, rng).tolist(),
        "channel": channels.tolist(),
        "locale": [
            f"{'hi' if language == 'hi-Latn' else language}-{region}"
            for language, region in zip(languages, regions, strict=True)
        ],
        "region": regions.tolist(),
        "customer_tier": _pick(TIERS, count, rng).tolist(),
        "flag_states": _flags(layout, product, effect, hours, rng),
    }
    if product.sells:
        columns |= _orders(effect, regions, channels, rng)
    return Drawn(languages, columns)


def _fixed(value: str | None, count: int) -> Objects | None:
    return None if value is None else np.full(count, value, dtype=object)


def _pick(weights: Mapping[str, float], count: int, rng: np.random.Generator) -> Objects:
    names = np.array(list(weights), dtype=object)
    chance = np.array(list(weights.values()))
    return np.asarray(names[rng.choice(names.size, count, p=chance / chance.sum())])


def _regions(effect: Effect | None, count: int, rng: np.random.Generator) -> Objects:
    wanted = effect.fulfilment_centre if effect else None
    weights = {r: v[0] for r, v in REGIONS.items() if wanted in (None, CENTRES[r])}
    return _pick(weights, count, rng)


def _languages(regions: Objects, theme_names: Sequence[str], rng: np.random.Generator) -> list[str]:
    drawn = np.full(regions.size, ENGLISH, dtype=object)
    for region, (_, _, spoken) in REGIONS.items():
        own = np.flatnonzero(regions == region)
        drawn[own] = _pick(spoken, own.size, rng)
    return [_spoken(theme, language) for theme, language in zip(theme_names, drawn, strict=True)]


@cache
def _spoken(theme: str, language: str) -> str:
    return language_for(theme, language)


def _channels(
    product: ProductModel,
    effect: Effect | None,
    campaign: Campaign | None,
    count: int,
    rng: np.random.Generator,
) -> Objects:
    if campaign is not None:
        return np.full(count, "review", dtype=object)
    fixed = _fixed(effect.channel if effect else None, count)
    return _pick(product.channels, count, rng) if fixed is None else fixed


def _versions(
    layout: Layout,
    product: ProductModel,
    platforms: Objects,
    hours: Ints,
    effect: Effect | None,
    rng: np.random.Generator,
) -> Objects:
    chance, missing = rng.random(hours.size), rng.random(hours.size) < NO_VERSION_SHARE
    drawn = np.full(hours.size, None, dtype=object)
    if product.base_version is None:
        return drawn
    if effect is not None and effect.version is not None:
        drawn[:] = effect.version
    else:
        for platform in product.platforms:
            own = np.flatnonzero(platforms == platform)
            names, share = layout.shares[product.product_id, platform]
            upto = share[hours[own]].cumsum(axis=1)
            place = (upto < (chance[own] * upto[:, -1])[:, None]).sum(axis=1)
            drawn[own] = np.array(names, dtype=object)[np.minimum(place, len(names) - 1)]
    drawn[missing] = None
    return drawn


def _stars(
    theme_names: Sequence[str],
    channels: Objects,
    campaign: Campaign | None,
    rng: np.random.Generator,
) -> list[int | None]:
    count = len(theme_names)
    known = themes()
    chance, wrong = rng.random(count), rng.random(count) < WRONG_STARS_SHARE
    tones = np.array([known[theme].tone for theme in theme_names], dtype=object)
    stars = np.zeros(count, dtype=np.int64)
    for tone, shares in _STARS.items():
        own = tones == tone
        stars[own] = 1 + np.minimum(np.searchsorted(np.cumsum(shares), chance[own]), 4)
    stars[wrong] = 6 - stars[wrong]
    if campaign is not None:
        stars[:] = campaign.stars
    held = stars.astype(object)
    held[channels != "review"] = None
    return list(held.tolist())


def _authors(
    product: ProductModel, campaign: Campaign | None, count: int, rng: np.random.Generator
) -> list[str]:
    if campaign is not None:
        return [f"acct{n:05d}" for n in rng.integers(0, campaign.accounts, count).tolist()]
    everyone = rng.integers(0, product.users, count)
    returning = rng.integers(0, max(1, product.users // 500), count)
    numbers = np.where(rng.random(count) < RETURNING_SHARE, returning, everyone)
    return [f"{_HANDLES[n % len(_HANDLES)]}_{n}" for n in numbers.tolist()]


def _devices(platforms: Objects, rng: np.random.Generator) -> Objects:
    drawn = np.empty(platforms.size, dtype=object)
    for platform, names in DEVICES.items():
        own = np.flatnonzero(platforms == platform)
        drawn[own] = np.array(names, dtype=object)[rng.integers(0, len(names), own.size)]
    return drawn


def _flags(
    layout: Layout,
    product: ProductModel,
    effect: Effect | None,
    hours: Ints,
    rng: np.random.Generator,
) -> list[str | None]:
    """Return the product's flags and for whom they are on; one that is not in force is off."""
    flags = [
        c for c in layout.scenario.changes if c.kind == "flag" and c.product == product.product_id
    ]
    if not flags:
        return [None] * hours.size
    code = np.zeros(hours.size, dtype=np.int64)
    for place, flag in enumerate(flags):
        on = rng.random(hours.size) < flag.share
        if effect is not None and effect.flag == flag.name:
            on[:] = True
        code += (on & _in_force(flag, hours)).astype(np.int64) << place
    return [_states(tuple(f.name for f in flags), c) for c in code.tolist()]


def _in_force(flag: OtherChange, hours: Ints) -> npt.NDArray[np.bool_]:
    first, last = int(hours.min(initial=0)), int(hours.max(initial=0))
    known = np.array([flag.on_at((hour + 1e-6) / 24) for hour in range(first, last + 1)])
    return np.asarray(known[hours - first])


@cache
def _states(names: tuple[str, ...], code: int) -> str:
    return json.dumps({name: "on" if code >> i & 1 else "off" for i, name in enumerate(names)})


def _orders(
    effect: Effect | None, regions: Objects, channels: Objects, rng: np.random.Generator
) -> dict[str, list[Any]]:
    count = regions.size
    named = rng.random(count) < np.where(channels == "review", 0.35, 0.9)
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
