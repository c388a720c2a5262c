"""What Unity Catalog's external lineage is told: which source feeds bronze, which tracker gold.ticket."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

METADATA_PATH = "/api/2.0/lineage-tracking/external-metadata"
LINEAGE_PATH = "/api/2.0/lineage-tracking/external-lineage"
TICKET_COLUMNS = {
    "external_key": "key",
    "title": "title",
    "status": "status",
    "severity": "severity",
    "owner": "assignee",
    "due_at": "due",
}
"""Columns of gold.ticket, and what a tracker calls them."""

SYSTEM_TYPES = frozenset(
    {"CONFLUENT", "KAFKA", "MICROSOFT_SQL_SERVER", "MONGODB", "MYSQL", "ORACLE", "OTHER"}
    | {"POSTGRESQL", "SALESFORCE", "SAP", "SERVICENOW", "SNOWFLAKE", "STREAM_NATIVE", "WORKDAY"}
)
"""Those of the service's system types that hold feedback or tickets
(databricks-sdk 0.162, service/catalog.py, SystemType)."""


@dataclass(frozen=True, slots=True)
class External:
    """A system outside: its name, what it is, and which of its columns become which of ours."""

    name: str
    system: str = "OTHER"
    entity: str = "feedback"
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Request:
    """One call of the workspace's REST interface."""

    method: str
    path: str
    body: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Return method, path and body for JSON."""
        return {"method": self.method, "path": self.path, "body": dict(self.body)}


def lineage_of_source(source: External, *, catalog: str) -> list[Request]:
    """Return the calls that name a source and draw its line to bronze.feedback.

    `source.columns` maps a column of bronze.feedback to the source's own.
    """
    pairs = [{"source": theirs, "target": ours} for ours, theirs in sorted(source.columns.items())]
    there = {"external_metadata": {"name": _name("source", source)}}
    here = {"table": {"name": f"{catalog}.bronze.feedback"}}
    return [
        _metadata("source", source, columns=sorted(set(source.columns.values()))),
        _relationship(there, here, pairs),
    ]


def lineage_of_tracker(tracker: External, *, catalog: str) -> list[Request]:
    """Return the calls that name a tracker and draw the line from gold.ticket to it."""
    columns = tracker.columns or TICKET_COLUMNS
    pairs = [{"source": ours, "target": theirs} for ours, theirs in sorted(columns.items())]
    here = {"table": {"name": f"{catalog}.gold.ticket"}}
    there = {"external_metadata": {"name": _name("tracker", tracker)}}
    return [
        _metadata("tracker", tracker, columns=sorted(set(columns.values()))),
        _relationship(here, there, pairs),
    ]


def _name(role: str, system: External) -> str:
    return f"closeloop_{role}_{system.name}"


def _metadata(role: str, system: External, *, columns: list[str]) -> Request:
    if system.system not in SYSTEM_TYPES:
        raise ValueError(f"{system.system} is none of {', '.join(sorted(SYSTEM_TYPES))}")
    body: dict[str, Any] = {
        "name": _name(role, system),
        "system_type": system.system,
        "entity_type": system.entity,
        "description": f"{role} {system.name} of closeloop",
    }
    if columns:
        body["columns"] = columns
    return Request("POST", METADATA_PATH, body)


def _relationship(
    source: Mapping[str, Any], target: Mapping[str, Any], pairs: list[dict[str, str]]
) -> Request:
    body: dict[str, Any] = {"source": source, "target": target}
    if pairs:
        body["columns"] = pairs
    return Request("POST", LINEAGE_PATH, body)
