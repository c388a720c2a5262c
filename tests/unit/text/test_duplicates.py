"""Duplicates: copies are found, short texts are not copies, batches change nothing."""

import random
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate, cycle

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from closeloop.text import duplicate_memory, duplicates
from closeloop.text.duplicate_memory import SLOTS, Slots, outdated, to_bytes, without
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


def _slots(blobs: list[bytes | None], memory: DuplicateMemory) -> list[bytes | None]:
    changed = memory.changed()
    return [changed.get(slot, blob) for slot, blob in enumerate(blobs)]


@pytest.mark.parametrize(
    ("count", "sizes"), [(250, (1,)), (900, (37,)), (900, (150,)), (900, (600, 1, 3, 200, 90))]
)
def test_in_batches_the_links_are_those_of_one_call(
    count: int, sizes: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Small slots, so that texts pass through all of them and the oldest are let go.
    monkeypatch.setattr(duplicate_memory, "CAPACITIES", (16, 64, 200))
    for module in (duplicate_memory, duplicates):
        monkeypatch.setattr(module, "MAX_REMEMBERED", 200)
    texts = _corpus(count, seed=3)
    authors = [f"a{i % 50}" for i in range(count)]
    whole = _link(DuplicateMemory(), texts, authors=authors)
    assert sum(d is not None for d in whole.duplicate_of) > count / 9
    blobs: list[bytes | None] = [None] * SLOTS
    found: list[tuple[str | None, str | None, int]] = []
    first = 0
    for size in cycle(sizes):
        part = slice(first, first + size)
        memory = DuplicateMemory(blobs)
        links = _link(memory, texts[part], authors=authors[part], first=first)
        found += zip(links.duplicate_of, links.campaign_id, links.repeats, strict=True)
        blobs = _slots(blobs, memory)
        assert memory.size <= 200
        first += size
        if first >= count:
            break
    expected = zip(whole.duplicate_of, whole.campaign_id, whole.repeats, strict=True)
    assert found == list(expected)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=8), st.integers(0, 5))
def test_however_batches_are_cut_the_links_are_the_same(sizes: list[int], seed: int) -> None:
    texts = _corpus(sum(sizes), seed=seed)
    # Ten texts a day, four at a time: the window closes within the history.
    days = [i // 4 * 0.4 for i in range(len(texts))]
    whole = _link(DuplicateMemory(), texts, days=days)
    blobs: list[bytes | None] = [None] * SLOTS
    found: list[str | None] = []
    for size, end in zip(sizes, accumulate(sizes), strict=True):
        part = slice(end - size, end)
        memory = DuplicateMemory(blobs)
        links = _link(memory, texts[part], days=days[part], first=end - size)
        found += links.duplicate_of
        blobs = _slots(blobs, memory)
    assert found == whole.duplicate_of


def test_a_small_batch_writes_the_smallest_slot_only() -> None:
    blobs: list[bytes | None] = [None] * SLOTS
    for first, size in ((0, 3_000), (3_000, 20), (3_020, 20)):
        memory = DuplicateMemory(blobs)
        _link(memory, _corpus(size, seed=first), days=[1.0] * size, first=first)
        written = memory.changed()
        blobs = _slots(blobs, memory)
    assert list(written) == [0]
    assert len(written[0]) < len(blobs[1] or b"") / 20
    assert DuplicateMemory(blobs).changed() == {}


def test_a_text_takes_about_256_bytes() -> None:
    texts = [text for text in _corpus(3_000, seed=2) if len(text) > 40]
    memory = DuplicateMemory()
    _link(memory, texts, days=[1.0] * len(texts))
    written = sum(map(len, memory.changed().values())) / memory.size
    assert written < 300


def test_the_memory_of_another_algorithm_is_told_apart_and_never_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    memory = DuplicateMemory()
    _link(memory, [LONG], days=[0])
    (blob,) = memory.changed().values()
    assert not outdated(blob)
    assert not outdated(None)
    with monkeypatch.context() as patched:
        patched.setattr(duplicate_memory, "algorithm", lambda: "another")
        assert outdated(blob)
        assert DuplicateMemory([blob]).size == 0
        emptied = without(blob, ["f00000"])
        assert emptied is not None
        assert outdated(emptied)
        assert without(emptied, ["f00000"]) is None
    assert outdated(emptied)


def test_a_restored_memory_links_as_the_first_did() -> None:
    texts = _corpus(300, seed=4)
    memory = DuplicateMemory()
    before = _link(memory, texts[:200])
    times = [START + timedelta(hours=i) for i in range(200)]
    again = DuplicateMemory.restored(
        columns={
            "feedback_ids": pa.array([f"f{i:05d}" for i in range(200)]),
            "texts": pa.array(texts[:200]),
            "times": pa.array(times, pa.timestamp("us", tz="UTC")),
            "authors": pa.nulls(200, pa.string()),
            "roots": pa.array(before.duplicate_of, pa.string()),
            "campaigns": pa.array(before.campaign_id, pa.string()),
            "repeats": pa.array(before.repeats),
        }
    )
    assert again.size == memory.size
    assert len(again.changed()) == SLOTS
    assert _link(again, texts[200:], first=200) == _link(memory, texts[200:], first=200)


def _letters_changed(text: str, share: float, rng: random.Random) -> str:
    letters = list(text)
    for position in rng.sample(range(len(letters)), int(share * len(letters))):
        letters[position] = rng.choice("abcdefghijklmnopqrstuvwxyz")
    return "".join(letters)


@pytest.mark.parametrize(
    ("edited", "merged", "found"), [(0.05, 0.99, 0.99), (0.10, 0.99, 0.99), (0.20, 0.60, 0.90)]
)
def test_edited_copies_are_found(edited: float, merged: float, found: float) -> None:
    rng = random.Random(5)
    originals = [t for t in _corpus(400, seed=9) if len(t) >= 60][:150]
    copies = [_letters_changed(text, edited, rng) for text in originals]
    memory = DuplicateMemory()
    _link(memory, originals, days=[0.0] * len(originals))
    links = _link(memory, copies, days=[1.0] * len(copies), first=1000)
    one = [d is not None for d in links.duplicate_of]
    alike = [c is not None for c in links.campaign_id]
    assert sum(one) / len(one) >= merged
    assert sum(o or a for o, a in zip(one, alike, strict=True)) / len(one) >= found


def test_copies_in_another_script_are_found_as_well() -> None:
    signs = "पैसेकटगएलेकिनरिचार्जनहींहुआकृपयामददकरेंबहुतखराबऐपहै"
    rng = random.Random(1)
    words = ["".join(rng.choices(signs, k=rng.randrange(2, 7))) for _ in range(200)]
    originals = [" ".join(rng.choices(words, k=20)) for _ in range(200)]
    copies = []
    for text in originals:
        parts = text.split(" ")
        parts[rng.randrange(20)] = rng.choice(words)
        copies.append(" ".join(parts))
    memory = DuplicateMemory()
    _link(memory, originals, days=[0.0] * 200)
    links = _link(memory, copies, days=[1.0] * 200, first=1000)
    assert links.duplicate_of == [f"f{i:05d}" for i in range(200)]


@given(st.lists(st.one_of(st.none(), st.text("aBÉ1 !\n<é", max_size=12)), max_size=6))
def test_what_is_compared_does_not_depend_on_the_alphabet_s_path(texts: list[str | None]) -> None:
    def plain(text: str) -> str:
        return re.sub(r"[\W_]+", " ", text.lower()).strip()

    expected = [None if text is None else plain(text) for text in texts]
    assert comparable(pa.array(texts, pa.string())).to_pylist() == expected
    assert comparable(pa.array([None, *texts], pa.string()).slice(1)).to_pylist() == expected


def test_the_memory_is_bounded_by_the_window_and_forgets_on_request() -> None:
    memory = DuplicateMemory()
    _link(memory, _corpus(20, seed=1), days=[0.0] * 20)
    _link(
        memory,
        [LONG, "Something else that is long enough to be compared here"],
        days=[30, 30],
        first=500,
    )
    assert memory.size == 2
    (blob,) = memory.changed().values()
    kept = without(blob, ["f00500"])
    assert kept is not None
    assert DuplicateMemory([kept]).size == 1
    assert LONG.lower() not in str(pa.ipc.open_stream(kept).read_all().to_pylist())
    assert without(kept, ["f00500"]) is None
    assert Slots([blob]).changed() == {}
    assert to_bytes(Slots([blob]).entries) == blob
