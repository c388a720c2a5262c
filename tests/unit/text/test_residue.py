"""What may be personal data is marked; masked tokens, prices and versions are not."""

from __future__ import annotations

import pytest

from closeloop.text.residue import possible_pii


@pytest.mark.parametrize(
    ("text", "sign"),
    [
        ("write to me: bob@example.org", "something like an e-mail address"),
        ("call 98765 43210 now", "a long number"),
        ("my number is +91-98765-43210", "a long number"),
        ("Hi, my name is Asha and it fails", "something like a name"),
        ("Regards, Peter", "something like a name"),
        ("I live at 12 Green Park Road", "something like an address"),
    ],
)
def test_signs_of_personal_data_are_named_without_the_text(text: str, sign: str) -> None:
    assert possible_pii(["fine", text]) == sign


@pytest.mark.parametrize(
    "text",
    [
        "paid 12,500.00 twice on 2.8.5",
        "error 500.1029 since 2024-02-06",
        "call <PHONE> or <EMAIL>, order <ORDER:1234567890123456>",
        "5 stars @ last",
        "",
    ],
)
def test_harmless_texts_pass(text: str) -> None:
    assert possible_pii([text]) is None
