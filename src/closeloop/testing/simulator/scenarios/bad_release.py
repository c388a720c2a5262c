"""A release of the app breaks the payment of many customers, among changes that are innocent."""

from __future__ import annotations

from closeloop.testing.simulator.scenarios import shop
from closeloop.testing.simulator.world import Effect, OtherChange, Release, Scenario

BAD, FIX = "5.4.0", "5.4.1"

SCENARIO = Scenario(
    name="bad-release",
    summary=(
        "Release 5.4.0 of the shop app is rolled out in stages and breaks the payment. In the same "
        "days a flag, an article, an iOS release and a change of the store go out that are "
        "innocent. Release 5.4.1 mends it three days later."
    ),
    expect=(
        "One signal of payment failures in the shop app, release 5.4.0 blamed and no other change, "
        "and after release 5.4.1 the verdict that the fix held."
    ),
    products=shop.PRODUCTS,
    days=40,
    per_day=155,
    releases=(
        *shop.ORDINARY_RELEASES,
        Release("shop-app", "5.3.1", day=29.6, platforms=("ios",)),
        Release(
            "shop-app",
            BAD,
            day=30.4,
            rollout=((0, 0.3), (8, 0.6), (24, 1.0)),
            uptake_h=10,
            platforms=("android",),
        ),
        Release("shop-app", FIX, day=33.4, uptake_h=6, platforms=("android",)),
    ),
    changes=(
        *shop.ORDINARY_CHANGES,
        OtherChange("flag", "shop-app", "express-reorder", day=30.0),
        OtherChange("article", "shop-app", "Paying by instalments", day=30.7),
        OtherChange("config", "store", "delivery estimate 3", day=30.5),
    ),
    effects=(
        Effect(
            cause="payment broken in 5.4.0",
            kind="release",
            product="shop-app",
            themes={"payment hangs": 0.6, "card declined": 0.4},
            day=30.4,
            per_day=90,
            version=BAD,
            platform="android",
            change=BAD,
            fixed_by=FIX,
            verdict="held",
        ),
    ),
)
