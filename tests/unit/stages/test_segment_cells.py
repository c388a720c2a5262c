"""Trouble in one segment: found where the product's series hardly moves, and only there."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from closeloop.stages import attribute, detect
from closeloop.stages.product_view import Cell, cell_said, product_view
from closeloop.stages.segment_cells import series_budget
from closeloop.tables import EXPOSURE, SIGNAL
from closeloop.testing.configuration import example_configuration
from closeloop.testing.context import InMemoryContext
from tests.unit.stages.history import NOW, PRODUCT, History

HOUR = timedelta(hours=1)
ARTICLES = [f"A{n}" for n in range(40)]
REGIONS = ["DE", "FR", "IN", "DE", "DE"]
DEFECT = "product quality"


def shop(**exposed: float) -> tuple[InMemoryContext, History]:
    """Two months of a shop that sells forty articles in three regions."""
    context = InMemoryContext(now=NOW, config=replace(example_configuration(), products=()))
    history = History()
    history.calm()
    for day in range(60):
        for i in range(6):
            at = NOW - timedelta(days=60 - day) + i * 3 * HOUR
            history.add(at, "payment failure" if i % 3 else "praise")
    for i, row in enumerate(history.rows):
        row["sku"], row["region"] = ARTICLES[(i * 7) % 40], REGIONS[i % 5]
    assert live(context, history) == {}
    return context, history


def live(context: InMemoryContext, history: History) -> dict[str, dict[str, Any]]:
    history.rows.sort(key=lambda r: r["event_time"])
    history.write(context)
    detect.run(context.as_step(detect.NAME))
    attribute.run(context.as_step(attribute.NAME))
    context.as_step("reader")
    rows = context.rows(SIGNAL).to_pylist()
    return {r["series_id"]: r for r in rows if not r["historic"]}


def usual_day(history: History, *, hours: int = 24) -> None:
    """A day as the sixty before it."""
    for i in range(hours // 4):
        at = NOW + i * 4 * HOUR
        history.add(
            at, "payment failure" if i % 3 else "praise", sku=ARTICLES[i], region=REGIONS[i % 5]
        )


def test_a_defect_of_one_article_in_one_region_is_found_and_named():
    context, history = shop()
    usual_day(history)
    history.burst(7, end=NOW + 24 * HOUR, hours=20, sku="A3", region="IN")
    context.next_pass(now=NOW + 24 * HOUR)
    found = live(context, history)
    cell = found["payment failure | sku=A3"]
    assert (cell["kind"], cell["category"]) == ("segment", "payment failure")
    assert cell["count"] >= 6
    assert cell["family_size"] > 100
    assert "region=IN" in cell["segment"]
    assert "payment failure" not in found


def test_trouble_that_is_everywhere_is_no_segment_s():
    context, history = shop()
    usual_day(history)
    for i in range(60):
        history.add(NOW + i * HOUR / 4, sku=ARTICLES[i % 40], region=REGIONS[i % 5])
    context.next_pass(now=NOW + 24 * HOUR)
    found = live(context, history)
    assert "payment failure" in found
    assert not [s for s in found.values() if s["kind"] == "segment"]


@pytest.mark.parametrize(("orders_now", "raised"), [(500.0, True), (20_000.0, False)])
def test_a_region_that_sells_more_may_complain_more(orders_now: float, raised: bool):
    context, history = shop()
    days = [
        {
            "product": PRODUCT,
            "version": "",
            "platform": "",
            "region": region,
            "start": NOW.replace(hour=0) + timedelta(days=day),
            "period": "day",
            "orders": orders_now if region == "IN" and day >= -1 else 500.0,
        }
        for day in range(-60, 2)
        for region in ("DE", "FR", "IN")
    ]
    context.as_step("exposure").merge(EXPOSURE, EXPOSURE.from_rows(days))
    usual_day(history)
    for i in range(14):
        history.add(NOW + i * HOUR, sku=ARTICLES[i], region="IN")
    context.next_pass(now=NOW + 24 * HOUR)
    assert ("payment failure | region=IN" in live(context, history)) is raised


def test_the_budget_is_split_only_where_there_are_segments():
    context, _ = shop()
    assert series_budget(context, product_view(context, PRODUCT)) == 0.5
    plain = InMemoryContext(now=NOW)
    History().calm().write(plain)
    plain.as_step("reader")
    assert series_budget(plain, product_view(plain, PRODUCT)) == 1.0


@pytest.mark.parametrize("value", ["A3", "x = y | z", "=|="])
def test_the_id_of_a_cell_says_what_it_is(value: str):
    cell = Cell("fulfilment_centre", value, "shipping delay")
    assert Cell.of(cell.series_id) == cell
    assert cell_said(cell.series_id) == f"shipping delay in fulfilment centre {value}"


@pytest.mark.parametrize("series_id", ["", "payment failure", "a | b=c"])
def test_what_is_no_cell_is_refused(series_id: str):
    with pytest.raises(ValueError, match="no cell"):
        Cell.of(series_id)
