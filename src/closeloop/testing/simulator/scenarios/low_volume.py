"""A product with ten texts a day: a dozen complaints are all there will be."""

from __future__ import annotations

from closeloop.testing.simulator.scenarios import shop
from closeloop.testing.simulator.world import Effect, OtherChange, ProductModel, Scenario

KIOSK = ProductModel(
    product_id="kiosk",
    name="Pick-up kiosk",
    share=1.0,
    themes={**shop.STORE_THEMES, "payment hangs": 0.8, "code missing": 0.8},
    platforms={"web": 1.0},
    channels={"review": 0.7, "ticket": 0.3},
    users=2_000,
    sells=True,
)

SCENARIO = Scenario(
    name="low-volume",
    summary="A small product gets ten texts a day. A day after an innocent change its terminals take no payment, for two days.",
    expect="A signal of payment failures after a handful of complaints, no change blamed.",
    products=(KIOSK,),
    per_day=10,
    days=48,
    history_days=34,
    changes=(OtherChange("config", "kiosk", "new receipt", day=35.6),),
    effects=(
        Effect(
            cause="terminals down",
            kind="incident",
            product="kiosk",
            themes={"payment hangs": 0.6, "card declined": 0.4},
            day=37.3,
            end_day=39.3,
            per_day=7,
        ),
    ),
)
