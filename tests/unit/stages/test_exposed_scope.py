"""A change of one region or platform reaches those in it, however it is spelt."""

from __future__ import annotations

import pytest

from closeloop.stages.exposed import reaches
from closeloop.stages.product_view import product_view
from closeloop.testing.context import InMemoryContext
from tests.unit.stages.history import NOW, PRODUCT, History, change


@pytest.mark.parametrize(("region", "inside"), [("de", 3), ("DE", 3), ("fr", 1), ("it", 0)])
def test_all_spellings_of_a_region_are_inside(region, inside):
    context, history = InMemoryContext(now=NOW), History()
    for written in ("DE", "de", "De", "FR", None):
        history.add(NOW, region=written)
    history.write(context)
    view = product_view(context.as_step("reader"), PRODUCT)
    setting = change("config", "timeout", NOW, region=region, platform=None, version=None)
    (reach,) = reaches(view, setting, [setting])
    assert reach.told is not None
    told, had = reach.told
    assert (int(told.sum()), int(had.sum())) == (4, inside)
