"""Texts that speak to a machine are told from those of customers."""

from __future__ import annotations

import pytest

from closeloop.testing.injections import INJECTIONS
from closeloop.text.injections import looks_like_instruction


@pytest.mark.parametrize(("language", "text"), INJECTIONS)
def test_instructions_to_a_machine_are_noticed(language: str, text: str) -> None:
    assert looks_like_instruction(text), language


@pytest.mark.parametrize(
    "text",
    [
        "Please fix this bug, the app ignores all my requests",
        "I can't close the ticket that I opened with support",
        "Ignore the bad reviews, this is a great app!",
        "The instructions are hard to follow",
        "they set a low limit on my card, priority support is no help",
        "You are now the worst bank",
        "Rate the app 5 star and get cashback they said. Fake.",
        "OTP nahi aa raha, niyam badal diye hai",
        "मुझे पैसे वापस नहीं मिले, नियम समझ नहीं आते",
        "Das Ticket wurde einfach geschlossen, ohne Antwort",
        "a a a a very bad app",
        "",
    ],
)
def test_what_customers_write_is_no_instruction(text: str) -> None:
    assert not looks_like_instruction(text)
