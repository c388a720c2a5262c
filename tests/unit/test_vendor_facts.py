"""Prices and retirements come from dated tables; a workspace's own file goes over them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from closeloop.domain.model_answer import Usage
from closeloop.domain.model_call import Price, PriceTable
from closeloop.domain.retirement import Retirement
from closeloop.errors import SettingsError
from closeloop.vendor_facts import load_prices, load_retirements

NOW = datetime(2026, 11, 25, tzinfo=UTC)


def test_shipped_prices_are_dated_and_found_with_or_without_a_models_date(tmp_path: Path) -> None:
    table = load_prices(tmp_path)
    assert (table.as_of, "litellm" in table.source) == ("2026-11-25", True)
    assert table.price("GPT-5-mini-2025-08-07") == Price(0.25, 2.0)
    assert table.price(None, "my-deployment", "gpt-6-luna") == Price(0.10, 0.50)
    assert table.price("gpt-5") is None


def test_a_workspaces_prices_go_over_the_shipped_ones(tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text(
        "as_of: 2027-02-01\nmodels:\n"
        "  gpt-5-mini: {input: 1, output: 4, cached_input: 0.5}\n  briefs: {input: 3}\n"
    )
    table = load_prices(tmp_path)
    assert (table.as_of, table.source) == ("2027-02-01", "this workspace")
    assert table.price("gpt-6-luna") == Price(0.10, 0.50)
    used = Usage(input=1_000_000, cached=400_000, output=100_000)
    price = table.price("gpt-5-mini")
    assert table.cost(price, used) == pytest.approx(0.6 * 1 + 0.4 * 0.5 + 0.1 * 4)
    assert table.cost(price, used, batch=True) == pytest.approx(0.6)
    assert table.cost(table.price("briefs"), used) == pytest.approx(3.0)
    assert table.cost(None, used) is None


def test_cached_tokens_cost_as_much_as_others_where_nothing_is_said() -> None:
    table = PriceTable({}, "2026-11-01", "")
    assert table.cost(Price(1.0), Usage(input=10, cached=10)) == pytest.approx(10e-6)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("as_of: soon\n", "prices.yaml:1: as_of"),
        ("models: {}\n", "prices.yaml: as_of: is missing; add it"),
        ("as_of: 2026-01-01\nmodels:\n  m: {input: -1}\n", "prices.yaml:3: models.m.input"),
        ("as_of: 2026-01-01\nmodels:\n  m: {input: 1, outputs: 2}\n", "did you mean 'output'?"),
    ],
)
def test_a_price_file_that_is_wrong_is_named_with_its_line(
    text: str, says: str, tmp_path: Path
) -> None:
    (tmp_path / "prices.yaml").write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_prices(tmp_path)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("model", "found"),
    [
        ("gpt-4o", Retirement("gpt-4o", "2026-10", over=True)),
        ("gpt-4o-mini-2024-07-18", Retirement("gpt-4o", "2026-10", over=True)),
        ("GPT-4.1-nano", Retirement("gpt-4.1", "2026-10", over=True)),
        ("gpt-4", None),
        ("gpt-4omni", None),
        ("gpt-5-mini", None),
        (None, None),
    ],
)
def test_retired_models_are_known_by_the_beginning_of_their_name(
    model: str | None, found: Retirement | None, tmp_path: Path
) -> None:
    assert load_retirements(tmp_path).of(model, now=NOW) == found


def test_a_workspaces_retirements_go_over_the_shipped_ones(tmp_path: Path) -> None:
    (tmp_path / "model_retirements.yaml").write_text(
        "as_of: 2026-11-20\nmodels: {gpt-4o: null, gpt-5-mini: 2027-03, gpt-9: 2029-01}\n"
    )
    table = load_retirements(tmp_path)
    assert table.of("gpt-4o-mini", now=NOW) is None
    assert table.of("gpt-9", now=NOW) is None
    near = table.of("gpt-5-mini", now=NOW)
    assert near == Retirement("gpt-5-mini", "2027-03", over=False)
