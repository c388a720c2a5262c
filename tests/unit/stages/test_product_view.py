"""A product's view is what detection and attribution read."""

from __future__ import annotations

from dataclasses import replace

from closeloop.stages.product_view import ProductView, product_view
from closeloop.testing.context import InMemoryContext
from tests.unit.stages.history import NOW, PRODUCT, History


def view_of(*versions: str | None) -> ProductView:
    context, history = InMemoryContext(now=NOW), History()
    for version in versions:
        history.add(NOW, version=version)
    history.write(context)
    return product_view(context.as_step("reader"), PRODUCT)


def test_a_column_is_coded_once():
    view = view_of("2.0", None, "1.0")
    version = view.coded("version")
    assert (version.codes.tolist(), version.names) == ([1, -1, 0], ("1.0", "2.0"))
    assert view.coded("version") is version
    assert view.coded("channel").names == ("review",)


def test_a_view_of_other_rows_codes_its_own():
    view = view_of("2.0", "1.0")
    assert view.coded("version").names == ("1.0", "2.0")
    other = replace(view, rows=view.rows.slice(1))
    assert other.coded("version").names == ("1.0",)
    assert view.coded("version").names == ("1.0", "2.0")
