"""Finds what a masked text names: versions, order tokens, products and components."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.domain.product import Product
from closeloop.tables import ENTITY

_ENTITIES = pa.list_(ENTITY)
_MIN_NAME = 3
"""A name shorter than this is found in too many words that mean something else."""

_VERSION = re.compile(
    r"(?<![\w.,$€£₹<:/-])(?:(?P<cue>v|ver\.?|version|update|build|release)[ :]{0,2})?"
    r"(?P<value>\d{1,5}(?:\.\d{1,6}){1,5})(?![\w%/]|[.,]\d)",
    re.IGNORECASE,
)
_VERSION_LOOK = r"\p{Nd}\.\p{Nd}"
_ORDER = re.compile(r"<ORDER:[0-9a-f]{16}>")
_ORDER_LOOK = r"<ORDER:"


@dataclass(frozen=True, slots=True)
class Entity:
    """A name in a text: what it is, its normal form, where it stands (characters)."""

    type: str
    value: str
    start: int
    end: int


def versions_in(text: str) -> list[Entity]:
    """Return versions: three numbers or more, or two after a cue ("update 2.8", "v4.0")."""
    return [
        Entity("version", match["value"], match.start("value"), match.end("value"))
        for match in _VERSION.finditer(text)
        if match["cue"] or match["value"].count(".") >= 2
    ]


def orders_in(text: str) -> list[Entity]:
    """Return the joinable order tokens that the masker left."""
    return [Entity("order", m[0], m.start(), m.end()) for m in _ORDER.finditer(text)]


@dataclass(frozen=True)
class NameFinder:
    """Finds the names of products (any of them) and of a row's own product's components."""

    products: tuple[Product, ...]
    _pattern: re.Pattern[str] | None = field(init=False, repr=False)
    _look: str | None = field(init=False, repr=False)
    _meaning: dict[str, tuple[tuple[str, str, str], ...]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Join all names into one pattern, the longest first."""
        meaning: dict[str, tuple[tuple[str, str, str], ...]] = {}
        for product in self.products:
            named = [("product", product.product_id, n) for n in (product.name, *product.aliases)]
            named += [("component", name, name) for name in product.components]
            for kind, value, name in named:
                key = name.strip().casefold()
                if len(key) >= _MIN_NAME:
                    meaning[key] = (*meaning.get(key, ()), (kind, value, product.product_id))
        names = sorted(meaning, key=lambda name: (-len(name), name))
        joined = "|".join(map(re.escape, names))
        pattern = re.compile(rf"(?<!\w)(?:{joined})(?!\w)", re.IGNORECASE) if names else None
        object.__setattr__(self, "_pattern", pattern)
        # Case is the only difference that a name may have; ı and İ are matched by one wildcard.
        look = "|".join(re.sub("[iıİ]", ".", _re2_literal(name)) for name in names)
        object.__setattr__(self, "_look", f"(?i){look}" if names else None)
        object.__setattr__(self, "_meaning", meaning)

    @property
    def look(self) -> str | None:
        """The RE2 pattern that every text with a name matches; None where there are no names."""
        return self._look

    def names_in(self, text: str, *, product: str) -> list[Entity]:
        """Return the products, and the components of this product, that a text names."""
        if self._pattern is None:
            return []
        found = []
        for match in self._pattern.finditer(text):
            for kind, value, owner in self._meaning.get(match[0].casefold(), ()):
                if kind == "product" or owner == product:
                    found.append(Entity(kind, value, match.start(), match.end()))
        return found


def _re2_literal(text: str) -> str:
    return re.sub(r"([^\w ])", r"\\\1", text)


def entities_of(texts: pa.Array, *, products: Sequence[str], finder: NameFinder) -> pa.ListArray:
    """Return the entities of each masked text (`products`: each row's product), null where none.

    A look over all rows picks those that Python reads.
    """
    looks = [_VERSION_LOOK, _ORDER_LOOK, *([finder.look] if finder.look else [])]
    picked = np.zeros(len(texts), dtype=np.bool_)
    for look in looks:
        found = pc.fill_null(pc.match_substring_regex(texts, look), False)
        picked |= found.to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(picked)
    values: list[list[dict[str, object]] | None] = [None] * len(texts)
    for row, text in zip(rows.tolist(), texts.take(pa.array(rows)).to_pylist(), strict=True):
        found_here = [
            *versions_in(text),
            *orders_in(text),
            *finder.names_in(text, product=products[row]),
        ]
        if found_here:
            values[row] = _as_rows(found_here)
    return pa.array(values, _ENTITIES)


def _as_rows(entities: Iterable[Entity]) -> list[dict[str, object]]:
    ordered = sorted(entities, key=lambda e: (e.start, e.end, e.type, e.value))
    return [{"type": e.type, "value": e.value, "start": e.start, "end": e.end} for e in ordered]
