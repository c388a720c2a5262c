"""Nothing happens but ordinary days, with releases and other changes that break nothing."""

from __future__ import annotations

from closeloop.testing.simulator.scenarios import shop
from closeloop.testing.simulator.world import Release, Scenario

SCENARIO = Scenario(
    name="quiet",
    summary="Ordinary days: releases and other changes go out, and nothing breaks.",
    expect="No signal, or at most the one false alarm per product and month that is allowed.",
    products=shop.PRODUCTS,
    releases=(*shop.ORDINARY_RELEASES, Release("shop-app", "5.4.0", day=30.4)),
    changes=shop.ORDINARY_CHANGES,
)
