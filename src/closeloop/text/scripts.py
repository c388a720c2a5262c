"""Tells the script of a text, and the language where a script is used by one."""

from __future__ import annotations

import re
from bisect import bisect_right
from unicodedata import category

LATIN = "Latin"

# First code points of blocks whose letters (and vowel signs) belong to one script.
_BLOCKS: tuple[tuple[int, int, str], ...] = (
    (0x0370, 0x03FF, "Greek"),
    (0x0400, 0x052F, "Cyrillic"),
    (0x0530, 0x058F, "Armenian"),
    (0x0590, 0x05FF, "Hebrew"),
    (0x0600, 0x06FF, "Arabic"),
    (0x0750, 0x077F, "Arabic"),
    (0x0900, 0x097F, "Devanagari"),
    (0x0980, 0x09FF, "Bengali"),
    (0x0A00, 0x0A7F, "Gurmukhi"),
    (0x0A80, 0x0AFF, "Gujarati"),
    (0x0B00, 0x0B7F, "Oriya"),
    (0x0B80, 0x0BFF, "Tamil"),
    (0x0C00, 0x0C7F, "Telugu"),
    (0x0C80, 0x0CFF, "Kannada"),
    (0x0D00, 0x0D7F, "Malayalam"),
    (0x0D80, 0x0DFF, "Sinhala"),
    (0x0E00, 0x0E7F, "Thai"),
    (0x0E80, 0x0EFF, "Lao"),
    (0x0F00, 0x0FFF, "Tibetan"),
    (0x1000, 0x109F, "Myanmar"),
    (0x10A0, 0x10FF, "Georgian"),
    (0x1100, 0x11FF, "Hangul"),
    (0x1200, 0x137F, "Ethiopic"),
    (0x1780, 0x17FF, "Khmer"),
    (0x1E00, 0x1EFF, LATIN),
    (0x1F00, 0x1FFF, "Greek"),
    (0x3040, 0x30FF, "Kana"),
    (0x3130, 0x318F, "Hangul"),
    (0x3400, 0x4DBF, "Han"),
    (0x4E00, 0x9FFF, "Han"),
    (0xAC00, 0xD7AF, "Hangul"),
)
NON_LATIN = re.compile("[\u0370-\u1dff\u1f00-\u1fff\u3040-\ud7af]")
"""Finds a text that could be of another script; emoji and quotation marks are none."""
# Consonants of the Indic blocks lie at the same places in each.
_CONSONANTS = [f"[{chr(start + 0x15)}-{chr(start + 0x39)}]" for start in range(0x900, 0xD80, 0x80)]
_MIXED = re.compile(r"[A-Za-z0-9][\u0900-\u0dff]|[\u0900-\u0dff][A-Za-z0-9]|([\u0900-\u0dff])\1{3}")
_BARE = re.compile("|".join(f"{letters}{{7}}" for letters in _CONSONANTS))
_BARE_ALONE = re.compile("|".join(f"{letters}{{4}}" for letters in _CONSONANTS))
_STARTS = [start for start, _, _ in _BLOCKS]

# Scripts that stand for one language, or mostly for one; the others are told by the model.
LANGUAGE_OF_SCRIPT = {
    "Armenian": "hy",
    "Bengali": "bn",
    "Devanagari": "hi",
    "Ethiopic": "am",
    "Georgian": "ka",
    "Greek": "el",
    "Gujarati": "gu",
    "Gurmukhi": "pa",
    "Han": "zh",
    "Hangul": "ko",
    "Hebrew": "he",
    "Kana": "ja",
    "Kannada": "kn",
    "Khmer": "km",
    "Lao": "lo",
    "Malayalam": "ml",
    "Myanmar": "my",
    "Oriya": "or",
    "Sinhala": "si",
    "Tamil": "ta",
    "Telugu": "te",
    "Thai": "th",
    "Tibetan": "bo",
}
# What the model may answer instead, in a script that several languages share.
SHARED_SCRIPTS = {
    "Arabic": frozenset({"ar", "fa", "ur", "ps", "ckb", "ug", "sd"}),
    "Bengali": frozenset({"bn", "as"}),
    "Cyrillic": frozenset({"ru", "uk", "bg", "sr", "mk", "be", "kk", "ky", "tg", "mn", "tt"}),
    "Devanagari": frozenset({"hi", "mr", "ne"}),
    "Hebrew": frozenset({"he", "yi"}),
}


def script_counts(text: str) -> dict[str, int]:
    """Return how many letters (and vowel signs) of each script a text holds."""
    counts: dict[str, int] = {}
    for character in text:
        code = ord(character)
        if code < 0x370:
            if character.isalpha():
                counts[LATIN] = counts.get(LATIN, 0) + 1
            continue
        if not (character.isalpha() or category(character)[0] == "M"):
            continue
        position = bisect_right(_STARTS, code) - 1
        if position >= 0 and code <= _BLOCKS[position][1]:
            name = _BLOCKS[position][2]
            counts[name] = counts.get(name, 0) + 1
    return counts


def is_noise(text: str) -> bool:
    """Whether most letters beyond Latin stand in words that nobody writes: keys hit at random.

    Such a word has letters of Latin or digits on either side, begins with a vowel sign, has one
    letter four times on end, or seven letters of an Indic script without any sign (four, in a text
    of one or two words).
    """
    words = [
        (word, sum(ord(c) >= 0x370 and category(c)[0] in "LM" for c in word))
        for word in text.split()
    ]
    words = [(word, letters) for word, letters in words if letters]
    bare = _BARE if len(words) > 2 else _BARE_ALONE
    noise = sum(
        letters
        for word, letters in words
        if _MIXED.search(word) or category(word[0])[0] == "M" or bare.search(word)
    )
    return 2 * noise > sum(letters for _, letters in words)


def main_script(text: str, *, least: int = 3) -> str | None:
    """Return the script of half of a text's letters and `least` of them, None where none has."""
    counts = script_counts(text)
    if not counts:
        return None
    if counts.get("Kana"):
        # Japanese is written in both.
        counts["Kana"] += counts.pop("Han", 0)
    name = max(sorted(counts), key=counts.__getitem__)
    # One sign is a word in Chinese, Japanese and Korean.
    needed = 1 if name in ("Han", "Kana", "Hangul") else least
    return name if counts[name] >= needed and 2 * counts[name] >= sum(counts.values()) else None
