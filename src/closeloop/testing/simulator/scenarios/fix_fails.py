"""A release breaks signing in, and the one that should mend it does not."""

from __future__ import annotations

from closeloop.testing.simulator.scenarios import shop
from closeloop.testing.simulator.world import Effect, Scenario

SCENARIO = Scenario(
    name="fix-fails",
    summary="Release 5.4.0 sends no codes to sign in with; 5.4.1 says that it does, and does not.",
    expect="A signal of account access, release 5.4.0 blamed, and the verdict that the fix failed.",
    products=(shop.APP,),
    per_day=125,
    days=44,
    releases=shop.RELEASES_WITH_FIX,
    changes=shop.APP_CHANGES,
    effects=(
        shop.codes_not_sent(verdict="failed"),
        Effect(
            cause="codes not sent in 5.4.1",
            kind="release",
            product="shop-app",
            themes=shop.CODES,
            day=33.4,
            per_day=40,
            version=shop.FIX,
            change=shop.FIX,
            continues="codes not sent in 5.4.0",
        ),
    ),
)
