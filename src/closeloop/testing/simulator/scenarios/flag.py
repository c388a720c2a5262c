"""A flag that is on for a third of the users breaks the search; it is switched off again."""

from __future__ import annotations

from closeloop.testing.simulator.scenarios import shop
from closeloop.testing.simulator.world import Effect, OtherChange, Release, Scenario

FLAG = "smart-search"

SCENARIO = Scenario(
    name="flag",
    summary=(
        f"The flag {FLAG} is switched on for a third of the users and breaks the search for them. "
        "A release went out the day before and is innocent. Three days later it is off again."
    ),
    expect=f"A signal of feature regression in the shop app, the flag {FLAG} blamed, no release.",
    products=(shop.APP,),
    per_day=125,
    days=38,
    releases=(*shop.ORDINARY_RELEASES, Release("shop-app", "5.4.0", day=29.6)),
    changes=(
        *shop.APP_CHANGES,
        OtherChange("flag", "shop-app", FLAG, day=30.5, end_day=33.6, share=0.33),
    ),
    effects=(
        Effect(
            cause="search broken by a flag",
            kind="flag",
            product="shop-app",
            themes={"search broken": 1.0},
            day=30.5,
            end_day=33.6,
            per_day=75,
            flag=FLAG,
            change=FLAG,
        ),
    ),
)
