"""Finds the files that paths, globs and folders mean, and the reader that fits each."""

from __future__ import annotations

import glob
import json
from collections.abc import Sequence
from pathlib import Path

from closeloop.connectors.intake.csv_file import CsvFile
from closeloop.connectors.intake.json_file import JsonFile, JsonLinesFile
from closeloop.connectors.intake.lines import check_encoding, open_bytes
from closeloop.connectors.intake.raw import FileReader
from closeloop.errors import InputFileError, UsageError, redact

EXTENSIONS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
    ".pq": "parquet",
}
FORMATS = ("csv", "jsonl", "json", "parquet")
_LOOK_BYTES = 64_000


def find_files(paths: Sequence[str | Path]) -> list[Path]:
    """Return the files meant, in order, each once; of a folder those with a known extension.

    Raises InputFileError where a path, glob or folder holds none.
    """
    if not paths:
        raise UsageError("no file given", hint="closeloop ingest reviews.csv --source NAME")
    found: dict[Path, None] = {}
    for path in paths:
        for file in _meant(str(path)):
            found.setdefault(file, None)
    return list(found)


def open_reader(path: Path, *, format_name: str | None, encoding: str | None) -> FileReader:
    """Return the reader for a file: by the given format, else by extension, else by content.

    Raises InputFileError where the file is empty or of no known form.
    """
    codec = check_encoding(encoding or "utf-8")
    chosen = format_name or _detect(path)
    if path.stat().st_size == 0:
        raise InputFileError(
            f"{redact(path, keep=200)} is empty", hint="there is nothing to take in from it"
        )
    match chosen:
        case "csv":
            return CsvFile(path, encoding=codec)
        case "jsonl":
            return JsonLinesFile(path, encoding=codec)
        case "json":
            return JsonFile(path, encoding=codec)
        case "parquet":
            from closeloop.connectors.intake.parquet_file import ParquetFile

            return ParquetFile(path)
    raise UsageError(f"no format {redact(chosen)!r}", hint=f"one of {', '.join(FORMATS)}")


def _meant(text: str) -> list[Path]:
    path = Path(text)
    if path.is_dir():
        files = sorted(f for f in path.rglob("*") if f.is_file() and f.suffix.lower() in EXTENSIONS)
        if not files:
            raise InputFileError(
                f"the folder {redact(text, keep=200)} holds no file to take in",
                hint=f"files that are looked for: {', '.join(sorted(EXTENSIONS))}",
            )
        return files
    if path.is_file():
        return [path]
    if glob.has_magic(text):
        files = sorted(f for f in map(Path, glob.glob(text, recursive=True)) if f.is_file())  # noqa: PTH207 - absolute patterns
        if files:
            return files
        raise InputFileError(f"nothing matches {redact(text, keep=200)}", hint="check the pattern")
    raise InputFileError(
        f"there is no file {redact(text, keep=200)}",
        hint="check the path; a glob needs quotes for closeloop to see it",
    )


def _detect(path: Path) -> str:
    with open_bytes(path) as file:
        start = file.read(_LOOK_BYTES)
    by_name = EXTENSIONS.get(path.suffix.lower())
    if start.startswith(b"PAR1") and by_name is None:
        return "parquet"
    if by_name in ("csv", "jsonl", "parquet"):
        return by_name
    return _json_kind(start) or by_name or _plain_kind(path, start)


def _json_kind(start: bytes) -> str | None:
    text = start.decode("utf-8-sig", "replace").lstrip()
    if text.startswith("["):
        return "json"
    if not text.startswith("{"):
        return None
    first, _, rest = text.partition("\n")
    try:
        json.loads(first)
    except ValueError:
        return "json"
    return "jsonl" if rest.strip().startswith("{") else "json"


def _plain_kind(path: Path, start: bytes) -> str:
    first = start.partition(b"\n")[0]
    if b"\x00" not in start and any(mark in first for mark in (b",", b";", b"\t", b"|")):
        return "csv"
    raise InputFileError(
        f"{redact(path, keep=200)} is none of {', '.join(FORMATS)} by its name or content",
        hint="say which with --format",
    )
