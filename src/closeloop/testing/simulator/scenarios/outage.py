"""The payment provider is down for a night: an incident outside, no release of ours."""

from __future__ import annotations

from closeloop.testing.simulator.scenarios import shop
from closeloop.testing.simulator.world import Effect, OtherChange, Release, Scenario

INCIDENT = "payment provider down"


def _effect(product: str, per_day: float) -> Effect:
    return Effect(
        cause=f"{INCIDENT} ({product})",
        kind="incident",
        product=product,
        themes={"payment hangs": 1.0},
        day=31.35,
        end_day=31.85,
        per_day=per_day,
        change=INCIDENT,
    )


SCENARIO = Scenario(
    name="outage",
    summary=(
        "The payment provider is down for twelve hours, in every version and product. A release "
        "of the app went out a day before and is innocent."
    ),
    expect="Signals of payment failures in both products; the incident is behind them, no release.",
    products=shop.PRODUCTS,
    releases=(*shop.ORDINARY_RELEASES, Release("shop-app", "5.4.0", day=30.4)),
    changes=(
        *shop.ORDINARY_CHANGES,
        OtherChange("incident", "shop-app", INCIDENT, day=31.35, end_day=31.85),
        OtherChange("incident", "store", INCIDENT, day=31.35, end_day=31.85),
    ),
    effects=(_effect("shop-app", 110), _effect("store", 60)),
)
