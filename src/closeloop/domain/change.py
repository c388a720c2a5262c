"""Changes that may be behind a signal, and the exposure that puts counts into proportion."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ChangeKind(StrEnum):
    """What changed: ours (release, flag, config, article) or not (incident)."""

    RELEASE = "release"
    FLAG = "flag"
    INCIDENT = "incident"
    ARTICLE = "article"
    CONFIG = "config"


@dataclass(frozen=True, slots=True)
class Change:
    """One release, flag, incident, article or configuration change; times in UTC.

    `rollout` is "HH=share" stages as (hours after start, share of users reached), empty if unknown.
    """

    change_id: str
    kind: ChangeKind
    product: str
    name: str
    started_at: datetime
    version: str | None = None
    platform: str | None = None
    region: str | None = None
    ended_at: datetime | None = None
    rollout: tuple[tuple[float, float], ...] = ()


def change_id(kind: str, product: str, name: str, started_at: datetime) -> str:
    """Return the stable id of a change that came without one."""
    key = "\x1f".join((kind, product, name, started_at.isoformat()))
    return hashlib.blake2b(key.encode(), digest_size=8).hexdigest()
