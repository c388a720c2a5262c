"""Generates a scenario: arrivals, attributes, texts, edits, and the truth of every row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from closeloop.errors import UsageError
from closeloop.testing.simulator import attributes
from closeloop.testing.simulator.phrases import themes
from closeloop.testing.simulator.surroundings import causes, change_rows, exposure_rows
from closeloop.testing.simulator.traffic import Floats, Ints, arrivals, profile, version_shares
from closeloop.testing.simulator.world import Effect, ProductModel, Scenario
from closeloop.testing.simulator.writing import write_texts

DEFAULT_START = datetime(2024, 3, 4, tzinfo=UTC)
EDIT_SHARE = 0.008
REPEAT_SHARE = 0.004


@dataclass(slots=True)
class Simulation:
    """All that a scenario gives: rows as a source delivers them, and the truth beside them."""

    scenario: Scenario
    seed: int
    start: datetime
    end: datetime
    feedback: list[dict[str, Any]] = field(default_factory=list)
    changes: list[dict[str, Any]] = field(default_factory=list)
    exposure: list[dict[str, Any]] = field(default_factory=list)
    truth_rows: list[dict[str, Any]] = field(default_factory=list)
    truth: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Block:
    """Arrivals of one origin: the base stream of a product, or one effect."""

    product: ProductModel
    hours: Ints
    themes: Sequence[str]
    effect: Effect | None


def simulate(
    scenario: Scenario,
    *,
    seed: int = 7,
    days: int | None = None,
    per_day: int | None = None,
    start: datetime | None = None,
) -> Simulation:
    """Return a scenario's feedback, changes, exposure and truth; the same seed gives the same.

    `per_day` scales everything, effects too. `days` cuts or lengthens the ordinary days; changes
    that lie after the end are left out. Raises UsageError where nothing would come.
    """
    days = scenario.days if days is None else days
    per_day = scenario.per_day if per_day is None else per_day
    if days < 1 or per_day < 1:
        raise UsageError("a simulation needs at least a day and one text a day")
    start = (start or DEFAULT_START).astimezone(UTC)
    rng = np.random.default_rng([seed, *scenario.name.encode()])
    rates = profile(start.weekday(), days)
    scale = per_day / scenario.per_day
    shares = {
        (product.product_id, platform): _shares(scenario, product, platform, rates.size)
        for product in scenario.products
        for platform in product.platforms
    }
    blocks = [_base(scenario, p, rates, per_day, rng) for p in scenario.products]
    blocks += [_extra(scenario, e, rates, scale, shares, rng) for e in scenario.effects]
    made = Simulation(scenario, seed, start, start + timedelta(days=days))
    rows: list[dict[str, Any]] = []
    truths: list[dict[str, Any]] = []
    for block in blocks:
        drawn, true = _rows(block, shares, start, rng)
        rows += drawn
        truths += true
    _finish(made, rows, truths, rng)
    made.changes = change_rows(scenario, start, days)
    made.exposure = exposure_rows(scenario, shares, rates, start, rng)
    made.truth = {
        "scenario": scenario.name,
        "summary": scenario.summary,
        "expect": scenario.expect,
        "seed": seed,
        "start": made.start.isoformat(),
        "end": made.end.isoformat(),
        "rows": len(made.feedback),
        **causes(scenario, made.truth_rows, start),
    }
    return made


def _shares(
    scenario: Scenario, product: ProductModel, platform: str, hours: int
) -> tuple[list[str], Floats]:
    if product.base_version is None:
        return [""], np.ones((hours, 1))
    own = [r for r in scenario.releases if r.product == product.product_id]
    return version_shares(own, base_version=product.base_version, platform=platform, hours=hours)


def _base(
    scenario: Scenario,
    product: ProductModel,
    rates: Floats,
    per_day: int,
    rng: np.random.Generator,
) -> _Block:
    factor = np.ones(rates.size)
    time = (np.arange(rates.size) + 0.5) / 24
    surges = [s for s in scenario.surges if s.product == product.product_id]
    for surge in surges:
        factor[(time >= surge.day) & (time < surge.end_day)] *= surge.factor
    hours = arrivals(rates * factor * per_day * product.share, rng)
    drawn = _draw(product.themes, hours.size, rng)
    for surge in surges:
        inside = np.flatnonzero((time[hours] >= surge.day) & (time[hours] < surge.end_day))
        if surge.themes is not None:
            for position, theme in zip(inside, _draw(surge.themes, inside.size, rng), strict=True):
                drawn[position] = theme
    return _Block(product, hours, drawn, None)


def _extra(
    scenario: Scenario,
    effect: Effect,
    rates: Floats,
    scale: float,
    shares: Mapping[tuple[str, str], tuple[list[str], Floats]],
    rng: np.random.Generator,
) -> _Block:
    product = scenario.product(effect.product)
    time = (np.arange(rates.size) + 0.5) / 24
    end = np.inf if effect.end_day is None else effect.end_day
    exposed = np.where((time >= effect.day) & (time < end), 1.0, 0.0)
    if effect.version is not None:
        exposed *= _exposed(effect, product, shares)
    hours = arrivals(rates * exposed * effect.per_day * scale, rng)
    return _Block(product, hours, _draw(effect.themes, hours.size, rng), effect)


def _exposed(
    effect: Effect,
    product: ProductModel,
    shares: Mapping[tuple[str, str], tuple[list[str], Floats]],
) -> Floats:
    """Return the share of the product's users who are on the effect's version, by hour."""
    total = np.zeros(0)
    for platform, weight in product.platforms.items():
        versions, share = shares[product.product_id, platform]
        total = np.zeros(share.shape[0]) if total.size == 0 else total
        if effect.version in versions and effect.platform in (None, platform):
            total += weight * share[:, versions.index(effect.version)]
    return total


def _draw(weights: Mapping[str, float], count: int, rng: np.random.Generator) -> list[str]:
    names = list(weights)
    chance = np.array([weights[n] for n in names])
    return [names[i] for i in rng.choice(len(names), count, p=chance / chance.sum())]


def _rows(
    block: _Block,
    shares: Mapping[tuple[str, str], tuple[list[str], Floats]],
    start: datetime,
    rng: np.random.Generator,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    drawn = attributes.draw(
        block.product, block.hours, block.themes, block.effect, shares=shares, rng=rng
    )
    texts = write_texts(block.themes, drawn.languages, rng)
    seconds = block.hours * 3600 + rng.integers(0, 3600, block.hours.size)
    known = themes()
    rows, truths = [], []
    for i, written in enumerate(texts):
        moment = start + timedelta(seconds=int(seconds[i]))
        rows.append({"text": written.text, "event_time": moment, **drawn.row(i)})
        truths.append(
            {
                "product": block.product.product_id,
                "theme": block.themes[i],
                "category": known[block.themes[i]].category,
                "language": drawn.languages[i],
                "cause": block.effect.cause if block.effect else None,
                "pii": [{"type": kind, "value": value} for kind, value in written.pii],
                "repeats": None,
            }
        )
    return rows, truths


def _finish(
    made: Simulation,
    rows: list[dict[str, Any]],
    truths: list[dict[str, Any]],
    rng: np.random.Generator,
) -> None:
    """Put rows in the order of arrival, number them, and add repeats and edits."""
    order = sorted(range(len(rows)), key=lambda i: (rows[i]["event_time"], i))
    chance = rng.random((len(rows), 4))
    delivered: list[tuple[datetime, int, dict[str, Any]]] = []
    for number, i in enumerate(order):
        row = {"source_id": f"r{number:06d}", **rows[i]}
        moment = row["event_time"]
        truth = {"source_id": row["source_id"], **truths[i]}
        made.truth_rows.append(truth)
        delivered.append((moment, number, row))
        first, second, delay, _ = chance[number]
        later = moment + timedelta(hours=1 + 30 * float(delay))
        if len(row["text"]) > 40 and later < made.end:
            if first < EDIT_SHARE:
                edit = row | {"text": f"{row['text']} Still the same.", "updated_at": later}
                delivered.append((later, number, edit))
            elif second < REPEAT_SHARE:
                again = row | {"source_id": f"r{number:06d}b", "event_time": later}
                delivered.append((later, number, again))
                made.truth_rows.append(
                    truth | {"source_id": again["source_id"], "repeats": row["source_id"]}
                )
    delivered.sort(key=lambda item: (item[0], item[1]))
    for _, _, row in delivered:
        row["event_time"] = row["event_time"].isoformat()
        row["updated_at"] = row["updated_at"].isoformat() if row.get("updated_at") else None
        made.feedback.append(row)
