"""A fulfilment centre falls behind: late parcels in one part of the world."""

from __future__ import annotations

from closeloop.testing.simulator.scenarios import shop
from closeloop.testing.simulator.world import Effect, Scenario

CENTRE = "leipzig"

SCENARIO = Scenario(
    name="late-parcels",
    summary=f"The fulfilment centre {CENTRE} falls behind for a week; its parcels come late.",
    expect=f"A signal of shipping delays in the store, concentrated in {CENTRE}, no change blamed.",
    products=shop.PRODUCTS,
    releases=shop.ORDINARY_RELEASES,
    changes=shop.ORDINARY_CHANGES,
    effects=(
        Effect(
            cause="fulfilment centre behind",
            kind="fulfilment",
            product="store",
            themes={"parcel late": 0.85, "parcel lost": 0.15},
            day=29.3,
            end_day=36.3,
            per_day=24,
            fulfilment_centre=CENTRE,
        ),
    ),
)
