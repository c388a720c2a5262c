"""Cleans a delivered text: one form for one meaning, nothing invisible, nothing that controls."""

from __future__ import annotations

import html
import re
import unicodedata

import pyarrow as pa
import pyarrow.compute as pc

# Anything but printable ASCII, an HTML entity, a space too many: RE2, so Arrow runs it alone.
_LOOK = r"[^ -~]|&[#A-Za-z]|  |^ | $"

_ESCAPE_SEQUENCE = re.compile(
    r"\x1b(?:\[[0-?]{0,64}[ -/]{0,8}[@-~]|[\]PX^_][^\x07\x1b]{0,4096}(?:\x07|\x1b\\)|[@-Z\\^_])"
)
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
# Controls, soft hyphen, bidi controls, zero-width signs, fillers, tags (invisible ASCII) and the
# variation selectors beyond the first sixteen, which can carry hidden text.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5"
    "\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0d\ufeff\uffa0"
    "\ufff0-\ufffb\U000e0000-\U000e0fff]"
)
# Joiners are needed inside emoji and Indic or Persian words; beside ASCII they only hide things.
_STRAY_JOINER = re.compile(r"(?<=[!-~])[\u200c\u200d]+|[\u200c\u200d]+(?=[!-~])")
_LINE_BREAK = re.compile(r"[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_LINE_BREAKS = re.compile(rf"\s*{_LINE_BREAK.pattern}\s*")
# Runs but those of one plain space, which stay as they are.
_SPACES = re.compile(r"[^\S\n]{2,}|[^\S\n ]")
_NOT_VISIBLE = " \n\u200c\u200d\ufe0e\ufe0f"
_ROUNDS = 4


def clean_text(text: str) -> str:
    """Return the text in NFKC without escape sequences, controls and invisible characters.

    HTML entities are decoded (so that `&#64;` can't hide an address); tags stay as they are, since
    surfaces escape them. Each run of white space becomes one space, or one line break where it
    holds any. U+200C and U+200D stay inside emoji and inside words that are not ASCII. A text of
    which nothing visible is left becomes "".
    """
    for _ in range(_ROUNDS):
        before = text
        if "\x1b" in text:
            text = _ESCAPE_SEQUENCE.sub("", text)
        text = unicodedata.normalize("NFKC", text)
        if "&" in text:
            text = _ENTITY.sub(_decoded, text)
        text = _INVISIBLE.sub("", text)
        if "\u200c" in text or "\u200d" in text:
            text = _STRAY_JOINER.sub("", text)
        if text == before:
            break
    if _LINE_BREAK.search(text):
        text = _LINE_BREAKS.sub("\n", text)
    text = _SPACES.sub(" ", text).strip()
    return text if text.strip(_NOT_VISIBLE) else ""


def _decoded(match: re.Match[str]) -> str:
    decoded = html.unescape(match[0])
    # Arrow holds no lone surrogates; html.unescape answers them with U+FFFD already.
    return decoded if decoded != match[0] else match[0]


def clean(texts: pa.Array) -> pa.Array:
    """Return the cleaned texts, null where the text is null or nothing visible is left.

    Only the rows that one RE2 look picks are rewritten in Python.
    """
    picked = pc.match_substring_regex(texts, _LOOK)
    picked = pc.fill_null(picked, False)
    if pc.any(picked).as_py():
        rewritten = pa.array([clean_text(t) for t in texts.filter(picked).to_pylist()], pa.string())
        texts = pc.replace_with_mask(texts, picked, rewritten)
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)
