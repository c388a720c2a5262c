"""Makes hostile files: broken rows, wrong types, huge fields and every kind of text that bites.

Everything is drawn from the `random.Random` that is handed in, so a seed repeats a file, and
hypothesis (`st.randoms(use_true_random=False)`) can drive and shrink it. Each row carries a marker
of its own, by which a test can tell that nothing was lost.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

COLUMNS = ("review_id", "content", "score", "at", "app", "app_version")

NASTY = (
    "=cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "+1-1",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "\x1b[31mred\x1b[0m\x1b]0;owned\x07\x1b[2J",
    "nul\x00inside",
    "\u202eright to left\u202c \u2066isolated\u2069",
    "zero\u200bwidth\u200djoiner\ufeff",
    "👨‍👩‍👧‍👦 🏳️‍🌈 ज़्यादा 中文 עברית",
    "e\u0301" * 30,
    "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L",
    "'; DROP TABLE feedback; --",
    "{{7*7}} ${env:HOME} %s %n {0}",
    "../../../../etc/passwd",
    "line one\nline two\r\nline three",
    'quote " and "" quotes',
    "back\\slash \\n \\u0000 \\x41",
    "\ufffe\uffff\U0010ffff",
    "NULL",
    "NaN",
    "   ",
    "",
    "\t",
    "ok",
    "The app crashes whenever I pay, please fix it",
)
BAD_NUMBERS = ("five", "1e999", "inf", "NaN", "--3", "٣", "0x10", "", "4/5", "9" * 400, "☆", "-0")
BAD_TIMES = (
    "yesterday",
    "0000-00-00",
    "2023-02-31T10:00:00Z",
    "99999-01-01",
    "2999-12-31T23:59:59+14:00",
    "1e30",
    "",
    "-1",
    "2023-13-45",
    "NaT",
    "2023-02-06T25:61:61",
    "9" * 40,
    "1900-01-01T00:00:00+14:00",
)
HUGE = 200_000
"""Characters of a huge field; over the default limit when ten of them meet in one row."""


@dataclass(frozen=True, slots=True)
class HostileFile:
    """A file's content and what is known of it. `rows` is None where a broken row may be two."""

    suffix: str
    content: bytes
    markers: tuple[str, ...]
    rows: int | None

    def write(self, folder: Path, name: str = "hostile") -> Path:
        """Write the file and return its path."""
        path = folder / f"{name}{self.suffix}"
        path.write_bytes(self.content)
        return path


def marker(number: int) -> str:
    """Return the text that only row `number` holds."""
    return f"m{number:06d}q"


def hostile_text(rng: Random) -> str:
    """Return a text of one to three nasty pieces, at times huge."""
    pieces = [rng.choice(NASTY) for _ in range(rng.randint(1, 3))]
    if rng.randint(0, 999) == 0:
        pieces.append(rng.choice("aé💥") * HUGE)
    return " ".join(pieces)


def hostile_fields(rng: Random, number: int) -> dict[str, str]:
    """Return one row's fields; its marker is in the text, and often in the id."""
    ident = rng.choice((f"id-{number}", f"id-{number}", "", f"id-{number % 7}", hostile_text(rng)))
    day, hour = rng.randint(1, 28), rng.randint(0, 23)
    good_time = f"2023-02-{day:02d} {hour:02d}:15:00"
    return {
        "review_id": ident,
        "content": f"{marker(number)} {hostile_text(rng)}",
        "score": rng.choice((*"12345", rng.choice(BAD_NUMBERS))),
        "at": rng.choice((good_time, good_time, good_time, rng.choice(BAD_TIMES))),
        "app": rng.choice(("com.example.shop", "com.example.wallet", hostile_text(rng))),
        "app_version": rng.choice(("1.0", "1.1", "", "v2 (\x00)", hostile_text(rng))),
    }


def hostile_csv(rng: Random, rows: int) -> HostileFile:
    """Return a CSV in which about a third of the rows is broken as such."""
    lines = [",".join(COLUMNS).encode()]
    lines += [_csv_line(rng, number) for number in range(rows)]
    end = rng.choice((b"\n", b"\n", b"\r\n"))
    tail = rng.choice((b"", end, end * 3))
    return HostileFile(".csv", end.join(lines) + tail, _markers(rows), None)


def _csv_line(rng: Random, number: int) -> bytes:
    fields = hostile_fields(rng, number)
    whole = _quoted(list(fields.values()), rng)
    breakers: tuple[Callable[[], bytes], ...] = (
        lambda: whole,
        lambda: whole,
        lambda: whole,
        lambda: whole,
        lambda: whole + b",one,too,many",
        lambda: f"too few {marker(number)}".encode(),
        lambda: f'{number},"never closed {marker(number)},5,2023-02-06,shop,1.0'.encode(),
        lambda: f'{number},{marker(number)} "stray" quote",5,2023-02-06,shop,1.0'.encode(),
        lambda: f"{number},{marker(number)} ".encode() + b"\xff\xfe\xc3(,5,2023-02-06,shop,1.0",
        lambda: f"{number},{marker(number)}\x00,5,2023-02-06,shop,1.0".encode(),
        lambda: f"{number};{marker(number)};other;delimiter".encode(),
        lambda: f'"{marker(number)}"garbage"after","closing'.encode(),
    )
    return rng.choice(breakers)()


def _quoted(values: list[str], rng: Random) -> bytes:
    buffer = io.StringIO()
    if rng.randint(0, 1):
        csv.writer(buffer, lineterminator="", quoting=csv.QUOTE_ALL).writerow(values)
    else:
        csv.writer(buffer, lineterminator="").writerow(values)
    return buffer.getvalue().encode("utf-8", "surrogatepass")


def hostile_jsonl(rng: Random, rows: int) -> HostileFile:
    """Return JSON lines in which about a third is no JSON, or no object; the first is sound."""
    lines = [_json_line(rng, number, broken=number > 0) for number in range(rows)]
    return HostileFile(".jsonl", b"\n".join(lines) + b"\n", _markers(rows), rows)


def hostile_json(rng: Random, rows: int) -> HostileFile:
    """Return a JSON array of objects with wrong types, at times under a key."""
    items = b",\n".join(_json_line(rng, number, broken=False) for number in range(rows))
    lead = rng.choice((b"[", b'{"next": null, "items": [', b'{"data": ['))
    return HostileFile(
        ".json", lead + items + (b"]}" if lead[:1] == b"{" else b"]"), _markers(rows), rows
    )


def hostile_json_with_broken_items(rng: Random, rows: int) -> HostileFile:
    """Return a JSON array with items that are no JSON; two broken ones in a row may be one."""
    items = b",\n".join(_json_line(rng, number, broken=number > 0) for number in range(rows))
    return HostileFile(".json", b"[" + items + b"]", _markers(rows), None)


def _json_line(rng: Random, number: int, *, broken: bool) -> bytes:
    fields: dict[str, Any] = dict(hostile_fields(rng, number))
    if rng.randint(0, 3) == 0:
        name = rng.choice(COLUMNS[2:])
        fields[name] = rng.choice(
            (None, True, [1, [2]], {"a": {"b": 1}}, 10**30, -0.5, 1675677600, {}, "\ud83d")
        )
    if rng.randint(0, 5) == 0:
        fields[hostile_text(rng)[:50]] = "a column of its own"
    whole = json.dumps(fields, ensure_ascii=rng.random() < 0.5 or "\ud83d" in fields.values())
    line = whole.encode("utf-8", "surrogatepass").replace(b"\n", b" ")
    if not broken or rng.randint(0, 2):
        return line
    text = marker(number)
    breakers = (
        line[: max(40, len(line) // 2)].replace(b"}", b"") + text.encode(),
        f'"{text}"'.encode(),
        f'["{text}"]'.encode(),
        b"[" * 5_000 + text.encode(),
        f"{text} not json at all".encode(),
        f"{{'content': '{text}'}}".encode(),
        f'{{"content": "{text} '.encode() + b'\xff\xfe", "review_id": "x"}',
        f'{{"content": "{text}", "score": {"9" * 5_000}}}'.encode(),
        f'{{"content": "{text}\x00\x01", "at": NaN}}'.encode(),
    )
    return rng.choice(breakers)


def hostile_parquet(rng: Random, rows: int) -> HostileFile:
    """Return a Parquet file with hostile texts, bytes that are no UTF-8, and nested columns."""
    fields = [hostile_fields(rng, number) for number in range(rows)]
    texts = [
        f["content"].encode() + (b"\xff\xfe" if rng.randint(0, 19) == 0 else b"") for f in fields
    ]
    columns: dict[str, pa.Array] = {
        name: pa.array([f[name] for f in fields], pa.string()) for name in COLUMNS
    }
    columns["content"] = pa.Array.from_buffers(
        pa.string(), rows, pa.array(texts, pa.binary()).buffers()
    )
    columns["score"] = pa.array([rng.choice((1.0, 5.0, float("nan"), None)) for _ in fields])
    columns["extra"] = pa.array([{"a": {"b": f["app"]}, "c": [1, 2]} for f in fields])
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, row_group_size=max(1, rows // 3))
    return HostileFile(".parquet", sink.getvalue(), _markers(rows), rows)


def _markers(rows: int) -> tuple[str, ...]:
    return tuple(marker(number) for number in range(rows))


GENERATORS: dict[str, Callable[[Random, int], HostileFile]] = {
    "csv": hostile_csv,
    "jsonl": hostile_jsonl,
    "json": hostile_json,
    "broken json": hostile_json_with_broken_items,
    "parquet": hostile_parquet,
}
