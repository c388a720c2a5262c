"""People are called upon to leave one star: nothing is broken in the product."""

from __future__ import annotations

from closeloop.testing.simulator.scenarios import shop
from closeloop.testing.simulator.world import Campaign, Scenario

SCENARIO = Scenario(
    name="review-bombing",
    summary=(
        "A call to boycott spreads: for two days hundreds who never wrote before leave one star and "
        "speak of politics."
    ),
    expect="No ticket and no release blamed: nothing is said of the product.",
    products=(shop.APP,),
    per_day=125,
    days=38,
    releases=shop.ORDINARY_RELEASES,
    changes=shop.APP_CHANGES,
    campaigns=(
        Campaign(
            cause="boycott",
            kind="review bombing",
            product="shop-app",
            themes={"boycott": 0.85, "short bad": 0.15},
            day=31.4,
            end_day=33.4,
            per_day=180,
            accounts=2_000,
        ),
    ),
)
