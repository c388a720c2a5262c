"""Keeps what a customer says of a support ticket: no quoted thread, signature, form or debug lines."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Marks = npt.NDArray[np.bool_]

MIN_LINES = 3
MIN_CHARACTERS = 160
"""A text of fewer lines or characters has no room for a form, a thread or a signature."""
LONGEST = 20_000
"""Characters of a text that are looked at; an embedding model reads some 1,500."""
MIN_WORDS_LEFT = 6
"""Where fewer words would be left, the kind of line at fault stays: better too much than nothing."""
MAX_SIGNATURE = 6
"""Lines after a closing ("Kind regards") that still are a signature."""
MAX_NAMES, MAX_NAME_WORDS = 3, 4
"""Without a closing up to three last lines of up to four words, most of them capitalised."""
MAX_FIELD_WORDS = 3
"""A form's field of more words holds what the customer says: its name goes, its value stays."""
NATURAL_SHARE = 0.6
"""A line of fewer natural words is taken for output of a program. Chosen by eye on the 123 tickets of
benchmarks/tickets.py: lists of order numbers fall below it too, log lines in words stand above."""

_QUOTED = re.compile(r">")
_ATTRIBUTION = re.compile(
    r"(?:on|am|le|el|il|op|em|den)\b.{4,160}"
    r"\b(?:wrote|schrieb|a écrit|escribió|ha scritto|schreef|escreveu|skrev)\b.{0,80}:$",
    re.IGNORECASE,
)
_THREAD_BELOW = re.compile(
    r"(?:-{2,} ?(?:original message|forwarded message|ursprüngliche nachricht|message d'origine"
    r"|mensaje original|oorspronkelijk bericht) ?-{2,}|_{10,})$",
    re.IGNORECASE,
)
_DELIMITER = re.compile(r"[-_=*~]{2,}$")
_GREETING = re.compile(
    r"(?:hi|hello|hey|dear|good (?:morning|afternoon|evening|day)|morning|afternoon|greetings"
    r"|to whom|hallo|guten (?:tag|morgen)|moin|sehr geehrte\w*|bonjour|hola|ciao)\b"
    r"[^.?:;]{0,40}[,!.]?$",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    r"(?:(?:with|many|kind|kindest|best|warm|warmest|much|yours|mit|freundliche\w*|viele|liebe|thank"
    r"|thanks)\s+){0,3}(?:(?:regards|wishes|thanks|you|greetings|cheers|gr[uü](?:ß|ss)en?|saludos"
    r"|saluti|groet(?:en)?|merci|hilsen)\b[^.?:;]{0,40}"
    r"|(?:best|yours|warmly|sincerely|faithfully|truly|cordialement|cordialmente|ta|thx|tack)"
    r"(?:,[^.?:;]{0,40})?)[,.!]*$",
    re.IGNORECASE,
)
_CLIENT = re.compile(
    r"(?:sent (?:from|via)|get outlook for|von meinem .{2,20} gesendet|envoyé de mon"
    r"|enviado desde mi)\b",
    re.IGNORECASE,
)
_NOTICE = re.compile(
    r"\b(?:confidential and (?:may|intended|privileged)|intended (?:solely|only) for the"
    r"|before printing this|(?:reply|write) above this line)\b",
    re.IGNORECASE,
)
_OUTPUT = re.compile(
    r"(?:HTTP/\d|at [\w$.<>/]+\(|caused by: |traceback \(|exception type: |termination reason: "
    r"|thread \d+ |[{}\[\]\"]+\W)",
    re.IGNORECASE,
)
_REPLY = re.compile(r"(?:(?:re|fw|fwd|aw|wg|sv|tr|antw) ?: ?)+(?:\[[#\w -]+\] ?)?", re.IGNORECASE)
_FIELD = re.compile(r"([^\W\d_][\w /&'()-]{1,38}?) ?:(?=\s|$)\s*(.*)$")
_MASKED = re.compile(r"<[A-Z][A-Z0-9_]*(?::[^<>\s]*)?>")
_NUMBER = re.compile(r"\d+")
_EDGES = "\"'“”„»«‘’()[].,;:!?…*-–—"
_NO_WORD = re.compile(r"[=/\\_{}\[\]<>|()@#\d]|\w\.\w")


def looks_like_ticket(texts: pa.Array | pa.ChunkedArray) -> Marks:
    """Return which texts are long and of several lines, as mails and forms are [texts]."""
    many = pc.greater_equal(pc.count_substring(texts, "\n"), MIN_LINES - 1)
    long = pc.greater_equal(pc.utf8_length(texts), MIN_CHARACTERS)
    return np.asarray(pc.fill_null(pc.and_(many, long), fill_value=False)).astype(np.bool_)


def shapes_of(text: str) -> set[str]:
    """Return the shapes of a text's lines: what stays the same when a template is filled in.

    The shape of a field ("Shop ID: 4711") is its name ("shop id:"), that of any other line is the
    line without case, numbers and masked values. Quoted lines have none.
    """
    lines = (line for line in text[:LONGEST].split("\n") if not _QUOTED.match(line))
    return {_shape(line) for line in lines} - {""}


def customer_words(text: str, *, template: Collection[str] = ()) -> str:
    """Return the lines of a cleaned text that say what the customer wants, one a line.

    Left out are quoted threads, lines whose shape (see `shapes_of`) is in `template`, output of
    programs, notices, greetings and signatures; of a form's field a value of more than 3 words
    stays. The first line may be a subject: it loses "Re:" and ticket numbers only. Where less than
    6 words would be left, that kind of line stays, so the answer is only empty where the text is.
    """
    lines = [line.strip() for line in text[:LONGEST].split("\n") if line.strip()]
    lines[:1] = [_REPLY.sub("", line, count=1) or line for line in lines[:1]]
    values = [_value(line, template) for line in lines]
    kept = np.ones(len(lines), np.bool_)
    for out in (
        _thread(lines),
        np.array([v == "" for v in values], np.bool_),
        _marked(lines, _is_output) & (np.arange(len(lines)) > 0),
        _marked(lines, lambda line: bool(_CLIENT.match(line) or _NOTICE.search(line))),
    ):
        kept = _without(kept, out, values)
    kept = _without(kept, _signature(lines, kept), values)
    kept = _without(kept, _marked(lines, lambda line: bool(_GREETING.match(line))), values)
    return "\n".join(values[i] or lines[i] for i in np.flatnonzero(kept).tolist())


def _without(kept: Marks, out: Marks, values: Sequence[str]) -> Marks:
    less = kept & ~out
    words = sum(len(values[i].split()) for i in np.flatnonzero(less).tolist())
    return less if words >= MIN_WORDS_LEFT else kept


def _marked(lines: Sequence[str], is_out: Callable[[str], bool]) -> Marks:
    return np.fromiter((is_out(line) for line in lines), np.bool_, len(lines))


def _shape(line: str) -> str:
    field = _FIELD.match(line)
    if field:
        return f"{field[1].casefold()}:"
    return _NUMBER.sub("0", _MASKED.sub("0", line)).casefold().strip()


def _value(line: str, template: Collection[str]) -> str:
    """Return the line, less a template's part of it ("" where nothing else is left)."""
    if not template or _shape(line) not in template:
        return line
    field = _FIELD.match(line)
    value = field[2].strip() if field else ""
    return value if len(value.split()) > MAX_FIELD_WORDS else ""


def _thread(lines: Sequence[str]) -> Marks:
    """Mark quoted lines and who wrote them; where they are not quoted, all below the divider."""
    out = _marked(lines, lambda line: bool(_QUOTED.match(line) or _ATTRIBUTION.match(line)))
    for place, line in enumerate(lines):
        if _THREAD_BELOW.match(line):
            out[place:] = True
            break
    return out


def _is_output(line: str) -> bool:
    """Return whether a program has written the line: a log, a stack frame, a request, figures."""
    if _OUTPUT.match(line):
        return True
    words = _MASKED.sub("", line).lstrip("> ").split()
    natural = sum(1 for word in words if _is_natural(word.strip(_EDGES)))
    return natural < NATURAL_SHARE * len(words)


def _is_natural(word: str) -> bool:
    return not word or (not _NO_WORD.search(word) and any(c.isalpha() for c in word))


def _signature(lines: Sequence[str], kept: Marks) -> Marks:
    """Mark what stands below the last words: a closing, names, a delimiter and what follows it."""
    out = np.zeros(len(lines), np.bool_)
    left = np.flatnonzero(kept)
    for count, place in enumerate(reversed(left.tolist())):
        if count > MAX_SIGNATURE:
            break
        if _CLOSING.match(lines[place]) or _DELIMITER.match(lines[place]):
            out[place:] = True
    # What is left may still end with a bare name.
    for place in np.flatnonzero(kept & ~out)[: -MAX_NAMES - 1 : -1].tolist():
        if not _is_name(lines[place]):
            break
        out[place] = True
    return out


def _is_name(line: str) -> bool:
    words = [word for word in line.split() if word[0].isalpha()]
    capital = 2 * sum(word[0].isupper() for word in words) >= len(words)
    return (
        0 < len(words) <= MAX_NAME_WORDS and capital and line[-1] not in ".!?" and ":" not in line
    )
