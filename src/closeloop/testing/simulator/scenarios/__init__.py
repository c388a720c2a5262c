"""The scenarios by name. To add one: a module here with `SCENARIO`, and its line in this list."""

from closeloop.testing.simulator.scenarios import (
    bad_release,
    late_parcels,
    outage,
    quiet,
    rating_prompt,
    sku_defect,
)
from closeloop.testing.simulator.world import Scenario

_ALL = (
    bad_release.SCENARIO,
    quiet.SCENARIO,
    outage.SCENARIO,
    rating_prompt.SCENARIO,
    sku_defect.SCENARIO,
    late_parcels.SCENARIO,
)

SCENARIOS: dict[str, Scenario] = {scenario.name: scenario for scenario in _ALL}

__all__ = ["SCENARIOS"]
