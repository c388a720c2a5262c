"""Personal data in most complaints, while an outage fills the desk."""

from __future__ import annotations

from closeloop.testing.simulator.scenarios import shop
from closeloop.testing.simulator.world import Effect, OtherChange, Scenario

INCIDENT = "sign-in service down"

SCENARIO = Scenario(
    name="pii-everywhere",
    summary=(
        "Most who complain leave an address, a number or a card. For half a day nobody can sign in."
    ),
    expect="A signal of account access, the incident behind it, and no personal data anywhere.",
    products=(shop.APP,),
    per_day=125,
    days=36,
    releases=shop.ORDINARY_RELEASES,
    changes=(
        *shop.APP_CHANGES,
        OtherChange("incident", "shop-app", INCIDENT, day=31.35, end_day=31.85),
    ),
    effects=(
        Effect(
            cause=INCIDENT,
            kind="incident",
            product="shop-app",
            themes={"code missing": 0.6, "locked out": 0.4},
            day=31.35,
            end_day=31.85,
            per_day=90,
            change=INCIDENT,
        ),
    ),
    pii_share=0.8,
)
