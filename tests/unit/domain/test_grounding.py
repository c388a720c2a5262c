"""A brief may state what is on its sheet, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closeloop.domain.brief import Brief, Fact, FactSheet, Quotation
from closeloop.domain.grounding import problems

NOW = datetime(2024, 3, 5, 14, tzinfo=UTC)

SHEET = FactSheet(
    signal_id="s1",
    facts=(
        Fact("F1", "49 complaints from 5 Mar 2024, 02:00 UTC; 7.9 were expected.", ("6.2",)),
        Fact("F2", "41% of the product's 1,200 complaints.", ()),
        Fact("F3", "Severity P1, 72 points.", ()),
    ),
    quotations=(
        Quotation("r1", "paid 300 twice, they said “wait 5 days”", 1.0, NOW, "2.8.5"),
        Quotation("r2", "app is broken", 1.0, NOW, None),
    ),
    names=("Shop", "payment failure", "payments-team", "Shop 2.8.5"),
)


def brief(**fields: object) -> Brief:
    base = Brief(
        brief_id="b",
        signal_id="s1",
        title="Shop: payment failure",
        summary=(("49 complaints.", ("F1",)),),
        impacted_area="Shop",
        likely_cause="Unknown.",
        urgency="Severity P1.",
        recommended_owner="payments-team",
        routing_hints=("product: Shop",),
        next_actions=("Look.",),
        engineering="49 complaints, 6.2 times the 7.9 expected [F1].",
        support="Customers say “app is broken” [Q2].",
        product="41% of 1,200 [F2].",
        leadership="P1.",
        fact_sheet=SHEET,
        writer="test",
        prompt_version="1",
        verified=False,
        problems=(),
        made_at=NOW,
    )
    return replace(base, **fields)  # type: ignore[arg-type]


def test_a_brief_of_what_is_on_the_sheet_has_no_problems() -> None:
    assert problems(brief()) == ()


@pytest.mark.parametrize(
    "text",
    [
        "1200 complaints",
        "41 % or 41 percent",
        "v2.8.5 and 2.8.5",
        "6.2x",
        "on March 5th, on 2024-03-05, on 5 March",
        "at 02:00 UTC",
        "They wrote “paid 300 twice, they said “wait 5 days”” yesterday.",
        "They wrote “paid 300”.",
        'the "broken" one',
        "P1",
    ],
)
def test_other_ways_to_write_what_is_on_the_sheet_pass(text: str) -> None:
    assert problems(brief(engineering=text)) == ()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("50 complaints", "'50'"),
        ("42%", "'42%'"),
        ("41 complaints", "'41'"),
        ("version 2.8.6", "'2.8.6'"),
        ("version 2.8", "'2.8'"),
        ("on 6 March 2024", "6 Mar 2024"),
        ("on 5 March 2023", "5 Mar 2023"),
        ("on 2024-04-05", "5 Apr 2024"),
        ("at 03:00", "'03:00'"),
        ("P2", "'p2'"),
        ("complaints doubled", "'doubled'"),
        ("a dozen customers", "'dozen'"),
        ("they say “app is totally broken”", "app is totally broken"),
        ("paid 300 twice", "'300'"),
        ("see [F9]", "F9"),
        ("see [Q3]", "Q3"),
        ("", "empty"),
    ],
)
@pytest.mark.parametrize("field", ["title", "engineering", "support", "leadership", "urgency"])
def test_what_is_not_on_the_sheet_is_named_with_its_field(
    field: str, text: str, named: str
) -> None:
    found = problems(brief(**{field: text}))
    assert found
    assert all(p.startswith(f"{field}: ") for p in found)
    assert any(named in p for p in found)


def test_a_summary_sentence_must_name_what_it_rests_on() -> None:
    assert "rests on nothing" in problems(brief(summary=(("49 complaints.", ()),)))[0]
    assert "'r9'" in problems(brief(summary=(("Broken.", ("r9",)),)))[0]
    wrong_fact = problems(brief(summary=(("41% of all.", ("F1",)),)))
    assert wrong_fact == ("summary sentence 1: '41%' is not on the fact sheet",)


def test_a_sentence_may_rest_on_a_review() -> None:
    sentence = ("They write: “app is broken”", ("r2",))
    assert problems(brief(summary=(sentence,))) == ()


def test_an_unknown_owner_and_a_foreign_sheet_are_problems() -> None:
    assert "recommended_owner" in problems(brief(recommended_owner="mallory"))[0]
    assert problems(brief(signal_id="s2"))[0].endswith("of different signals")


def test_no_facts_share_an_id() -> None:
    twice = replace(SHEET, facts=(*SHEET.facts, Fact("F1", "49 and 41% and 1,200 and P1.")))
    assert problems(brief(fact_sheet=twice)) == ("the fact sheet gives one id to several facts",)


@given(st.one_of(st.sampled_from([49, 72, 1200]), st.integers(min_value=0, max_value=10**9)))
def test_no_number_passes_that_is_not_on_the_sheet(number: int) -> None:
    known = {49, 72, 1200}  # written alone: neither a day, nor a percentage, nor a time
    found = problems(brief(product=f"about {number:,} people"))
    assert (found == ()) == (number in known)


@given(st.text(max_size=60))
def test_hostile_text_never_raises(text: str) -> None:
    problems(brief(title=text, support=f"“{text}”", summary=((text, (text,)),)))
