"""The gold views: each a SQL file that runs verbatim on every engine."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class View:
    """One gold view: its name, whom it is for and what it shows."""

    name: str
    reader: str
    doc: str

    @property
    def full_name(self) -> str:
        """`gold.name`, as it is written in SQL."""
        return f"gold.{self.name}"

    @property
    def select(self) -> str:
        """The text of the view's SQL file: one SELECT, without a semicolon."""
        path = files("closeloop").joinpath("stages", "sql", f"{self.name}.sql")
        return path.read_text(encoding="utf-8").rstrip()

    @property
    def sql(self) -> str:
        """The statement that makes the view; the schema `gold` and the tables must be there."""
        return f"CREATE OR REPLACE VIEW {self.full_name} AS\n{self.select}"


VIEWS: tuple[View, ...] = (
    View("feedback_latest", "everyone", "the latest revision of each piece of feedback"),
    View("product_weekly", "product", "weekly complaints by category, share and change"),
    View("severity_heatmap", "product", "signals by category and severity"),
    View("support_queue", "support", "urgent complaints of the last 14 days, with their text"),
    View("engineering_clusters", "engineering", "defects linked to a release, sample text, owner"),
    View("leadership_speed", "leadership", "hours from first complaint to resolution, volumes"),
    View("intake_accounting", "operations", "where every row taken in went"),
)
"""In an order in which they can be made: a view comes after those that it reads."""


def view_named(full_name: str) -> View | None:
    """Return the view of that `gold.name`, or None."""
    return next((v for v in VIEWS if v.full_name == full_name), None)
