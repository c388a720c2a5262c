"""Names themes by their own words, and finds themes that say nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.ports import StepContext, only_if_in
from closeloop.stages.embed_words import spoken
from closeloop.stages.theme_memory import Background, ThemeMemory
from closeloop.stages.theme_rows import ThemeBook
from closeloop.tables import FEEDBACK
from closeloop.text.sentiment import GENERIC
from closeloop.text.words import Words, words_of

Ints = npt.NDArray[np.int64]

LABEL_WORDS = 4
MIN_SHARE = 0.12
"""A word of a label stands in at least this share of the theme's texts."""
MAX_GENERIC = 0.8
"""Themes of which more than this share of words is generic say nothing to act on."""

_FILLERS = """
    they them their there here what when which who how why because after before again also get got
    getting even still since then only some any many other about into out up over under off down
    back give gives giving given want wants need needs make makes made take takes took taking go
    goes going went gone come comes came said say says saying tell told show shows showing see let
    ask asks asking know did does doing done being were was has had having could would should will
    cant cannot wont dont didnt doesnt isnt wasnt im ive its thats it they re ve ll through while
    without another same every each new old one two three last first next long days day months
    month week weeks hours hour minutes years year times once twice ago yet already both between
    kya nahi nahin kar karo kr rha raha rahi rhi bhi mera meri mere mujhe koi kuch jo toh to tha
    thi hota hoti kiya liye gaya wala apna apne aur par pe main mai hum ham ab jab tab phir
    je tu il elle nous vous ils on du au aux pas plus que qui ne se sa son ses mon ma mes
"""
FILLERS = frozenset(_FILLERS.split())


def labels(
    words: Words,
    groups: Ints,
    *,
    count: int,
    background: Background,
    product: str = "",
) -> list[str]:
    """Return each group's label: its most distinguishing words, by class TF-IDF.

    Share of the group's texts that hold the word x log(1 + all texts / texts with the word). Of
    equal words the alphabet decides. A group without such words is called "(no words of its own)".
    """
    own = frozenset(product.lower().replace(".", " ").split())
    skipped = np.array(
        [
            w in GENERIC or w in FILLERS or w in own or len(w) < 2 or w.isdigit()
            for w in words.vocabulary
        ],
        np.bool_,
    )
    held: list[list[tuple[float, str]]] = [[] for _ in range(count)]
    sizes = np.bincount(groups[groups >= 0], minlength=count)
    group = groups[words.rows]
    useful = (group >= 0) & ~skipped[words.codes] if len(skipped) else group >= 0
    vocabulary = max(len(words.vocabulary), 1)
    texts = np.unique(words.rows[useful] * vocabulary + words.codes[useful])
    cells = groups[texts // vocabulary] * vocabulary + texts % vocabulary
    cells, counts = np.unique(cells, return_counts=True)
    for cell, number in zip(cells.tolist(), counts.tolist(), strict=True):
        place, code = divmod(cell, vocabulary)
        share = number / sizes[place]
        if number < 2 or share < MIN_SHARE:
            continue
        word = words.vocabulary[code]
        rarity = np.log1p(max(background.texts, 1) / max(background.counts.get(word, 1), number))
        held[place].append((-share * float(rarity), word))
    best = [_unlike(word for _, word in sorted(entries)) for entries in held]
    return [", ".join(chosen) if chosen else "(no words of its own)" for chosen in best]


def _unlike(words: Iterable[str]) -> list[str]:
    """Return the first few words, without those that only lengthen one before ("rewards")."""
    chosen: list[str] = []
    for word in words:
        if not any(word.startswith(c) or c.startswith(word) for c in chosen):
            chosen.append(word)
        if len(chosen) == LABEL_WORDS:
            break
    return chosen


def empty_groups(words: Words, groups: Ints, *, count: int) -> npt.NDArray[np.bool_]:
    """Return which groups' texts are made of generic words ("worst app ever") for the most part."""
    generic = words.marks(GENERIC)
    group = groups[words.rows]
    inside = group >= 0
    all_words = np.bincount(group[inside], minlength=count)
    of_them = np.bincount(group[inside], weights=generic[inside], minlength=count)
    return np.asarray(of_them > MAX_GENERIC * np.maximum(all_words, 1), np.bool_)


def name_themes(context: StepContext, books: Sequence[tuple[ThemeBook, ThemeMemory]]) -> None:
    """Give the books' unnamed themes their labels; names that people gave stay."""
    wanted = {i for book, _ in books for ids in book.unnamed.values() for i in ids}
    if not wanted:
        return
    rows = context.rows(
        FEEDBACK, columns=["feedback_id", "text"], where=[only_if_in("feedback_id", wanted)]
    )
    ids = rows.column("feedback_id").combine_chunks()
    for book, memory in books:
        if book.unnamed:
            members = pa.array(sorted({i for ids in book.unnamed.values() for i in ids}))
            _name(book, memory, rows.filter(pc.is_in(ids, value_set=members)))


def _name(book: ThemeBook, memory: ThemeMemory, rows: pa.Table) -> None:
    names = list(book.unnamed)
    group_of = {i: number for number, name in enumerate(names) for i in book.unnamed[name]}
    words = words_of(spoken(rows.column("text")))
    groups = np.array([group_of[i] for i in rows.column("feedback_id").to_pylist()], np.int64)
    found = labels(
        words, groups, count=len(names), background=memory.background, product=book.product
    )
    empty = empty_groups(words, groups, count=len(names))
    for number, name in enumerate(names):
        # A model's name was for what the theme was; it is asked anew when a signal needs one.
        own = {"label": found[number], "named_by": None}
        values = {} if book.rows[name]["named_by_person"] else own
        book.change(name, **values, words=found[number], content_free=bool(empty[number]))
    book.unnamed = {}
