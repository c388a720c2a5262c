"""A few accounts post copies of the same complaint, again and again."""

from __future__ import annotations

from closeloop.testing.simulator.scenarios import shop
from closeloop.testing.simulator.world import Campaign, Scenario

SCENARIO = Scenario(
    name="bots",
    summary="For a day twelve accounts post copies of three complaints about the payment.",
    expect="No ticket: copies count once, and their authors lose trust.",
    products=(shop.APP,),
    per_day=125,
    days=38,
    releases=shop.ORDINARY_RELEASES,
    changes=shop.APP_CHANGES,
    campaigns=(
        Campaign(
            cause="bots",
            kind="bots",
            product="shop-app",
            themes={"bot complaint": 1.0},
            day=31.4,
            end_day=32.4,
            per_day=150,
            accounts=12,
            copies=3,
        ),
    ),
)
