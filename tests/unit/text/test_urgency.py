"""Urgency names its reasons and needs a negative tone."""

import numpy as np
import pyarrow as pa
import pytest

from closeloop.text.urgency import urgency_of


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("My money was debited but the payment failed", "money missing"),
        ("please refund, charged twice", "money missing"),
        ("this is a SCAM", "fraud or security"),
        ("someone hacked my card", "fraud or security"),
        ("you blocked my account", "locked out"),
        ("I can't log in since monday", "locked out"),
        ("I will go to consumer court", "legal threat"),
        ("need it by tomorrow", "stated deadline"),
        ("the charger caught fire", "safety"),
        ("it burned my hand", "safety"),
        ("I have filed an FIR", "legal threat"),
    ],
)
def test_each_reason_is_found(text: str, reason: str) -> None:
    urgency, reasons = urgency_of(pa.array([text]), np.array([1.0]))
    assert reason in reasons[0].as_py()
    assert 0.3 < urgency[0] <= 1.0


def test_calm_texts_have_no_reason() -> None:
    texts = [
        "great app", "please add dark mode", "the colours are ugly", "", None,
        "adding insult to injury", "it asks me to burn my coins", "my eyes are now bleeding",
        "acha tha fir bekar ho gaya",
    ]  # fmt: skip
    urgency, reasons = urgency_of(pa.array(texts), np.ones(len(texts)))
    assert urgency.tolist() == [0.0] * len(texts)
    assert reasons.to_pylist() == [[]] * len(texts)


def test_reasons_add_up_and_a_solved_case_is_not_urgent() -> None:
    texts = pa.array(["account blocked", "account blocked and money stolen, going to the police"])
    urgency, _ = urgency_of(texts, np.array([0.9, 0.9]))
    solved, reasons = urgency_of(texts, np.array([0.1, 0.1]))
    assert urgency[1] > urgency[0] > solved[1]
    assert len(reasons[1]) >= 2
