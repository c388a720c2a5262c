"""Products and owners: whose feedback it is, and who mends what."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Product:
    """A product with its aliases (other names in the sources) and the names of its components."""

    product_id: str
    name: str
    aliases: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    components: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OwnerRule:
    """One line of owners.yaml: the first rule whose every stated condition holds names the owner."""

    owner: str
    category: str | None = None
    product: str | None = None
    component: str | None = None
    words: tuple[str, ...] = ()
    contact: str | None = None
    tracker_project: str | None = None


@dataclass(frozen=True, slots=True)
class Owners:
    """Rules in order, and who gets what no rule names."""

    rules: tuple[OwnerRule, ...]
    default_owner: str
    version: str

    def owner_of(
        self, *, product: str, category: str | None, words: frozenset[str] = frozenset()
    ) -> OwnerRule:
        """Return the first rule that fits, or a rule for the default owner."""
        for rule in self.rules:
            if rule.product is not None and rule.product != product:
                continue
            if rule.category is not None and rule.category != category:
                continue
            wanted = frozenset(rule.words) | ({rule.component} if rule.component else frozenset())
            if wanted and not {w.lower() for w in wanted if w} & words:
                continue
            return rule
        return OwnerRule(owner=self.default_owner)
