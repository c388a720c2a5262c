"""The description of one article is changed and promises too much."""

from __future__ import annotations

from closeloop.testing.simulator.scenarios import shop
from closeloop.testing.simulator.world import Effect, OtherChange, Scenario

SKU = "SKU-1023"

SCENARIO = Scenario(
    name="misleading-listing",
    summary=(
        f"The page of {SKU} is written anew with wrong pictures and sizes. Other pages and the "
        "ranking are changed in the same days and are innocent."
    ),
    expect=f"A signal of inaccurate listings in the store, concentrated in {SKU}, its page blamed.",
    products=(shop.STORE,),
    per_day=100,
    days=40,
    changes=(
        *shop.STORE_CHANGES,
        OtherChange("article", "store", "SKU-1004", day=29.4),
        OtherChange("article", "store", SKU, day=30.4),
        OtherChange("config", "store", "search ranking 8", day=30.9),
    ),
    effects=(
        Effect(
            cause="listing promises too much",
            kind="listing",
            product="store",
            themes={"not as shown": 1.0},
            day=30.8,
            end_day=37.0,
            per_day=16,
            sku=SKU,
            change=SKU,
        ),
    ),
)
