"""Masking: what must go goes, what must stay stays, and what fails goes nowhere."""

import dataclasses
import re
from collections.abc import Sequence

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from closeloop.domain.configuration import PiiRule
from closeloop.errors import SettingsError
from closeloop.ports import Recognised
from closeloop.testing.recognisers import WordRecogniser
from closeloop.text.clean import clean_text
from closeloop.text.pii import Masker, masker_version
from closeloop.text.pii_rules import RULES, Rule
from closeloop.text.tokens import author_key, joinable_token

KEY = bytes(range(32))
MASKER = Masker(key=KEY)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("write to jane.doe+x@mail.example.co.uk today", "write to <EMAIL> today"),
        ("it is jane@ gmail .com", "it is <EMAIL>"),
        ("see https://example.com/a?id=1.", "see <URL>."),
        ("card 4111 1111 1111 1111 charged", "card <CARD> charged"),
        ("IBAN DE89 3704 0044 0532 0130 00 please", "IBAN <IBAN> please"),
        ("ssn 536-90-4399", "ssn <SSN>"),
        ("from 86.231.85.193 again", "from <IP> again"),
        ("from 6e40:4041:c617:e898:c11:40d2:c669:2eb4", "from <IP>"),
        ("call me on 98765 43212", "call me on <PHONE>"),
        ("my no. 9876543212 ok", "my no. <PHONE> ok"),
        ("९८७६५४३२१२ पर", "<PHONE> पर"),
        ("+49 (30) 1234-5678", "<PHONE>"),
        ("(311) 905-4466 x8827", "<PHONE>"),
        ("Call me: +49 151 3226000", "Call me: <PHONE>"),
        ("+44 20 7946 0000", "<PHONE>"),
        ("reach me at 0151 3226000", "reach me at <PHONE>"),
        ("(311) 905-4000", "<PHONE>"),
        ("9876543000 pe call karo", "<PHONE> pe call karo"),
        ("otp is 482913", "otp is <SECRET>"),
        ("Pin code 560001", "Pin code <POSTCODE>"),
        ("PAN AKZPR2345T", "PAN <NATIONAL_ID>"),
        ("aadhaar no 2345 6789 0123", "aadhaar no <NATIONAL_ID>"),
        ("My name is Asha Rao. This app", "My name is <NAME>. This app"),
        ("please help. Regards, Asha", "please help. Regards, <NAME>"),
        ("Mr. Kumar called", "Mr. <NAME> called"),
        ("I live at 12 Baker Street, London", "I live at <ADDRESS>, London"),
    ],
)
def test_personal_data_is_masked(text: str, masked: str) -> None:
    assert MASKER.mask(clean_text(text)) == masked


@pytest.mark.parametrize(
    "text",
    [
        "paid Rs. 1,00,000 and got 50000 back",
        "₹ 5152/- on 9th Dec, 2500000000 rupees",
        "since 2023-02-06 10:15:30 it fails",
        "on 12/03/2023 and 12.03.23",
        "version 2.8.5 and 3.0.1.5 and v12.33.44.55",
        "error 500.-1029 and error code 1029384756",
        "build 20230206117 is broken",
        "4.5 out of 5, 10/10, 100%",
        "my name is not showing",
        "Thank you so much. Regards to all",
        "order 2 pizzas, order 2023, a transaction of 10000",
        "you reach 1250000 customers, 12 500 000 in all, worth 9876540000",
        "waited 30 40 50 60 minutes",
        "1000000000 times better",
        "ratio 16:9 at 12:30:45",
        "PS5 2GB ram, IPL 2022 2023",
        "11111111111 stars",
        "now.so many bugs",
    ],
)
def test_what_is_nobodys_is_left_alone(text: str) -> None:
    assert MASKER.mask(clean_text(text)) == text


def test_order_tokens_join_text_and_column_whatever_the_separators() -> None:
    token = joinable_token("ORDER", "A12-34567", key=KEY)
    assert re.fullmatch(r"<ORDER:[0-9a-f]{16}>", token)
    assert MASKER.mask("my order no: A12-34567 is late") == f"my order no: {token} is late"
    assert MASKER.mask("Order #a1234567!") == f"Order #{token}!"
    assert joinable_token("ORDER", "A12-34567", key=bytes(32)) != token
    assert joinable_token("ACCOUNT", "A12-34567", key=KEY) not in token


def test_a_row_s_own_values_are_masked_where_no_rule_would_see_them() -> None:
    known = {0: (("ORDER", "77-AB"), ("NAME", "Asha Rao"))}
    masked = MASKER.mask_all(pa.array(["77-AB never came. asha rao", "77-AB"]), known=known)
    token = joinable_token("ORDER", "77AB", key=KEY)
    assert masked.texts.to_pylist() == [f"{token} never came. <NAME>", "77-AB"]


def test_nobody_can_forge_a_token() -> None:
    forged = "see <ORDER:0123456789abcdef> and <PHONE>"
    assert MASKER.mask(forged) == "see (order) and (phone)"


def test_author_keys_ignore_case_and_space_and_hide_the_name() -> None:
    assert author_key(" Asha ", key=KEY) == author_key("asha", key=KEY)
    assert author_key("asha", key=KEY) != author_key("asha", key=bytes(32))
    assert author_key("  ", key=KEY) is None


def test_a_failing_rule_lets_nothing_through() -> None:
    def broken(match: re.Match[str]) -> bool:
        raise ValueError(match[0])

    rule = Rule("broken", "X", re.compile("boom"), ("boom",), check=broken)
    masker = dataclasses.replace(MASKER, rules=(rule, *RULES))
    masked = masker.mask_all(pa.array(["boom me@example.com", "fine"]))
    assert masked.texts.to_pylist() == [None, "fine"]
    assert "ValueError" in masked.faults[0]
    assert "boom" not in masked.faults[0]


def test_an_address_that_slipped_through_is_a_fault() -> None:
    masker = Masker(key=KEY, rules=())
    masked = masker.mask_all(pa.array(["a@example.com", "fine"]))
    assert masked.texts.to_pylist() == [None, "fine"]
    assert list(masked.faults) == [0]


def test_own_rules_come_first_and_change_the_version() -> None:
    own = (PiiRule("member", r"MB-\d{3}", "member_id", joinable=True),)
    masker = Masker.of(key=KEY, own=own)
    masked = masker.mask_all(pa.array(["I am MB-123", "no digits"])).texts.to_pylist()
    assert masked == [f"I am {joinable_token('MEMBER_ID', 'MB123', key=KEY)}", "no digits"]
    assert masker.version == masker_version(own) != masker_version()


def test_what_reaches_over_another_rule_s_claim_is_masked_whole() -> None:
    masker = Masker.of(key=KEY, own=(PiiRule("greedy", r"me(?=@)", "WHO"),))
    assert masker.mask("write to me@example.com now") == "write to <WHO> now"


@pytest.mark.parametrize(
    "rule",
    [
        PiiRule("open", "(", "X"),
        PiiRule("empty", "a*", "X"),
        PiiRule("token", "a", "not a name!"),
    ],
)
def test_a_rule_that_cannot_work_is_refused_by_name(rule: PiiRule) -> None:
    with pytest.raises(SettingsError, match=rule.name):
        Masker.of(key=KEY, own=(rule,))


@pytest.mark.parametrize("position", range(len(RULES)), ids=lambda p: RULES[p].name)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_the_first_look_is_a_superset_of_every_rule(position: int, data: st.DataObject) -> None:
    rule = RULES[position]
    drawn = data.draw(st.from_regex(rule.pattern, fullmatch=False))
    text = clean_text(drawn.encode("utf-8", "ignore").decode())
    if any(span.rule == rule.name for span in MASKER.find(text, rules=[position])):
        assert MASKER.look(pa.array([text]))[0, position], text


FRAGMENTS = st.sampled_from(
    ["order no", "Order", "call", "1234", "98765", "43210", "@", "a", ".com", "-", " ", "Ticket",
     "PİN", "my name is", "Asha", "ıd", "२३४", "٣٤٥", "+91", "(", ")", ".", ",", ":", "#", "is",
     "of ", "pin", "code", "otp", "password", "Mr.", "\n", "IBAN", "DE89370400440532013000", "DE89",
     "4111111111111111", "account", "number", "12 Baker Street", "PO Box 7", "ZİP", "SW1A 1AA",
     "aadhaar", "licence", "ref", "phone", "office", "(311) 905-4466", "536-90-4399", "é", "@gmail"]
)  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.lists(FRAGMENTS, max_size=9).map("".join).map(clean_text), min_size=1, max_size=30)
)
def test_looks_hold_wherever_their_rules_find_something_among_cues(texts: list[str]) -> None:
    looked = MASKER.look(pa.array(texts, pa.string()))
    for row, text in enumerate(texts):
        for position, rule in enumerate(RULES):
            found = any(s.rule == rule.name for s in MASKER.find(text, rules=[position]))
            assert looked[row, position] or not found, (rule.name, text)


@settings(max_examples=200, deadline=None)
@given(st.lists(FRAGMENTS, max_size=8).map("".join).map(clean_text))
def test_masking_a_batch_equals_masking_each_text_by_all_rules(text: str) -> None:
    batch = MASKER.mask_all(pa.array([text])).texts.to_pylist()[0]
    assert batch is None or batch == MASKER.mask(text)


@given(st.text(max_size=60).map(clean_text))
def test_any_text_is_masked_without_an_error(text: str) -> None:
    masked = MASKER.mask_all(pa.array([text], pa.string()))
    assert not any("failed" in fault for fault in masked.faults.values())


def _with(recogniser: WordRecogniser) -> Masker:
    return Masker.of(key=KEY, recogniser=recogniser)


def test_a_model_masks_what_rules_leave_and_rules_come_first() -> None:
    masker = _with(WordRecogniser(["Asha Rao", "jane@example.com now", "Ravi"]))
    masked = masker.mask_all(pa.array(["so Asha Rao said", "mail jane@example.com now", None]))
    assert masked.texts.to_pylist() == ["so <NAME> said", "mail <EMAIL>", None]
    assert masker.version.startswith(f"{masker_version()} with words-")


def test_prices_dates_and_versions_stay_whatever_a_model_says() -> None:
    masker = _with(WordRecogniser(["500", "2.8.5", "Asha"]))
    texts = ["paid Rs 500 to Asha", "since version 2.8.5"]
    assert masker.mask_all(pa.array(texts)).texts.to_pylist() == ["paid Rs 500 to <NAME>", texts[1]]


def test_where_the_model_fails_only_that_text_goes_nowhere() -> None:
    masker = _with(WordRecogniser(["Asha"], fails_on="boom"))
    masked = masker.mask_all(pa.array(["Asha one", "boom Asha", "two"]))
    assert masked.texts.to_pylist() == ["<NAME> one", None, "two"]
    assert list(masked.faults) == [1]
    assert "RecogniserFaultError" in masked.faults[1]


def test_an_answer_outside_its_text_is_a_fault() -> None:
    class Wrong(WordRecogniser):
        def recognise(self, texts: Sequence[str]) -> list[list[Recognised]]:
            return [[Recognised(0, len(text) + 1, "NAME")] for text in texts]

    masked = _with(Wrong([])).mask_all(pa.array(["fine"]))
    assert masked.texts.to_pylist() == [None]


def test_a_token_of_the_model_cannot_be_forged() -> None:
    masker = _with(WordRecogniser([], token="PLACE"))
    assert masker.mask("a <PLACE> b") == "a (place) b"


@pytest.mark.parametrize(
    ("asked", "texts"),
    [
        ("names", ["then Ravindra called", "Regards\nravi", "mr ravi"]),
        ("numbers", ["then Ravindra called", "Regards\nravi", "mr ravi", "it is 987654"]),
        ("all", None),
    ],
)
def test_a_model_is_asked_of_likely_texts_only(asked: str, texts: list[str] | None) -> None:
    given = [
        "then Ravindra called", "Regards\nravi", "mr ravi", "it is 987654", "Great app", "use Paytm",
        "Very Nice App For Payment", "ok. Good", "slow after UPI failed",
    ]  # fmt: skip
    model = WordRecogniser([], asked=asked)
    _with(model).mask_all(pa.array(given))
    assert model.seen == (given if texts is None else texts)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(alphabet="Asha Ravi@12.", max_size=20).map(clean_text), max_size=6))
def test_with_a_model_a_batch_gives_what_each_text_alone_gives(texts: list[str]) -> None:
    masker = _with(WordRecogniser(["Asha", "avi"], asked="names"))
    together = masker.mask_all(pa.array(texts, pa.string())).texts.to_pylist()
    alone = [masker.mask_all(pa.array([t], pa.string())).texts.to_pylist()[0] for t in texts]
    assert together == alone
