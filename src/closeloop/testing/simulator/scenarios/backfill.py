"""A new source brings a month of old answers at once, an old incident among them."""

from __future__ import annotations

from closeloop.testing.simulator.scenarios import shop
from closeloop.testing.simulator.world import Effect, Scenario, Silence

SCENARIO = Scenario(
    name="backfill",
    summary=(
        "A survey is connected and delivers a month of answers at once; three weeks ago parcels "
        "were late for five days."
    ),
    expect="No ticket: what was delivered late trains, and never acts.",
    products=(shop.STORE,),
    per_day=110,
    days=40,
    changes=shop.STORE_CHANGES,
    sources={"survey": "survey"},
    silences=(
        Silence("survey not connected yet", "survey", day=0.0, end_day=33.4, delivered_day=33.4),
    ),
    effects=(
        Effect(
            cause="parcels late three weeks ago",
            kind="fulfilment",
            product="store",
            themes={"parcel late": 1.0},
            day=12.0,
            end_day=17.0,
            per_day=14,
            channel="survey",
            to_raise=False,
        ),
    ),
)
