"""A batch of headphones has bad batteries: one article, over weeks, no release."""

from __future__ import annotations

from closeloop.testing.simulator.scenarios import shop
from closeloop.testing.simulator.world import Effect, Scenario

SKU = "SKU-1017"

SCENARIO = Scenario(
    name="sku-defect",
    summary=f"A new batch of headphones ({SKU}) has batteries that swell and get hot.",
    expect=f"A signal of product quality in the store, concentrated in {SKU}, no change blamed.",
    products=shop.PRODUCTS,
    releases=shop.ORDINARY_RELEASES,
    changes=shop.ORDINARY_CHANGES,
    effects=(
        Effect(
            cause="headphones with bad batteries",
            kind="article sold",
            product="store",
            themes={"battery swells": 1.0},
            day=28.0,
            end_day=39.0,
            per_day=9,
            sku=SKU,
        ),
    ),
)
