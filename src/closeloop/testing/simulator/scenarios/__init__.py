"""The scenarios by name. To add one: a module here with `SCENARIO`, and its line in this list."""

from closeloop.testing.simulator.scenarios import (
    backfill,
    bad_release,
    bots,
    fix_fails,
    fix_holds,
    fix_moves,
    flag,
    helpful_article,
    holiday,
    late_parcels,
    low_volume,
    misleading_listing,
    outage,
    pii_everywhere,
    quiet,
    rating_prompt,
    review_bombing,
    several_at_once,
    silent_source,
    sku_defect,
    slow_decay,
)
from closeloop.testing.simulator.world import Scenario

_ALL = (
    bad_release.SCENARIO,
    quiet.SCENARIO,
    outage.SCENARIO,
    flag.SCENARIO,
    holiday.SCENARIO,
    rating_prompt.SCENARIO,
    review_bombing.SCENARIO,
    bots.SCENARIO,
    slow_decay.SCENARIO,
    sku_defect.SCENARIO,
    late_parcels.SCENARIO,
    misleading_listing.SCENARIO,
    helpful_article.SCENARIO,
    fix_holds.SCENARIO,
    fix_fails.SCENARIO,
    fix_moves.SCENARIO,
    low_volume.SCENARIO,
    silent_source.SCENARIO,
    backfill.SCENARIO,
    pii_everywhere.SCENARIO,
    several_at_once.SCENARIO,
)

SCENARIOS: dict[str, Scenario] = {scenario.name: scenario for scenario in _ALL}

__all__ = ["SCENARIOS"]
