"""Duplicates: copies are found, short texts are not copies, batches change nothing."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from closeloop.text.duplicates import DuplicateMemory, Links, comparable, eligible

START = datetime(2024, 1, 1, tzinfo=UTC)
LONG = "The payment failed three times today and nobody from support answers my mails at all"


def _link(
    memory: DuplicateMemory,
    texts: Sequence[str],
    *,
    days: Sequence[float] | None = None,
    authors: Sequence[str | None] | None = None,
    first: int = 0,
) -> Links:
    days = days or [float(i) / 24 for i in range(first, first + len(texts))]
    return memory.link(
        feedback_ids=pa.array([f"f{first + i:05d}" for i in range(len(texts))]),
        texts=pa.array(texts),
        times=pa.array([START + timedelta(days=d) for d in days], pa.timestamp("us", tz="UTC")),
        authors=pa.array(authors or [None] * len(texts), pa.string()),
    )


def test_short_common_texts_are_no_duplicates() -> None:
    links = _link(DuplicateMemory(), ["good app", "good app", "very good app"])
    assert links.duplicate_of == [None, None, None]
    assert eligible(comparable(pa.array(["good app", LONG, None]))).to_pylist() == [
        False,
        True,
        False,
    ]


def test_a_copy_points_to_the_first_of_its_kind() -> None:
    texts = [
        LONG,
        LONG.upper() + "!!",
        "Something else that is long enough to be compared here",
        LONG,
    ]
    links = _link(DuplicateMemory(), texts)
    assert links.duplicate_of == [None, "f00000", None, "f00000"]


def test_a_copy_after_the_window_is_a_new_report() -> None:
    links = _link(DuplicateMemory(), [LONG, LONG], days=[0, 15])
    assert links.duplicate_of == [None, None]


def test_another_revision_of_the_same_feedback_is_no_copy_of_it() -> None:
    memory = DuplicateMemory()
    _link(memory, [LONG], days=[0])
    assert _link(memory, [LONG + " Edit: still broken."], days=[1]).duplicate_of == [None]


def test_the_same_author_s_repeats_are_counted_and_others_are_a_campaign() -> None:
    links = _link(DuplicateMemory(), [LONG] * 4, authors=["a", "a", "a", "b"])
    assert links.repeats == [0, 1, 2, 0]
    assert links.duplicate_of == [None, "f00000", "f00000", "f00000"]
    assert links.campaign_id == [None, None, None, "f00000"]


def test_a_filled_in_template_of_several_authors_is_linked() -> None:
    template = "Dear team, my {} is not working since {} and I want my money back, please {} soon"
    texts = [
        template.format("wallet", "monday", "answer"),
        template.format("card", "june", "react"),
    ]
    links = _link(DuplicateMemory(), texts, authors=["a", "b"])
    assert links.campaign_id[1] == "f00000"


def _corpus(count: int, *, seed: int) -> list[str]:
    rng = random.Random(seed)
    words = [f"{a}{b}" for a in ("pay", "card", "log", "sup", "err", "upd") for b in range(60)]
    texts = []
    for position in range(count):
        if position > 5 and rng.random() < 0.3:
            source = list(texts[rng.randrange(max(0, position - 40), position)])
            for _ in range(rng.randrange(0, len(source) // 6)):
                source[rng.randrange(len(source))] = rng.choice("abcdefgh ")
            texts.append("".join(source))
        else:
            texts.append(" ".join(rng.choice(words) for _ in range(rng.randrange(5, 30))))
    return texts


@pytest.mark.parametrize("size", [1, 37, 150])
def test_in_batches_the_links_are_those_of_one_call(size: int) -> None:
    texts = _corpus(300, seed=3)
    authors = [f"a{i % 50}" for i in range(300)]
    whole = _link(DuplicateMemory(), texts, authors=authors)
    assert sum(d is not None for d in whole.duplicate_of) > 30
    blob: bytes | None = None
    found: list[tuple[str | None, str | None, int]] = []
    for first in range(0, 300, size):
        memory = DuplicateMemory.from_bytes(blob)
        part = slice(first, first + size)
        links = _link(memory, texts[part], authors=authors[part], first=first)
        found += zip(links.duplicate_of, links.campaign_id, links.repeats, strict=True)
        blob = memory.to_bytes()
    expected = zip(whole.duplicate_of, whole.campaign_id, whole.repeats, strict=True)
    assert found == list(expected)


@pytest.mark.parametrize(("edited", "recall"), [(0.05, 0.98), (0.10, 0.90), (0.20, 0.35)])
def test_edited_copies_are_found(edited: float, recall: float) -> None:
    rng = random.Random(5)
    originals = [t for t in _corpus(400, seed=9) if len(t) >= 60][:150]
    copies = []
    for text in originals:
        letters = list(text)
        for position in rng.sample(range(len(letters)), int(edited * len(letters))):
            letters[position] = rng.choice("abcdefghijklmnopqrstuvwxyz")
        copies.append("".join(letters))
    memory = DuplicateMemory()
    _link(memory, originals, days=[0.0] * len(originals))
    links = _link(memory, copies, days=[1.0] * len(copies), first=1000)
    found = [d is not None for d in links.duplicate_of]
    assert sum(found) / len(found) >= recall


def test_the_memory_is_bounded_by_the_window_and_forgets_on_request() -> None:
    memory = DuplicateMemory()
    _link(memory, _corpus(20, seed=1), days=[0.0] * 20)
    _link(memory, [LONG, LONG + " again"], days=[30, 30], first=500)
    assert memory.size == 2
    assert memory.forget(["f00500"]).size == 1
    assert DuplicateMemory.from_bytes(memory.to_bytes()).to_bytes() == memory.to_bytes()
