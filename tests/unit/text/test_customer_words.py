"""Of a ticket the customer's own words are kept; what is no ticket stays as it is."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from closeloop.text.customer_words import customer_words, looks_like_ticket, shapes_of

SAID = "The payout of last week has not arrived and the bank sees no transfer at all."


def _lines(*lines: str) -> str:
    return "\n".join(lines)


@pytest.mark.parametrize(
    "line",
    [
        "> Hi, please allow two more days for the transfer to arrive.",
        "On Tue, 13 Feb 2024 at 14:02, Support <<EMAIL>> wrote:",
        "Am 13.02.2024 um 14:02 schrieb Support <<EMAIL>>:",
        "Hello,",
        "Dear support team,",
        "Sent from my iPhone",
        "Get Outlook for Android",
        "This e-mail and any attachments are confidential and intended solely for the addressee.",
        "at io.shop.app.Images.copy(Images.kt:88)",
        "java.lang.SecurityException: Permission Denial: com.shop.media/picker uri=content://7",
        "03-01 14:22:11.002 W/Link: gatt status=8 CONN_TIMEOUT",
        'POST /auth/refresh 401 {"error":"invalid_grant"}',
        "HTTP/1.1 429 Too Many Requests",
        "X-RateLimit-Limit: 40",
        "20:05 200 9.80s",
    ],
)
def test_lines_that_no_customer_has_written_go(line: str) -> None:
    assert customer_words(_lines("Payout is late", line, SAID)) == _lines("Payout is late", SAID)


@pytest.mark.parametrize(
    "signature",
    [
        ("Kind regards,", "Oriana Feld", "Feld & Clay", "Unit 4, The Old Dairy"),
        ("Many thanks", "Oriana"),
        ("Best, Oriana Feld",),
        ("Mit freundlichen Grüßen", "Oriana Feld"),
        ("--", "Feld & Clay Ltd, registered in Leeds, number <NUMBER>"),
        ("Oriana Feld", "Feld & Clay"),
        ("Thank you for looking into it", "Oriana"),
    ],
)
def test_a_signature_goes(signature: tuple[str, ...]) -> None:
    assert customer_words(_lines("Payout is late", SAID, *signature)) == _lines(
        "Payout is late", SAID
    )


@pytest.mark.parametrize(
    "text",
    [
        SAID,
        "good app",
        "",
        "Best app I ever used",
        _lines(
            "Battery is bad", "screen is dim", "no sound on calls", "and no help from the chat."
        ),
        "アプリが起動しません。\n昨日のアップデートからです。\n早く直してください。",
        _lines("the tax is wrong", "AADSTS50011: The reply URL in the request does not match"),
    ],
)
def test_what_holds_only_words_stays_as_it_is(text: str) -> None:
    assert customer_words(text) == text


def test_all_below_a_forwarded_message_goes() -> None:
    text = _lines(
        "Payout is late", SAID, "-----Original Message-----", "From: Petra", "Please wait."
    )
    assert customer_words(text) == _lines("Payout is late", SAID)


def test_a_subject_loses_its_marks_only() -> None:
    assert customer_words(_lines("Re: [#88213] Deposits not landing", SAID)) == _lines(
        "Deposits not landing", SAID
    )


def test_fields_of_a_form_go_but_what_is_said_in_one_stays() -> None:
    text = _lines("Name: <NAME>", "Shop ID: 4711", f"Description: {SAID}", "Subject: other")
    template = {"name:", "shop id:", "description:"}
    assert customer_words(text, template=template) == _lines(SAID, "Subject: other")
    assert customer_words(text) == text, "nothing is known of a form that was seen once"


def test_shapes_are_the_same_however_a_template_is_filled_in() -> None:
    one = shapes_of(_lines("Shop ID: 4711", "Case 12 of <EMAIL>", "> quoted"))
    other = shapes_of(_lines("Shop ID: none yet", "case 9 of <EMAIL:3f>", "> other"))
    assert one == other == {"shop id:", "case 0 of 0"}


def test_where_nothing_would_be_left_it_stays() -> None:
    quoted = _lines("> all of it stands", "> in quoted lines of the customer", "> himself")
    assert customer_words(quoted) == quoted
    log = _lines("E/Txn: aborted READER_DISCONNECTED=1", "E/Txn: aborted READER_GONE=2")
    assert customer_words(log) == log


def test_only_long_texts_of_several_lines_look_like_tickets() -> None:
    texts = pa.array([SAID, _lines("a", "b", "c"), _lines("Hello,", SAID, SAID), None, ""])
    assert looks_like_ticket(texts).tolist() == [False, False, True, False, False]


LINES = st.lists(
    st.one_of(
        st.text(st.characters(blacklist_characters="\n", blacklist_categories=["Cs"]), max_size=40),
        st.sampled_from(
            ["Hello,", "> quoted", "Regards", "--", SAID, "Name: x", "at a.b(c)", "_" * 12]
        ),
    ),
    max_size=12,
)


@given(LINES, st.sets(st.sampled_from(["name:", "hello,", "regards"])))
def test_the_words_are_lines_of_the_text_in_order_and_never_none(
    lines: list[str], template: set[str]
) -> None:
    text = "\n".join(lines)
    words = customer_words(text, template=template)
    left = iter(text.split("\n"))
    assert all(any(word in line for line in left) for word in words.split("\n"))
    assert bool(words) == bool(text.strip())
