"""A bad release, late parcels and a busy week, all in the same days."""

from __future__ import annotations

from closeloop.testing.simulator.scenarios import shop
from closeloop.testing.simulator.world import Effect, Release, Scenario, Surge

BAD, FIX, CENTRE = "5.4.0", "5.4.1", "leeds"

SCENARIO = Scenario(
    name="several-at-once",
    summary=(
        "In a busy week release 5.4.0 of the app crashes on Android, and a fulfilment centre falls "
        "behind."
    ),
    expect=(
        "A signal of performance in the shop app, release 5.4.0 blamed, and one of shipping delays "
        f"in the store, concentrated in {CENTRE}, no change blamed."
    ),
    products=shop.PRODUCTS,
    per_day=190,
    days=40,
    releases=(
        *shop.ORDINARY_RELEASES,
        Release("shop-app", BAD, day=31.4, uptake_h=12, platforms=("android",)),
        Release("shop-app", FIX, day=35.4, uptake_h=8, platforms=("android",)),
    ),
    changes=shop.ORDINARY_CHANGES,
    effects=(
        Effect(
            cause="crashes in 5.4.0",
            kind="release",
            product="shop-app",
            themes={"app crashes": 1.0},
            day=31.4,
            per_day=70,
            version=BAD,
            platform="android",
            change=BAD,
            fixed_by=FIX,
            verdict="held",
        ),
        Effect(
            cause="fulfilment centre behind",
            kind="fulfilment",
            product="store",
            themes={"parcel late": 0.85, "parcel lost": 0.15},
            day=32.3,
            end_day=37.3,
            per_day=26,
            fulfilment_centre=CENTRE,
        ),
    ),
    surges=tuple(
        Surge(cause="busy week", product=product, day=30.0, end_day=36.0, factor=1.6)
        for product in ("shop-app", "store")
    ),
)
