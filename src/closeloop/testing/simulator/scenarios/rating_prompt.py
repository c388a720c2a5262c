"""The app asks everybody for a rating: four times the feedback, and nothing is broken."""

from __future__ import annotations

from closeloop.testing.simulator.scenarios import shop
from closeloop.testing.simulator.world import OtherChange, Scenario, Surge

SCENARIO = Scenario(
    name="rating-prompt",
    summary="For two days the app asks everybody for a rating: more of all, mostly a word or two.",
    expect="No ticket: all rises alike, and what comes on top says nothing to act on.",
    products=shop.PRODUCTS,
    releases=shop.ORDINARY_RELEASES,
    changes=(*shop.ORDINARY_CHANGES, OtherChange("config", "shop-app", "rating prompt", day=31.0)),
    surges=(
        Surge(
            cause="rating prompt",
            product="shop-app",
            day=31.0,
            end_day=33.0,
            factor=4.0,
            themes={
                **{theme: weight * 0.6 for theme, weight in shop.APP_THEMES.items()},
                "short praise": 55.0,
                "short bad": 9.0,
            },
        ),
    ),
)
