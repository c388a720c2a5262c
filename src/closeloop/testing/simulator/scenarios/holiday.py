"""The days before a holiday: two and a half times the feedback, and nothing is broken."""

from __future__ import annotations

from closeloop.testing.simulator.scenarios import shop
from closeloop.testing.simulator.world import Scenario, Surge

SCENARIO = Scenario(
    name="holiday",
    summary="Four busy days before a holiday: two and a half times as much of everything.",
    expect="No ticket: every complaint rises alike, and so does praise.",
    products=shop.PRODUCTS,
    days=38,
    per_day=155,
    releases=shop.ORDINARY_RELEASES,
    changes=shop.ORDINARY_CHANGES,
    surges=tuple(
        Surge(cause="holiday", product=product, day=31.0, end_day=35.0, factor=2.5)
        for product in ("shop-app", "store")
    ),
)
