"""Turns a file's bytes into numbered lines of text; bytes of no meaning mark their line only."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from closeloop.connectors.intake.raw import HARD_CAP_BYTES
from closeloop.errors import InputFileError, UsageError, redact

BLOCK_BYTES = 4_000_000
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True, slots=True)
class Line:
    """One physical line without its end; `invalid` says that bytes of it are shown as \\xNN."""

    number: int
    text: str
    invalid: bool = False
    cut_from: int | None = None
    """The line's length in bytes where only its first 16 MB are kept."""


def check_encoding(name: str) -> str:
    """Return the codec's own name. Raises UsageError where Python knows no such text encoding."""
    try:
        codec = codecs.lookup(name)
        b"".decode(name)
    except (LookupError, ValueError) as error:
        raise UsageError(
            f"no such encoding: {redact(name)}", hint="for example utf-8, cp1252, latin-1, utf-16"
        ) from error
    return codec.name


def open_bytes(path: Path) -> BinaryIO:
    """Open a file for reading. Raises InputFileError where that fails."""
    try:
        return path.open("rb")
    except OSError as error:
        raise InputFileError(
            f"{redact(path, keep=200)} can't be read ({error.strerror})",
            hint="check the path and its permissions",
        ) from error


def read_lines(path: Path, *, encoding: str = "utf-8") -> Iterator[Line]:
    """Yield the lines of a file, from 1. A byte order mark wins over `encoding` and is dropped.

    Lines end at LF (CR LF is kept as CR before the end for the CSV reader to see), or at CR where
    the file has no LF.
    """
    with open_bytes(path) as file:
        start = file.read(4)
        mark, encoding = next(
            ((bom, name) for bom, name in _BOMS if start.startswith(bom)), (b"", encoding)
        )
        wide = encoding.startswith(("utf-16", "utf-32", "utf_16", "utf_32", "utf-7"))
        file.seek(0 if wide else len(mark))
        blocks = _transcoded(file, encoding) if wide else iter(lambda: file.read(BLOCK_BYTES), b"")
        yield from _numbered(_split(blocks), "utf-8" if wide else encoding)


def _transcoded(file: BinaryIO, encoding: str) -> Iterator[bytes]:
    # Half a surrogate pair passes into bytes that are no UTF-8, so its line is marked like others.
    decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
    while True:
        block = file.read(BLOCK_BYTES)
        try:
            text = decoder.decode(block, final=not block)
        except UnicodeError:
            yield b"\xff"
            return
        yield text.encode("utf-8", "surrogatepass")
        if not block:
            return


def _split(blocks: Iterator[bytes]) -> Iterator[tuple[list[bytes], int | None]]:
    """Yield (whole lines, length of the last one where it was cut)."""
    rest = b""
    dropped = 0
    end: bytes | None = None
    for block in blocks:
        if end is None and block:
            end = b"\n" if b"\n" in block or b"\r" not in block else b"\r"
        if dropped:
            head, found, block = block.partition(end or b"\n")
            dropped += len(head)
            if not found:
                continue
            yield [rest], len(rest) + dropped
            rest, dropped = b"", 0
        lines = (rest + block).split(end or b"\n")
        rest = lines.pop()
        if len(rest) > HARD_CAP_BYTES:
            dropped = len(rest) - HARD_CAP_BYTES
            rest = rest[:HARD_CAP_BYTES]
        yield lines, None
    if dropped:
        yield [rest], len(rest) + dropped
    elif rest:
        yield [rest], None


def _numbered(chunks: Iterator[tuple[list[bytes], int | None]], encoding: str) -> Iterator[Line]:
    number = 0
    for lines, cut_from in chunks:
        texts = _decoded(lines, encoding)
        for text, invalid in texts:
            number += 1
            yield Line(number, text, invalid, cut_from)


def _decoded(lines: list[bytes], encoding: str) -> Iterator[tuple[str, bool]]:
    try:
        whole = b"\n".join(lines).decode(encoding)
    except UnicodeDecodeError:
        pass
    else:
        texts = whole.split("\n")
        if len(texts) == len(lines):
            yield from ((text, False) for text in texts)
            return
    for line in lines:
        try:
            yield line.decode(encoding), False
        except UnicodeDecodeError:
            yield line.decode(encoding, "backslashreplace"), True
