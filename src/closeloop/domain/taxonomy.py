"""The controlled taxonomy: categories with a description and examples, and what each is for."""

from __future__ import annotations

from dataclasses import dataclass

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Category:
    """One category. `complaint` categories can raise signals; praise and requests can't.

    `impact` (0..1) is how much one such complaint weighs in severity; `words` are terms that text
    of this category often holds (they help the classifier's start, they decide nothing).
    """

    name: str
    description: str
    examples: tuple[str, ...]
    complaint: bool = True
    impact: float = 0.5
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """All categories of a workspace, with the version that decisions record."""

    categories: tuple[Category, ...]
    version: str

    def category(self, name: str) -> Category | None:
        """Return the category of that name, or None (also for "unknown")."""
        return next((c for c in self.categories if c.name == name), None)
