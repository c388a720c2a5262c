"""A product's history for tests of detection: silver rows as refine, enrich and theme leave them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from closeloop.tables import ASSIGNMENT, CHANGE, ENRICHMENT, FEEDBACK
from closeloop.testing.context import InMemoryContext

PRODUCT = "shop-app"
NOW = datetime(2024, 3, 1, 12, tzinfo=UTC)
DAYS = 60
RATES = {
    "payment failure": 1.5,
    "broken UI": 0.8,
    "account access": 1.0,
    "shipping delay": 0.5,
    "praise": 6.0,
}
STARS = {"praise": (4, 5, 5, 5, 3)}
COMPLAINT_STARS = (1, 1, 2, 3, 4)


@dataclass
class History:
    """Collects feedback; `write` puts what is new into a context's silver tables."""

    product: str = PRODUCT
    seed: int = 1
    source: str | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)
    written: int = 0

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)

    def add(self, at: datetime, category: str = "payment failure", **columns: Any) -> str:
        """Add one piece of feedback and return its id."""
        number = len(self.rows)
        stars = STARS.get(category, COMPLAINT_STARS)
        negative = category != "praise"
        row = {
            "feedback_id": f"{self.product}-{number:06}",
            "revision": 1,
            "source": self.source,
            "product": self.product,
            "event_time": at,
            "ingested_at": at,
            "known_at": at,
            "text": f"{category} {number}",
            "masker": "1",
            "rating": float(self.rng.choice(stars)),
            "version": "1.0",
            "channel": "review",
            "language": "en",
            "author_key": f"a{number}",
            "trust": 1.0,
            "backfill": False,
            "sentiment": 0.9 if negative else 0.05,
            "urgency_reasons": [],
            "category": category,
            "category_confidence": 0.8,
            "content_free": False,
            "theme_id": None,
            "theme_confidence": 0.7,
            **columns,
        }
        self.rows.append(row)
        return str(row["feedback_id"])

    def calm(self, *, until: datetime = NOW, days: float = DAYS, **columns: Any) -> History:
        """Add usual days that end with `until`."""
        start = until - timedelta(days=days)
        for category, rate in RATES.items():
            for _ in range(int(self.rng.poisson(rate * days))):
                at = start + timedelta(seconds=float(self.rng.uniform(0, days * 86_400)))
                self.add(at, category, **columns)
        return self

    def burst(
        self, count: int, *, end: datetime = NOW, hours: float = 3.0, **columns: Any
    ) -> list[str]:
        """Add complaints spread over the hours before `end`; return their ids."""
        step = timedelta(hours=hours) / (count + 1)
        return [self.add(end - step * (count - i), **columns) for i in range(count)]

    def write(self, context: InMemoryContext) -> InMemoryContext:
        """Write what was added since the last call, and go on as another step."""
        new = self.rows[self.written :]
        self.written = len(self.rows)
        context.as_step("theme").append(FEEDBACK, FEEDBACK.from_rows(_known(new, FEEDBACK)))
        context.append(ENRICHMENT, ENRICHMENT.from_rows(_known(new, ENRICHMENT)))
        themed = [r for r in new if r["theme_id"]]
        if themed:
            context.merge(ASSIGNMENT, ASSIGNMENT.from_rows(_known(themed, ASSIGNMENT)))
        return context


def release(version: str, started_at: datetime, **columns: Any) -> dict[str, Any]:
    """A row of silver.change."""
    return {
        "change_id": f"r-{version}",
        "kind": "release",
        "product": PRODUCT,
        "name": version,
        "version": version,
        "started_at": started_at,
        "known_at": started_at,
        **columns,
    }


def change(kind: str, name: str, started_at: datetime, **columns: Any) -> dict[str, Any]:
    """A row of silver.change that names no version."""
    row = release(name, started_at, change_id=f"{kind}-{name}", kind=kind)
    return {**row, "version": None, **columns}


def write_changes(context: InMemoryContext, *rows: Mapping[str, Any]) -> None:
    """Write rows of silver.change."""
    context.as_step("changes").merge(CHANGE, CHANGE.from_rows(rows))


def _known(rows: Iterable[Mapping[str, Any]], table: Any) -> list[dict[str, Any]]:
    names = {c.name for c in table.columns}
    return [{k: v for k, v in r.items() if k in names} for r in rows]
