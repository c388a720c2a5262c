"""A release breaks signing in; the next mends it and makes the app crash."""

from __future__ import annotations

from closeloop.testing.simulator.scenarios import shop
from closeloop.testing.simulator.world import Effect, Scenario

SCENARIO = Scenario(
    name="fix-moves",
    summary="Release 5.4.0 sends no codes to sign in with; 5.4.1 mends that, and crashes.",
    expect=(
        "A signal of account access, release 5.4.0 blamed; then one of performance, release 5.4.1 "
        "blamed, and the verdict that the problem moved."
    ),
    products=(shop.APP,),
    per_day=125,
    days=44,
    releases=shop.RELEASES_WITH_FIX,
    changes=shop.APP_CHANGES,
    effects=(
        shop.codes_not_sent(verdict="moved"),
        Effect(
            cause="crashes in 5.4.1",
            kind="release",
            product="shop-app",
            themes={"app crashes": 1.0},
            day=33.4,
            per_day=45,
            version=shop.FIX,
            change=shop.FIX,
        ),
    ),
)
