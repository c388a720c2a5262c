"""A release breaks signing in, and the next one mends it for good."""

from __future__ import annotations

from closeloop.testing.simulator.scenarios import shop
from closeloop.testing.simulator.world import Effect, Release, Scenario

BAD, FIX = "5.4.0", "5.4.1"

SCENARIO = Scenario(
    name="fix-holds",
    summary="Release 5.4.0 sends no codes to sign in with; 5.4.1 mends it three days later, for good.",
    expect="A signal of account access, release 5.4.0 blamed, and the verdict that the fix held.",
    products=(shop.APP,),
    per_day=125,
    days=44,
    releases=(
        *shop.ORDINARY_RELEASES,
        Release("shop-app", BAD, day=30.4, uptake_h=12),
        Release("shop-app", FIX, day=33.4, uptake_h=8),
    ),
    changes=shop.APP_CHANGES,
    effects=(
        Effect(
            cause="codes not sent in 5.4.0",
            kind="release",
            product="shop-app",
            themes={"code missing": 0.8, "locked out": 0.2},
            day=30.4,
            per_day=40,
            version=BAD,
            change=BAD,
            fixed_by=FIX,
            verdict="held",
        ),
    ),
)
