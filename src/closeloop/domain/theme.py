"""A theme: texts of one product that say the same thing, with an id that survives refits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Theme:
    """One theme; `label` are its own distinguishing words, `representative_ids` central texts."""

    theme_id: str
    product: str
    label: str
    size: int
    first_seen: datetime
    last_seen: datetime
    born_at: datetime
    representative_ids: tuple[str, ...] = ()
    named_by_person: bool = False
    merged_into: str | None = None
    split_from: str | None = None
    content_free: bool = False
    emerging: bool = False
