"""Entities stand where they say, in the masked text."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from closeloop.domain.product import Product
from closeloop.text.entities import NameFinder, entities_of

FINDER = NameFinder(
    (
        Product("shop", "Shop App", aliases=("com.example.shop",), components=("Check-out",)),
        Product("wallet", "Wallet", components=("Cards",)),
    )
)


def _found(text: str, product: str = "shop") -> list[tuple[str, str, str]]:
    rows = entities_of(pa.array([text]), products=[product], finder=FINDER).to_pylist()[0]
    return [(e["type"], e["value"], text[e["start"] : e["end"]]) for e in rows or []]


def test_versions_need_three_numbers_or_a_cue() -> None:
    assert _found("since 2.8.5 and update 4.0 it fails") == [
        ("version", "2.8.5", "2.8.5"),
        ("version", "4.0", "4.0"),
    ]
    assert _found("4.5 stars, Rs 2.50, 12.5% and 1.2.3.4.5.6.7") == []


def test_orders_products_and_components_of_the_rows_own_product() -> None:
    text = "❤️ shop app: CHECK-OUT lost <ORDER:0123456789abcdef>, Cards too, walletx"
    assert _found(text) == [
        ("product", "shop", "shop app"),
        ("component", "Check-out", "CHECK-OUT"),
        ("order", "<ORDER:0123456789abcdef>", "<ORDER:0123456789abcdef>"),
    ]
    assert ("component", "Cards", "Cards") in _found(text, "wallet")


def test_rows_without_any_are_null_and_no_names_are_no_fault() -> None:
    texts = pa.array(["nothing here", None])
    assert entities_of(texts, products=["x", "x"], finder=FINDER).to_pylist() == [None, None]
    empty = NameFinder(())
    assert entities_of(texts, products=["x", "x"], finder=empty).to_pylist() == [None, None]


@given(
    st.text(max_size=30), st.sampled_from(["shop app", "SHOP APP", "Check-Out", "com.example.shop"])
)
def test_the_look_passes_every_text_in_which_a_name_stands(around: str, name: str) -> None:
    text = (around + " " + name).encode("utf-8", "ignore").decode()
    assert len(_found(text)) >= 1
