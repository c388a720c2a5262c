"""A workspace with two calm months and a day of trouble that release 1.1 is behind; not run yet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from closeloop.domain.feedback import bronze_id, feedback_id
from closeloop.tables import BRONZE_FEEDBACK, CHANGE
from closeloop.testing.example_workspace import example_workspace

NOW = datetime(2024, 3, 1, 12, tzinfo=UTC)


def rows(
    start: datetime, hours: int, text: str, *, every_h: float, rating: float, version: str
) -> Iterator[dict[str, Any]]:
    """Yield bronze rows of one text in five endings, at even intervals, each by another author."""
    count = int(hours / every_h)
    for i in range(count):
        at = start + timedelta(hours=every_h * i)
        payload = json.dumps({"text": text, "i": i, "at": at.isoformat(), "v": version})
        source_id = f"{version}-{text[:6]}-{i}"
        yield {
            "bronze_id": bronze_id("play", source_id, payload),
            "feedback_id": feedback_id("play", source_id),
            "source": "play",
            "source_id": source_id,
            "payload": payload,
            # Short texts are nobody's copy: near duplicates would count once.
            "text": f"{text} {('shop', 'till', 'office', 'home', 'train')[i % 5]}",
            "rating": rating,
            "author": f"author {i}",
            "event_time": at,
            "ingested_at": max(at, NOW - timedelta(days=2)),
            "product": "shop-app",
            "version": version,
        }


def prepare(folder: Path) -> None:
    """Make the workspace and take the feedback and the release in."""
    workspace = example_workspace(folder, now=NOW)
    start = NOW - timedelta(days=60)
    calm = list(rows(start, 59 * 24, "great app works well", every_h=3, rating=5, version="1.0"))
    some = list(rows(start, 59 * 24, "payment failed once", every_h=40, rating=2, version="1.0"))
    some += rows(start, 59 * 24, "buttons are dead", every_h=9, rating=2, version="1.0")
    since = NOW - timedelta(hours=20)
    bad = list(rows(since, 19, "payment failed again", every_h=0.5, rating=2, version="1.1"))
    odd = [{**some[0], "bronze_id": "odd", "source_id": "odd", "feedback_id": "odd", "text": None}]
    with workspace.step("ingest") as step:
        step.append(BRONZE_FEEDBACK, BRONZE_FEEDBACK.from_rows(calm + some + bad + odd))
        release = {
            "change_id": "r11",
            "kind": "release",
            "product": "shop-app",
            "name": "1.1",
            "version": "1.1",
            "started_at": NOW - timedelta(hours=21),
            "known_at": NOW - timedelta(hours=21),
        }
        step.append(CHANGE, CHANGE.from_rows([release]))
    workspace.database.close()
