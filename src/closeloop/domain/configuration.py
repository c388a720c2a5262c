"""What the loop is told by a workspace's files, as plain values that stages can rely on."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from closeloop.domain.feedback import SourceProfile
from closeloop.domain.policy import Policy
from closeloop.domain.product import Owners, Product
from closeloop.domain.taxonomy import Taxonomy


@dataclass(frozen=True, slots=True)
class PiiRule:
    """A workspace's own masking rule: a pattern, the token's type, and whether tokens must join."""

    name: str
    pattern: str
    token: str
    joinable: bool = False


@dataclass(frozen=True, slots=True)
class Configuration:
    """All that stages need to know; built by closeloop.settings from the workspace's files.

    `products` may be empty: then every product name found in the feedback is a product.
    `max_future` is how far in the future an event may lie before it is quarantined (clock skew).
    More than `embed_at_once` new distinct texts are left to a student, if it is fitted to the
    model's vectors of `student_sample` of them and agrees with it by `student_agreement`; the model
    then reads those whose theme is in doubt, at most `second_looks` a day. Long histories are
    enriched and themed `portion_rows` at a time.
    """

    products: tuple[Product, ...]
    sources: tuple[SourceProfile, ...]
    taxonomy: Taxonomy
    owners: Owners
    policy: Policy
    pii_rules: tuple[PiiRule, ...] = ()
    default_product: str = "default"
    max_payload_bytes: int = 1_000_000
    max_future: timedelta = timedelta(hours=26)
    retention: timedelta | None = None
    theme_min_texts: int = 200
    embed_at_once: int = 20_000
    student_sample: int = 12_000
    second_looks: int = 1_000
    student_agreement: float = 0.7
    portion_rows: int = 100_000
    seed: int = 7
    extra: tuple[tuple[str, str], ...] = field(default=())

    def source(self, name: str) -> SourceProfile:
        """Return what is declared of a source, or the defaults under its name."""
        return next((s for s in self.sources if s.name == name), SourceProfile(name=name))

    def product_id(self, name: str | None) -> str:
        """Return the product that a name or alias means; an unlisted name is its own product."""
        if not name or not name.strip():
            return self.default_product
        wanted = name.strip().casefold()
        for product in self.products:
            names = (product.product_id, product.name, *product.aliases)
            if wanted in {n.casefold() for n in names}:
                return product.product_id
        return name.strip()
