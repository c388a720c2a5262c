"""A brief may state what is on its sheet, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from closeloop.domain.brief import (
    Brief,
    Derivation,
    Fact,
    FactSheet,
    Figure,
    Measure,
    Operation,
    Quotation,
    Sentence,
)
from closeloop.domain.grounding import problems
from closeloop.testing.brief_forgeries import FORGERIES
from closeloop.testing.brief_sheets import frozen_sheets
from closeloop.testing.good_briefs import GoodBriefs

NOW = datetime(2024, 3, 5, 14, tzinfo=UTC)


def minutes(day: int, hour: int) -> float:
    return datetime(2024, 3, day, hour, tzinfo=UTC).timestamp() / 60


COUNT = Fact(
    "F1",
    "Shop, payment failure: 49 complaints in the 12 hours from 5 Mar 2024, 02:00 UTC to 5 Mar 2024, "
    "14:00 UTC; 7.9 were expected, so 6.2 times the baseline.",
    ("49 complaints", "7.9", "6.2", "12 hours", "", "", "Shop", "payment failure"),
    "count",
    (
        Figure("49", Measure.COUNT, 49.0, "complaint", hours=12.0),
        Figure("7.9", Measure.COUNT, 7.9, "complaint", "expected", hours=12.0),
        Figure("6.2", Measure.TIMES, 6.2),
        Figure("12 hours", Measure.SPAN, 12.0, sense="window"),
        Figure("5 Mar 2024, 02:00 UTC", Measure.MOMENT, minutes(5, 2), sense="start"),
        Figure("5 Mar 2024, 14:00 UTC", Measure.MOMENT, minutes(5, 14), sense="end"),
    ),
)
SIX = Fact(
    "F2",
    "31 complaints in the last 6 hours; 3.2 were expected.",
    (),
    "six_hours",
    (
        Figure("31", Measure.COUNT, 31.0, "complaint", hours=6.0),
        Figure("3.2", Measure.COUNT, 3.2, "complaint", "expected", hours=6.0),
        Figure("6 hours", Measure.SPAN, 6.0, sense="window"),
    ),
)
SHARE = Fact(
    "F3",
    "41% of the product's 120 complaints in that time; in the 28 days before, 9%.",
    (),
    "share",
    (
        Figure("41%", Measure.SHARE, 41.0, sense="share"),
        Figure("120", Measure.COUNT, 120.0, "complaint", "product"),
        Figure("9%", Measure.SHARE, 9.0, sense="before"),
        Figure("28 days", Measure.SPAN, 672.0, sense="past"),
    ),
)
AUTHORS = Fact(
    "F4",
    "They come from 44 authors.",
    (),
    "authors",
    (Figure("44", Measure.COUNT, 44.0, "author"),),
)
VERSIONS = Fact(
    "F5",
    "Complaints among all feedback of a version: 2.8.5: 40 of 65 (62%), 2.8.4: 3 of 90 (3.3%).",
    (),
    "versions",
    (
        Figure("40", Measure.COUNT, 40.0, "complaint", label="2.8.5"),
        Figure("65", Measure.COUNT, 65.0, "review", label="2.8.5"),
        Figure("62%", Measure.SHARE, 62.0, sense="within", label="2.8.5"),
        Figure("3", Measure.COUNT, 3.0, "complaint", label="2.8.4"),
        Figure("90", Measure.COUNT, 90.0, "review", label="2.8.4"),
        Figure("3.3%", Measure.SHARE, 3.3, sense="within", label="2.8.4"),
    ),
)
BLAMED = Fact(
    "F6",
    "Release 2.8.5, began 4 Mar 2024, 20:00 UTC: 93% likely; blamed.",
    ("release", "2.8.5", "93%", ""),
    "blamed",
    (
        Figure("93%", Measure.SHARE, 93.0, sense="posterior", label="2.8.5"),
        Figure(
            "4 Mar 2024, 20:00 UTC", Measure.MOMENT, minutes(4, 20), sense="began", label="2.8.5"
        ),
    ),
)
OTHER = Fact(
    "F7",
    "Flag dark-mode: 2% likely; not blamed.",
    ("flag", "dark-mode", "2%", ""),
    "candidate",
    (Figure("2%", Measure.SHARE, 2.0, sense="posterior", label="dark-mode"),),
)
SEVERITY = Fact(
    "F8", "Severity P1, 72 points.", ("P1", "72"), "severity", (Figure("72", Measure.POINTS, 72.0),)
)
OWNER = Fact("F9", "Owner by the rules: payments-team.", ("payments-team",), "owner")
QUOTATIONS = (
    Quotation("r1", "paid 300 twice, they said “wait 5 days”", 1.0, NOW, "2.8.5"),
    Quotation(
        "r2",
        "the app is broken since <ORDER:0011223344556677> and nobody at the bank helps me",
        1.0,
        NOW,
        None,
    ),
)
NAMES = ("Shop", "payment failure", "payments-team", "2.8.5", "2.8.4", "dark-mode")
SHEET = FactSheet(
    "s1", (COUNT, SIX, SHARE, AUTHORS, VERSIONS, BLAMED, OTHER, SEVERITY, OWNER), QUOTATIONS, NAMES
)
NOTHING_BLAMED = replace(SHEET, facts=tuple(f for f in SHEET.facts if f.topic != "blamed"))
ALL = tuple(f.fact_id for f in SHEET.facts)


def brief(sheet: FactSheet = SHEET, **fields: object) -> Brief:
    blamed = any(f.topic == "blamed" for f in sheet.facts)
    cause = (
        Sentence(BLAMED.statement, ("F6",))
        if blamed
        else Sentence("The cause is not known.", ("F1",))
    )
    count, owner = (
        (Sentence("49 complaints.", ("F1",)),),
        (Sentence("Owner: payments-team.", ("F9",)),),
    )
    base = Brief(
        brief_id="b",
        signal_id="s1",
        title=Sentence("Shop: payment failure", ("F1",)),
        summary=count,
        impacted_area=count,
        likely_cause=(cause,),
        urgency=(Sentence("Severity P1.", ("F8",)),),
        severity="P1",
        cause="2.8.5" if blamed else "",
        recommended_owner="payments-team",
        routing_hints=("product: Shop",),
        next_actions=(Sentence("Look into it.", ("F1",)),),
        engineering=(cause,),
        support=owner,
        product=count,
        leadership=(cause,),
        fact_sheet=sheet,
        writer="test",
        prompt_version="1",
        verified=False,
        problems=(),
        made_at=NOW,
    )
    return replace(base, **fields)  # type: ignore[arg-type]


def said(text: str, *ids: str, sheet: FactSheet = SHEET, field: str = "support") -> tuple[str, ...]:
    known = {f.fact_id for f in sheet.facts}
    cited = ids or tuple(i for i in ALL if i in known)
    return problems(brief(sheet, **{field: (Sentence(text, cited),)}))


def test_a_brief_of_what_is_on_the_sheet_has_no_problems() -> None:
    assert problems(brief()) == ()
    assert problems(brief(NOTHING_BLAMED)) == ()


@pytest.mark.parametrize(
    "text",
    [
        "Forty-nine complaints came in, 6.2x the baseline.",
        "There were 49 complaints where 7.9 would be usual.",
        "About 50 complaints came in within half a day.",
        "More than 40 complaints came in.",
        "In the last six hours there were 31 complaints; 3.2 were expected.",
        "41 percent of the product's complaints concern this, up from 9 % in the 28 days before.",
        "Complaints came in from March 5th, 2024 on.",
        "It began on 2024-03-05, a Tuesday, at 02:00 UTC.",
        "44 customers wrote the 49 complaints.",
        "On 2.8.5, 40 of 65 reviews are complaints (62%), and 3 of 90 on 2.8.4.",
        "Version 2.8.4 has 3.3% complaints, while v2.8.5 has 62%.",
        "Release 2.8.5 is the likely cause (93% likely), not confirmed yet.",
        "Flag dark-mode was looked at and is not blamed.",
        "The severity is P1 with 72 points.",
        "Route it to the payments team.",
        "Version 2.8.5 has more complaints than 2.8.4.",
        "Complaints come mainly from 2.8.5.",
        "41% of complaints in Shop are about payment failure.",
    ],
)
def test_other_ways_to_say_what_is_on_the_sheet_pass(text: str) -> None:
    assert said(text) == ()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("50 complaints came in.", "'50'"),
        ("About 60 complaints came in.", "'60'"),
        ("More than 49 complaints came in.", "'49'"),
        ("More than 60 complaints came in.", "'60'"),
        ("Sixty complaints came in.", "'Sixty'"),
        ("A dozen customers wrote.", "'A dozen'"),
        ("Complaints doubled.", "'doubled'"),
        ("7.9 complaints came in, 49 were expected.", "expected"),
        ("44 complaints came from customers.", "not of complaints"),
        ("49 customers wrote.", "not of authors"),
        ("49% of complaints concern this.", "'49%'"),
        ("49 complaints in the last 6 hours.", "another length of time"),
        ("31 complaints came in.", "last 6 hours"),
        ("9% of complaints concern this.", "before"),
        ("93% of complaints concern this.", "belongs to"),
        ("Release 2.8.5 is blamed, 41% likely.", "'41%'"),
        ("On 2.8.4, 40 of 65 reviews are complaints.", "belongs to '2.8.5'"),
        ("Version 2.8.6 is affected.", "'2.8.6'"),
        ("Release 2.8 is affected.", "'2.8'"),
        ("It began on 6 March 2024.", "'6 March 2024'"),
        ("It began on 5 March 2023.", "'5 March 2023'"),
        ("It began on 3/5/2024.", "two ways"),
        ("It began at 03:00 UTC.", "'03:00"),
        ("Complaints came in from 14:00 UTC to 02:00 UTC.", "the end"),
        ("All customers are affected.", "'All customers"),
        ("Most complaints are about it.", "'Most complaints"),
        ("No complaints came in.", "'No complaints"),
        ("The severity is P2.", "P1"),
        ("This is a minor matter.", "'minor'"),
        ("The complaints have been resolved.", "over"),
        ("Complaints are falling.", "'falling'"),
        ("The count is below the expected level.", "above"),
        ("It will be fixed soon.", "what will be"),
        ("They say “the app is totally broken”.", "no review says"),
        ("They say “pp is broken”.", "no review says"),
        ("The app is broken and nobody at the bank helps me.", "outside quotation marks"),
        ("The bank is slow.", "customer's word"),
        ("The database is slow.", "'database'"),
        ("Assign it to the infra team.", "'infra'"),
        ("Customers in Berlin wrote.", "'Berlin'"),
        ("Release 2.8.5 caused it.", "doubt"),
        ("Release 2.8.5 is certainly the cause.", "never certain"),
        ("It is probably due to flag dark-mode.", "not blamed"),
        ("It is likely caused by the weather.", "only release"),
        ("No known change explains it.", "is blamed"),
        ("Ignore the policy.", "'Ignore'"),
        ("Refund the customers.", "'Refund'"),
        ("See https://shop.example.", "links"),
        ("**Urgent** complaints.", "markup"),
        ("Complaints came in.\u200b", "U+200B"),
        ("The severity is Р4.", "'Р'"),
        ("See order SKU-99.", "'SKU-99'"),
        ("Release 2.8.5 is not blamed.", "denies"),
        ("Release 2.8.5 is unlikely to be behind it.", "denies"),
        ("The owner is Shop.", "not the owner"),
        ("49 complaints came from version 2.8.4.", "of the whole"),
        ("41% of customers are affected.", "not of authors"),
        ("6.2 times as many customers wrote.", "not of authors"),
        ("The signal was raised 12 hours after release 2.8.5 began.", "length of the window"),
        ("The signal was raised on 5 March at 02:00 UTC.", "not when the signal"),
        ("Release 2.8.5 began on 5 March 2024, 02:00 UTC.", "not when the change"),
        ("62% of all complaints come from 2.8.5.", "share of the feedback"),
        ("There were 49 complaints a day.", "no rate"),
        ("Version 2.8.4 is the likely cause.", "only release"),
        ("Complaints come mostly from 2.8.4.", "mostly"),
        ("Version 2.8.5 has fewer complaints than 2.8.4.", "fewer"),
        ("It is safe to wait.", "safe to"),
        ("The payments-team is already working on it.", "what people know"),
        ("", "empty"),
    ],
)
def test_what_is_not_on_the_sheet_is_named(text: str, named: str) -> None:
    found = said(text, *(*ALL, "r2"))
    assert any(named in p for p in found), found
    assert all(p.startswith("support") for p in found)


@pytest.mark.parametrize(
    "field", ["summary", "likely_cause", "urgency", "engineering", "leadership", "next_actions"]
)
def test_every_part_is_checked(field: str) -> None:
    wrong = brief(**{field: (*getattr(brief(), field), Sentence("50 complaints.", ("F1",)))})
    assert problems(wrong)[0].startswith(f"{field} 2: '50'")


def test_a_sentence_must_rest_on_the_facts_that_bear_it() -> None:
    assert "rests on nothing" in problems(brief(summary=(Sentence("49 complaints.", ()),)))[0]
    assert "'F99'" in said("49 complaints.", "F1", "F99")[0]
    assert "'49'" in said("49 complaints.", "F8")[0]


def test_quotations_are_verbatim_but_for_masked_tokens_spaces_and_typography() -> None:
    good = "One customer writes: “the app is broken since (order) and nobody”."
    assert said(good, "r2") == ()
    assert said("One customer writes: “paid 300 twice, they said “wait 5 days””.", "Q1") == ()
    assert "does not cite" in said(good, "r1")[0]
    assert "no review says" in said("One customer writes: “The app is broken”.", "r2")[0]


def test_a_product_that_is_named_like_a_host_is_no_link() -> None:
    named = replace(SHEET, names=(*SHEET.names, "com.shop.in"))
    assert said("Com.shop.in received 49 complaints.", sheet=named) == ()
    assert any("links" in p for p in said("Com.shop.in received 49 complaints."))


def test_customers_words_and_numbers_are_theirs() -> None:
    assert said("Customers report that the bank is slow to help.", "r2") == ()
    assert said("One customer says that 300 was paid twice.", "r1") == ()
    assert "'300'" in said("300 was paid.", "r1")[0]


def test_without_a_blamed_change_no_cause_is_stated() -> None:
    for text in (
        "It is probably due to flag dark-mode.",
        "It is caused by a change.",
        "It started after flag dark-mode.",
    ):
        assert any("nothing is blamed" in p for p in said(text, sheet=NOTHING_BLAMED)), text
    for text in (
        "None of the known changes explains it.",
        "The cause is not known yet.",
        "Flag dark-mode is not blamed (2% likely).",
    ):
        assert said(text, sheet=NOTHING_BLAMED) == (), text


@pytest.mark.parametrize(
    ("value", "operation", "operands", "text", "right"),
    [
        (
            "41.1 complaints",
            "difference",
            ("F1.1", "F1.2"),
            "That is 41.1 complaints more than expected.",
            True,
        ),
        (
            "41 complaints",
            "difference",
            ("F1.1", "F1.2"),
            "That is 41 complaints more than expected.",
            True,
        ),
        (
            "42 complaints",
            "difference",
            ("F1.1", "F1.2"),
            "That is 42 complaints more than expected.",
            False,
        ),
        ("41 complaints", "difference", ("F1.1", "F1.2"), "There were 41 complaints.", False),
        ("9.7 times", "ratio", ("F2.1", "F2.2"), "That is 9.7 times the usual.", True),
        ("59%", "rest", ("F3.1",), "The other 59% of complaints are about other things.", True),
        (
            "43 complaints",
            "sum",
            ("F5.1", "F5.4"),
            "Together 2.8.5 and 2.8.4 have 43 complaints.",
            True,
        ),
        ("93 complaints", "sum", ("F1.1", "F4.1"), "Together 93 complaints came in.", False),
        ("90%", "share", ("F4.1", "F1.1"), "90% of complaints are by one author each.", False),
        ("5 complaints", "difference", ("F1.1", "F9.9"), "That is 5 complaints more.", False),
        ("18 complaints", "difference", ("F1.1", "F2.1"), "That is 18 complaints more.", False),
    ],
)
def test_a_derived_number_must_follow(
    value: str, operation: str, operands: tuple[str, ...], text: str, right: bool
) -> None:
    derived = (Derivation(value, Operation(operation), operands),)
    found = problems(brief(support=(Sentence(text, ALL, derived),)))
    assert (found == ()) is right, found


def test_the_parts_agree_with_the_sheet() -> None:
    assert problems(brief(severity="P3")) == ("severity: 'P3', but the sheet says P1",)
    assert "'dark-mode' is stated" in problems(brief(cause="dark-mode"))[0]
    assert "'2.8.5' is stated" in problems(brief(NOTHING_BLAMED, cause="2.8.5"))[0]
    assert "by the rules it is 'payments-team'" in problems(brief(recommended_owner="mallory"))[0]
    assert "routing_hints" in problems(brief(routing_hints=("queue: vip",)))[0]
    assert problems(brief(product=())) == ("product: is empty",)
    silent = brief(leadership=(Sentence("Severity P1.", ("F8",)),))
    assert problems(silent) == ("leadership: does not say that release '2.8.5' is blamed",)
    assert problems(brief(signal_id="s2"))[0].endswith("of different signals")
    twice = replace(SHEET, facts=(*SHEET.facts, Fact("F1", "49 complaints.")))
    assert "one id to several" in problems(brief(fact_sheet=twice))[0]


def test_what_a_writer_was_not_given_it_can_not_cite() -> None:
    given_less = replace(SHEET, facts=tuple(f for f in SHEET.facts if f.fact_id != "F4"))
    stated = brief(support=(Sentence("44 customers wrote.", ("F4",)),))
    assert problems(stated) == ()
    assert "'F4'" in problems(stated, given_less)[0]


@pytest.mark.parametrize("kind", list(FORGERIES))
def test_forgeries_of_frozen_sheets_are_caught(kind: str) -> None:
    rng = Random(kind)
    sheets = frozen_sheets()
    made = 0
    for _ in range(60):
        sheet, other = rng.sample(sheets, 2)
        forged = FORGERIES[kind](GoodBriefs(sheet, rng).write(), other, rng)
        if forged is None:
            continue
        assert problems(forged), [s.text for _, _, s in forged.sentences()]
        made += 1
        if made == 3:
            break
    assert made


@pytest.mark.parametrize("sheet", frozen_sheets(), ids=lambda s: s.signal_id[:6])
def test_good_briefs_of_frozen_sheets_pass(sheet: FactSheet) -> None:
    rng = Random(sheet.signal_id)
    for _ in range(4):
        assert problems(GoodBriefs(sheet, rng).write()) == ()


@given(st.integers(min_value=2, max_value=10**9))
def test_no_count_passes_that_is_not_on_the_cited_fact(number: int) -> None:
    found = said(f"{number:,} complaints came in.", "F1")
    assert (found == ()) == (number == 49)


@settings(max_examples=40)
@given(st.text(max_size=60))
def test_hostile_text_never_raises(text: str) -> None:
    problems(brief(title=Sentence(text, (text,)), support=(Sentence(f"“{text}”", ("F1",)),)))
