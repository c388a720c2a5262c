"""The app gets slower week by week: no day on which it began, no release to blame."""

from __future__ import annotations

from closeloop.testing.simulator.scenarios import shop
from closeloop.testing.simulator.world import Effect, Scenario

SCENARIO = Scenario(
    name="slow-decay",
    summary="A table grows without an index: week by week more people find the app slow.",
    expect="A signal of performance in the shop app, late rather than never; no change blamed.",
    products=(shop.APP,),
    per_day=125,
    days=48,
    releases=(*shop.ORDINARY_RELEASES, *shop.LATER_RELEASES),
    changes=shop.APP_CHANGES,
    effects=(
        Effect(
            cause="ever slower",
            kind="decay",
            product="shop-app",
            themes={"app slow": 1.0},
            day=26.0,
            per_day=30,
            grows_days=18.0,
        ),
    ),
)
