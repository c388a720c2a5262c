"""Languages, with unknown as an answer."""

import csv
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from closeloop.text.clean import clean
from closeloop.text.language import UNKNOWN, detect, detect_batch
from closeloop.text.language_gate import LanguageGate


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("good", "en"),
        ("very nice app", "en"),
        ("this is good online टारंगेक्शन app", "en"),
        ("फक्कडछबंठठहपनवपटहजनसट", UNKNOWN),
        ("খকখজ", UNKNOWN),
        ("ौऔौऔौौऔइ", UNKNOWN),
        ("बचपन से अच्छा", "hi"),
        ("Goooood app", "en"),
        ("The app crashes whenever I open the payment screen", "en"),
        ("bahut accha app hai", "hi-Latn"),
        ("paisa kat gaya lekin recharge nahi hua", "hi-Latn"),
        ("bekar app", "hi-Latn"),
        ("बहुत अच्छा", "hi"),
        ("சூப்பர்", "ta"),
        ("좋은 앱", "ko"),
        ("とても良いアプリ", "ja"),
        ("很好", "zh"),
        ("очень хорошее приложение, всем советую", "ru"),
        ("L'application ne fonctionne plus depuis la dernière mise à jour", "fr"),
        ("Die App stürzt nach dem letzten Update ständig ab", "de"),
        ("ok", UNKNOWN),
        ("Hsavjo", UNKNOWN),
        ("👍👍", UNKNOWN),
        ("12345 !!", UNKNOWN),
        ("<PHONE> <ORDER:0123456789abcdef>", UNKNOWN),
        ("", UNKNOWN),
    ],
)
def test_language(text: str, language: str) -> None:
    answer = detect([text])[0]
    assert (answer.language if answer.confidence >= 0.6 else UNKNOWN) == language


def test_a_batch_answers_in_order_with_nulls_as_unknown() -> None:
    answers = detect_batch(pa.array(["good", None, "बहुत अच्छा", "good"]))
    assert answers.field("language").to_pylist() == ["en", UNKNOWN, "hi", "en"]


def _gate_columns(rows: list[tuple[str, str, float, int]]) -> dict[str, pa.Array]:
    sources, languages, confidences, words = zip(*rows, strict=True)
    return {
        "sources": pa.array(sources),
        "languages": pa.array(languages),
        "confidences": pa.array(confidences),
        "words": pa.array(words),
    }


def test_a_language_that_a_source_has_not_shown_needs_more() -> None:
    doubtful = [("play", "it", 0.7, 4)]
    gated = pa.array([True])
    empty = LanguageGate.from_bytes(None)
    assert empty.apply(**_gate_columns(doubtful), gated=gated).to_pylist() == [UNKNOWN]
    assert empty.apply(**_gate_columns([("play", "it", 0.85, 6)]), gated=gated).to_pylist() == [
        "it"
    ]
    shown = empty.after(**_gate_columns([("play", "it", 0.95, 12)] * 5))
    assert shown.apply(**_gate_columns(doubtful), gated=gated).to_pylist() == ["it"]
    other = [("web", "it", 0.7, 4)]
    assert shown.apply(**_gate_columns(other), gated=gated).to_pylist() == [UNKNOWN]


def test_words_of_many_languages_are_english_only_where_no_other_is_shown() -> None:
    answers = detect(["Super application", "excellent"])
    assert all(a.language == "en" and a.gated for a in answers)
    columns = _gate_columns([("play", "en", 0.6, 2)])
    gated = pa.array([True])
    indian = LanguageGate.from_bytes(None).after(
        **_gate_columns([("play", "hi-Latn", 0.95, 9)] * 5)
    )
    french = indian.after(**_gate_columns([("play", "fr", 0.95, 9)] * 5))
    assert indian.apply(**columns, gated=gated).to_pylist() == ["en"]
    assert french.apply(**columns, gated=gated).to_pylist() == [UNKNOWN]


def test_the_gate_is_remembered_and_stops_growing() -> None:
    rows = [("play", "de", 0.95, 12)] * 7
    once = LanguageGate.from_bytes(None).after(**_gate_columns(rows))
    again = LanguageGate.from_bytes(once.to_bytes()).after(**_gate_columns(rows))
    assert again.to_bytes() == once.to_bytes()


FIXTURE = Path(__file__).parents[2] / "fixtures" / "review_languages.csv"
REVIEWS = Path(__file__).parents[4] / "shared" / "data" / "play_reviews.parquet"


def _read_by_hand() -> list[dict[str, str]]:
    with FIXTURE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def test_the_labelled_sample_is_whole() -> None:
    rows = _read_by_hand()
    assert len({row["review_id"] for row in rows}) == len(rows) == 480
    assert sum(row["draw"] == "1" for row in rows) == 420
    assert all(row["language"] for row in rows)


@pytest.mark.realdata
def test_languages_of_real_reviews_are_those_that_a_reader_saw() -> None:
    if not REVIEWS.exists():
        pytest.skip("../shared/data/play_reviews.parquet is absent")
    reviews = pq.read_table(REVIEWS, columns=["app", "review_id", "content"])
    answers = detect_batch(clean(reviews["content"].cast(pa.string()).combine_chunks()))
    columns = {
        "sources": reviews["app"].cast(pa.string()).combine_chunks(),
        "languages": answers.field("language"),
        "confidences": answers.field("confidence"),
        "words": answers.field("words"),
    }
    gate = LanguageGate.from_bytes(None).after(**columns)
    told = gate.apply(**columns, gated=answers.field("gated")).to_pylist()
    by_id = dict(zip(reviews["review_id"].to_pylist(), told, strict=True))
    rows = [(by_id[r["review_id"]], r["language"]) for r in _read_by_hand() if r["draw"] == "1"]
    answered = [(one, said.split("|")) for one, said in rows if one != UNKNOWN]
    assert sum(one not in said for one, said in answered) <= 0.03 * len(answered)
    assert sum(one == UNKNOWN and "none" not in said for one, said in rows) <= 0.2 * len(rows)
    romanised = [one for one, said in rows if said == "hi-Latn"]
    assert romanised.count("hi-Latn") >= 0.8 * len(romanised)


_PIECES = st.sampled_from([
    "good", "app", "super", "bahut accha", "hai", "don't", "a'b'c", "'tis", "it’s", "très", "👍",
    "goooood", "vvv", "नहीं", "хорошо", "<EMAIL:12ab>", "12", "café", "₹500", "①", "\t", "\x0b"
])  # fmt: skip


@given(st.lists(st.lists(_PIECES, max_size=5).map(" ".join), min_size=1, max_size=6))
def test_a_text_is_answered_alike_alone_and_among_others(texts):
    together = detect(texts)
    assert together == [detect([text])[0] for text in texts]
    assert all(0 <= answer.confidence <= 1 for answer in together)
