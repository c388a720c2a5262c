"""The duplicates part of benchmarks/refine.py: copies put among real reviews, and what finds them.

A copy counts as merged where duplicate_of names its original (or what that one repeats), as found
where duplicate_of or campaign_id does. Beside it stand two ways that need no search: equal texts,
and SimHash of 64 bits (Charikar 2002; at most 3 bits apart: Manku, Jain, Das Sarma 2007), each asked
of the copy and its own original only, which is the most that they could find.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from closeloop.text.duplicates import DuplicateMemory, comparable, eligible

ORIGINALS = 2_000
FILLS = 3
TEMPLATE_WORDS = 15
"""A text of fewer words, three of them filled in anew, is another text."""
SIMHASH_BITS = 3
OTHER_WORDS = ("payment", "the", "never", "screen", "money", "again", "it")
FILLERS = (
    "Asha",
    "Monday",
    "4500",
    "June",
    "wallet",
    "Mr Rao",
    "HDFC",
    "17th",
    "recharge",
    "2 weeks",
)

Edit = Callable[[str, random.Random], str]


@dataclass(frozen=True, slots=True)
class Reviews:
    """Real reviews: cleaned texts, products, times."""

    texts: pa.Array
    products: pa.Array
    times: pa.Array


@dataclass(frozen=True, slots=True)
class Copies:
    """Edited copies, the row of each one's original, and the days after which they come."""

    texts: list[str]
    originals: list[int]
    days: list[int]


def letters(text: str, share: float, rng: random.Random) -> str:
    """Change letters at random places."""
    signs = list(text)
    for position in rng.sample(range(len(signs)), int(share * len(signs))):
        signs[position] = rng.choice("abcdefghijklmnopqrstuvwxyz ")
    return "".join(signs)


def words(text: str, share: float, rng: random.Random) -> str:
    """Put other words in the place of some."""
    return " ".join(_at_words(text, share, rng, lambda: rng.choice(OTHER_WORDS)))


def dropped(text: str, share: float, rng: random.Random) -> str:
    """Leave words out."""
    return " ".join(word for word in _at_words(text, share, rng, lambda: "") if word)


def mixed(text: str, share: float, rng: random.Random) -> str:
    """Change letters, leave words out, put others in their place: a third of the share each."""
    return words(dropped(letters(text, share / 3, rng), share / 3, rng), share / 3, rng)


def _at_words(text: str, share: float, rng: random.Random, other: Callable[[], str]) -> list[str]:
    parts = text.split(" ")
    edited = 0
    for position in rng.sample(range(len(parts)), len(parts)):
        if edited >= share * len(text):
            break
        edited += len(parts[position])
        parts[position] = other()
    return parts


def cross_post(text: str, rng: random.Random) -> str:
    """Post elsewhere: a few letters and signs differ, something stands around it, some are cut."""
    text = letters(text, 0.02, rng).replace("&", "and")
    text = text.lower() if rng.random() < 0.3 else text
    text = rng.choice(("", "", "@support ", "Hi team, ", "Title: bad experience\n")) + text
    text += rng.choice(
        ("", "", " #fail #refund", " https://t.co/Ab3xYz", " Please help!!", " 😡😡")
    )
    return text if len(text) <= 280 else text[:279] + "…"


def template(text: str, rng: random.Random) -> str:
    """Fill three places of a text with other names, numbers and things."""
    parts = text.split(" ")
    for position in rng.sample(range(len(parts)), min(3, len(parts))):
        parts[position] = rng.choice(FILLERS)
    return " ".join(parts)


def _edits() -> list[tuple[str, Edit, int]]:
    kinds = {"letters": letters, "words": words, "left out": dropped, "mixture": mixed}
    shared = [
        (f"{share:.0%} {name}", _with_share(edit, share), 1)
        for name, edit in kinds.items()
        for share in (0.05, 0.10, 0.20)
    ]
    whole = ("nothing", _with_share(letters, 0.0), 1)
    return [whole, *shared, ("cross-post", cross_post, 1), ("template", template, FILLS)]


def _with_share(edit: Callable[[str, float, random.Random], str], share: float) -> Edit:
    return lambda text, rng: edit(text, share, rng)


def duplicates(reviews: Reviews, *, show: int) -> None:
    """Print what is merged and found of each kind of copy, and the merges among the real texts."""
    long_enough = _long_rows(reviews.texts)
    print(f"\n## Duplicates among {len(long_enough):,} reviews of seven words and 35 characters")
    words_of = pc.count_substring(comparable(reviews.texts.take(pa.array(long_enough))), " ")
    wordy = long_enough[words_of.to_numpy() >= TEMPLATE_WORDS - 1]
    _print_merges(reviews, show=show)
    print("copies                copies  too short  merged  found  equal  simhash")
    for name, edit, fills in _edits():
        rng = random.Random(0)
        usable = wordy if edit is template else long_enough
        chosen = rng.sample(usable.tolist(), min(ORIGINALS, len(usable)))
        copies = _copies(reviews, chosen[: ORIGINALS // fills], edit, fills, rng)
        kept = _still_long(copies)
        merged, found = _search(reviews, kept)
        equal, near = _peers(reviews, kept)
        short = 1 - len(kept.texts) / len(copies.texts)
        print(
            f"{name:20} {len(kept.texts):7,} {short:10.3f} {merged:7.3f} {found:6.3f}"
            f" {equal:6.3f} {near:8.3f}"
        )


def _long_rows(texts: pa.Array) -> npt.NDArray[np.int64]:
    return np.flatnonzero(eligible(comparable(texts)).to_numpy(zero_copy_only=False))


def _copies(
    reviews: Reviews, chosen: Sequence[int], edit: Edit, fills: int, rng: random.Random
) -> Copies:
    texts = reviews.texts.take(pa.array(chosen)).to_pylist()
    rows = [
        (edit(text, rng), original, day)
        for original, text in zip(chosen, texts, strict=True)
        for day in range(1, fills + 1)
    ]
    return Copies(*(list(column) for column in zip(*rows, strict=True)))


def _still_long(copies: Copies) -> Copies:
    """Return the copies that are long enough to be copies; the others are none by rule."""
    kept = _long_rows(pa.array(copies.texts)).tolist()
    return Copies(*([c[i] for i in kept] for c in (copies.texts, copies.originals, copies.days)))


def _search(reviews: Reviews, copies: Copies) -> tuple[float, float]:
    """Return the shares of copies that are merged and that are found."""
    own = pa.array(copies.originals)
    late = pa.array([timedelta(days=day) for day in copies.days], pa.duration("us"))
    everything = Reviews(
        pa.concat_arrays([reviews.texts, pa.array(copies.texts)]),
        pa.concat_arrays([reviews.products, reviews.products.take(own)]),
        pa.concat_arrays([reviews.times, pc.add(reviews.times.take(own), late)]),
    )
    duplicate_of, campaign_id = links_of(everything)
    real = len(reviews.texts)
    family: dict[int, set[str | None]] = {}
    for place, original in enumerate(copies.originals):
        own_links = {duplicate_of[original], campaign_id[original], _id(original)}
        family.setdefault(original, own_links).add(_id(real + place))
    merged = found = 0
    for place, original in enumerate(copies.originals):
        known = family[original] - {None}
        merged += duplicate_of[real + place] in known
        found += bool({duplicate_of[real + place], campaign_id[real + place]} & known)
    return merged / len(copies.texts), found / len(copies.texts)


def _id(row: int) -> str:
    return f"{row:07d}"


def links_of(reviews: Reviews) -> tuple[list[str | None], list[str | None]]:
    """Return duplicate_of and campaign_id of each review, all given in one call per product."""
    ids = pa.array([_id(row) for row in range(len(reviews.texts))])
    duplicate_of: list[str | None] = [None] * len(ids)
    campaign_id: list[str | None] = [None] * len(ids)
    for product in pc.unique(reviews.products).to_pylist():
        own = pc.equal(reviews.products, product)
        links = DuplicateMemory().link(
            feedback_ids=ids.filter(own),
            texts=reviews.texts.filter(own),
            times=reviews.times.filter(own),
            authors=pa.nulls(pc.sum(own).as_py(), pa.string()),
        )
        rows = np.flatnonzero(own.to_numpy(zero_copy_only=False)).tolist()
        for row, root, campaign in zip(rows, links.duplicate_of, links.campaign_id, strict=True):
            duplicate_of[row], campaign_id[row] = root, campaign
    return duplicate_of, campaign_id


def _print_merges(reviews: Reviews, *, show: int) -> None:
    duplicate_of, campaign_id = links_of(reviews)
    merges = [(row, int(root)) for row, root in enumerate(duplicate_of) if root is not None]
    linked = sum(campaign is not None for campaign in campaign_id)
    equal = comparable(reviews.texts)
    differ = [(a, b) for a, b in merges if equal[a] != equal[b]]
    print(f"{len(merges)} merges among the real texts ({len(differ)} of texts that differ),")
    print(f"{linked} more are linked as similar")
    for later, earlier in merges[: 20 * show]:
        print(f"    {reviews.texts[earlier]!s:.160}\n      = {reviews.texts[later]!s:.160}")


def _peers(reviews: Reviews, copies: Copies) -> tuple[float, float]:
    """Return the shares of copies equal to their originals, and with nearly its SimHash."""
    originals = comparable(reviews.texts.take(pa.array(copies.originals))).to_pylist()
    texts = comparable(pa.array(copies.texts)).to_pylist()
    pairs = list(zip(originals, texts, strict=True))
    equal = sum(one == other for one, other in pairs)
    near = sum((_simhash(a) ^ _simhash(b)).bit_count() <= SIMHASH_BITS for a, b in pairs)
    return equal / len(pairs), near / len(pairs)


def _simhash(text: str) -> int:
    hashes = [xxhash.xxh3_64_intdigest(text[i : i + 4].encode()) for i in range(len(text) - 3)]
    bits = np.unpackbits(np.array(hashes, dtype=np.uint64).view(np.uint8).reshape(-1, 8), axis=1)
    return int.from_bytes(np.packbits(2 * bits.sum(axis=0) > len(hashes)).tobytes(), "big")
