"""Sentences written by hand against the frozen sheets: what no fact bears is refused, plain English is not.

The forged ones are worded unlike the generator's: causes that are hinted at, units and orders swapped,
numbers in words, relative dates, facts denied, comparisons, feelings. `refused` says what the check
did when the file was made; where it differs from `forged` it is a known fault, and counted.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pytest

from closeloop.domain.brief import Brief, Sentence
from closeloop.domain.grounding import problems
from closeloop.testing.brief_sheets import frozen_sheets
from closeloop.testing.good_briefs import GoodBriefs

FILE = Path(__file__).parents[2] / "fixtures" / "hand_written_sentences.jsonl"
CASES: list[dict[str, Any]] = [
    json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()
]


@cache
def sound(sheet: int) -> Brief:
    """Return a brief of a sheet that the check lets pass."""
    drafts = (GoodBriefs(frozen_sheets()[sheet], Random(seed)).write() for seed in range(50))
    return next(brief for brief in drafts if not problems(brief))


def with_sentence(sheet: int, text: str, *ids: str) -> Brief:
    brief = sound(sheet)
    return replace(brief, summary=(*brief.summary, Sentence(text, ids)))


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["text"])[:50])
def test_a_sentence_is_judged_as_it_was(case: dict[str, Any]) -> None:
    found = problems(with_sentence(case["sheet"], case["text"], *case["ids"]))
    assert bool(found) is case["refused"], found


def test_the_known_faults_are_few() -> None:
    kinds = Counter((case["forged"], case["refused"]) for case in CASES)
    forged, plain = kinds[True, True] + kinds[True, False], kinds[False, True] + kinds[False, False]
    assert forged > 200
    assert kinds[True, False] <= 0.01 * forged
    assert kinds[False, True] <= 0.08 * plain


@pytest.mark.parametrize(
    "text", ["It began on 31 February 2024.", "Since 0 May 63 complaints came."]
)
def test_an_impossible_date_is_refused_and_breaks_nothing(text: str) -> None:
    assert problems(with_sentence(1, text, "F1"))
