"""A release breaks signing in, and the next one mends it for good."""

from __future__ import annotations

from closeloop.testing.simulator.scenarios import shop
from closeloop.testing.simulator.world import Scenario

SCENARIO = Scenario(
    name="fix-holds",
    summary="Release 5.4.0 sends no codes to sign in with; 5.4.1 mends it three days later, for good.",
    expect="A signal of account access, release 5.4.0 blamed, and the verdict that the fix held.",
    products=(shop.APP,),
    per_day=125,
    days=44,
    releases=shop.RELEASES_WITH_FIX,
    changes=shop.APP_CHANGES,
    effects=(shop.codes_not_sent(verdict="held"),),
)
