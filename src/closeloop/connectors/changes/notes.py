"""Reads what a change holds: the commits of a release, or the lines of its notes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from closeloop.errors import UsageError, redact

MAX_ITEMS = 400
"""Of a change that holds more, the first count."""
MAX_TEXT = 300
MAX_PATHS = 40
_BULLET = re.compile(r"^\s*(?:[-*•·]|\d+[.)])\s+")
_HASHED = re.compile(r"^([0-9a-f]{7,40})\s+(?=\S)")
_TEXT_KEYS = ("subject", "message", "title", "summary", "text")
_ID_KEYS = ("id", "sha", "hash", "commit", "number")
_PATH_KEYS = ("paths", "files", "file", "path")

Item = dict[str, Any]


def parse_notes(*given: str | None) -> str | None:
    """Return items as JSON [{"id", "text", "paths"}, …], None for none.

    Understood: a JSON list of texts or of commits (subject or message, id or sha, paths or files),
    lines of release notes with or without bullets, and `git log --oneline`. Raises UsageError where
    a text begins as JSON and is none.
    """
    items: list[Item] = []
    for text in given:
        if text and text.strip():
            items += _json_items(text) if text.lstrip()[0] in "[{" else _lines(text)
    kept = [i for i in items if i["text"]][:MAX_ITEMS]
    if not kept:
        return None
    for number, item in enumerate(kept, start=1):
        item["id"] = item["id"] or str(number)
    return json.dumps(kept, ensure_ascii=False)


def _lines(text: str) -> Iterable[Item]:
    for line in text.splitlines():
        plain = _BULLET.sub("", line).strip()
        found = _HASHED.match(plain)
        yield _item(found[1] if found else "", plain[found.end() :] if found else plain, ())


def _json_items(text: str) -> Iterable[Item]:
    try:
        held = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"no notes: {redact(text, keep=60)!r}",
            hint='write lines, or a JSON list like [{"id": "3f2c1", "subject": "Retry payments", '
            '"paths": ["pay/retry.kt"]}]',
        ) from error
    for entry in held if isinstance(held, list) else [held]:
        if isinstance(entry, Mapping):
            paths = _first(entry, _PATH_KEYS) or ()
            listed = [paths] if isinstance(paths, str) else paths
            yield _item(
                _first(entry, _ID_KEYS),
                _first(entry, _TEXT_KEYS),
                listed if isinstance(listed, (list, tuple)) else (),
            )
        else:
            yield _item("", entry, ())


def _first(entry: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    return next((entry[k] for k in keys if entry.get(k)), None)


def _item(given_id: Any, text: Any, paths: Iterable[Any]) -> Item:
    first_line = str(text or "").strip().splitlines()
    return {
        "id": str(given_id or "")[:40],
        "text": first_line[0].strip()[:MAX_TEXT] if first_line else "",
        "paths": [str(p)[:MAX_TEXT] for p in list(paths)[:MAX_PATHS]],
    }
