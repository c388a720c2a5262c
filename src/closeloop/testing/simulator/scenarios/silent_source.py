"""The source of the tickets falls silent for three days, then delivers all at once."""

from __future__ import annotations

from closeloop.testing.simulator.scenarios import shop
from closeloop.testing.simulator.world import Scenario, Silence

SCENARIO = Scenario(
    name="silent-source",
    summary=(
        "The ticket system delivers nothing for three days, then everything at once. Nothing is "
        "broken in the products."
    ),
    expect="No ticket: neither the silence nor what is delivered late is trouble.",
    products=(shop.STORE,),
    per_day=100,
    days=38,
    changes=shop.STORE_CHANGES,
    sources={"ticket": "helpdesk"},
    silences=(Silence("helpdesk silent", "helpdesk", day=30.2, end_day=33.2, delivered_day=33.2),),
)
