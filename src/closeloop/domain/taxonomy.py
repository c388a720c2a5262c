"""The controlled taxonomy: categories with a description and examples, and what each is for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Category:
    """One category. `complaint` categories can raise signals; praise and requests can't.

    `impact` (0..1) is how much one such complaint weighs in severity; `words` are terms that text
    of this category often holds (they help the classifier's start, they decide nothing). One that
    is `alone` is never a further category of a text that has another.
    """

    name: str
    description: str
    examples: tuple[str, ...]
    complaint: bool = True
    impact: float = 0.5
    words: tuple[str, ...] = ()
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """All categories of a workspace, with the version that decisions record."""

    categories: tuple[Category, ...]
    version: str

    def category(self, name: str) -> Category | None:
        """Return the category of that name, or None (also for "unknown")."""
        return next((c for c in self.categories if c.name == name), None)

    def same_as(self, other: Taxonomy) -> bool:
        """Say whether two taxonomies mean the same: comments and layout of a file don't count."""
        return self.categories == other.categories

    def as_record(self) -> dict[str, Any]:
        """Return version and categories as plain values, as silver.taxonomy holds them."""
        return {"version": self.version, "categories": [asdict(c) for c in self.categories]}

    @staticmethod
    def from_record(record: Mapping[str, Any]) -> Taxonomy:
        """Return the taxonomy that `as_record` wrote."""
        return Taxonomy(
            categories=tuple(
                Category(
                    name=str(c["name"]),
                    description=str(c["description"]),
                    examples=tuple(c["examples"]),
                    complaint=bool(c["complaint"]),
                    impact=float(c["impact"]),
                    words=tuple(c["words"]),
                    alone=bool(c["alone"]),
                )
                for c in record["categories"]
            ),
            version=str(record["version"]),
        )


@dataclass(frozen=True, slots=True)
class CategoryChange:
    """What became of one category between two taxonomies: added, removed, or the fields changed."""

    name: str
    change: str


def changes_between(before: Taxonomy, after: Taxonomy) -> tuple[CategoryChange, ...]:
    """Return how the definitions differ, in the order of the later taxonomy, removed ones last.

    A renamed category is one removed and one added: only people know that they are the same.
    """
    found = []
    for category in after.categories:
        old = before.category(category.name)
        if old is None:
            found.append(CategoryChange(category.name, "added"))
        elif old != category:
            new_fields, old_fields = asdict(category), asdict(old)
            parts = [
                _field_change(name, old_fields[name], value)
                for name, value in new_fields.items()
                if old_fields[name] != value
            ]
            found.append(CategoryChange(category.name, ", ".join(parts)))
    found += [
        CategoryChange(c.name, "removed")
        for c in before.categories
        if after.category(c.name) is None
    ]
    return tuple(found)


def _field_change(name: str, before: Any, after: Any) -> str:
    if isinstance(after, tuple):
        plus, minus = len(set(after) - set(before)), len(set(before) - set(after))
        return f"{name} +{plus} -{minus}" if plus or minus else f"{name} in another order"
    return name if isinstance(after, str) else f"{name} {before} -> {after}"
