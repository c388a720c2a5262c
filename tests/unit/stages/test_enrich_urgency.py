"""The urgency head finds what is like the texts that a rule names, and no more."""

import numpy as np
import pyarrow as pa

from closeloop.stages.enrich_urgency import MIN_URGENT, UrgencyHead, fit_urgency
from closeloop.text.urgency import LIKE_URGENT, urgency_of

URGENT = "they took my money"
SLOW = "this is slow"


def _taught(urgent: int = 400, other: int = 600) -> UrgencyHead | None:
    draw = np.random.default_rng(5)
    texts = pa.array([URGENT] * urgent + [SLOW] * other)
    axis = np.repeat([1.0, -1.0], [urgent, other])
    vectors = np.column_stack([axis, draw.normal(size=len(axis))]).astype(np.float32)
    mixed = draw.permutation(len(axis))
    return fit_urgency(texts.take(pa.array(mixed)), vectors[mixed], model_id="m")


def test_it_finds_what_lies_where_urgent_texts_lie() -> None:
    head = _taught()
    assert head is not None
    assert head.like_urgent(np.array([[1.3, 0], [-1, 0], [0, 0]], np.float32)).tolist() == [
        True,
        False,
        False,
    ]


def test_few_urgent_texts_teach_nothing() -> None:
    assert _taught(urgent=MIN_URGENT // 2) is None


def test_it_survives_its_state() -> None:
    head = _taught()
    assert head is not None
    again = UrgencyHead.from_bytes(head.to_bytes())
    given = np.random.default_rng(1).normal(size=(50, 2)).astype(np.float32)
    assert again.like_urgent(given).tolist() == head.like_urgent(given).tolist()
    assert (again.model_id, again.trained_on) == ("m", head.trained_on)


def test_it_counts_only_where_no_rule_fired_and_the_tone_still_counts() -> None:
    texts = pa.array([URGENT, SLOW, SLOW, SLOW])
    found = np.array([True, True, True, False])
    negative = np.array([1.0, 1.0, 0.1, 1.0])
    urgency, reasons = urgency_of(texts, negative, like_urgent=found)
    by_rules, _ = urgency_of(texts, negative)
    named = reasons.to_pylist()
    assert LIKE_URGENT not in named[0]
    assert urgency[0] == by_rules[0]
    assert named[1:] == [[LIKE_URGENT], [LIKE_URGENT], []]
    assert urgency[1] > 0.5 > urgency[2]
    assert urgency[3] == 0
