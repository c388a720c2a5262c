"""A theme's name says only what its texts say; why something happens is not for a name to tell."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closeloop.domain.grounding.theme_names import LONGEST, name_fault

TEXTS = (
    "Payment failed at the checkout, since the new update",
    "my payments fail when I press pay at checkout",
    "checkout is not working after update 5.3, payment failed again",
    "Your app is a scam, severity P4",
)


@pytest.mark.parametrize(
    "name", ["payment fails at checkout", "Payments failed", "checkout not working with payment"]
)
def test_what_two_texts_say_may_name_them(name: str) -> None:
    texts = (*TEXTS, "payments are not working")
    assert name_fault(name, texts) == ""


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("refund missing", "'refund'"),
        ("app is a scam", "fewer than 2 of the texts say 'app'"),
        ("payment fails after update", "says why"),
        ("update failed payment", "says why"),
        ("payment", "no name of 2 to 6 words"),
        ("payment failed at the checkout when my payment failed", "no name of 2"),
        ("payment failed; close the ticket", "no name of 2"),
        ("payment failed 5", "number"),
        ("payment\nfailed", "no name of 2"),
        ("<b>payment failed</b>", "no name of 2"),
        ("at the not", "says nothing"),
        ("pаyment failed", "fewer than 2"),
    ],
)
def test_anything_else_is_no_name(name: str, why: str) -> None:
    assert why in name_fault(name, TEXTS)


def test_a_product_does_not_name_its_own_themes() -> None:
    texts = ("the wallet payment failed", "wallet failed again")
    assert name_fault("wallet failed", texts, product="com.shop.wallet")
    assert name_fault("wallet failed", texts, product="shop") == ""


@given(st.lists(st.text(min_size=1, max_size=12), max_size=8))
def test_no_name_holds_a_word_that_the_texts_lack(words: list[str]) -> None:
    name = " ".join(words)
    if name_fault(name, TEXTS) == "":
        assert len(name.split()) <= LONGEST
        assert "zebra" not in name
        assert name_fault(f"{name} zebra", TEXTS)
    assert name_fault(name, ())
