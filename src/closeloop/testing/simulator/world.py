"""What a scenario is made of: products, releases, other changes, and effects with a true cause.

Times are days from the start of the simulation (30.5 is noon of the 31st day), so that a scenario
reads like a calendar and can be moved to any date.
"""

from __future__ import annotations

from dataclasses import dataclass

WEB = "web"
MOBILE = ("android", "ios")


@dataclass(frozen=True, slots=True)
class ProductModel:
    """A product: its share of all feedback, what people write about, on which platforms.

    `themes` are relative weights by theme of the phrase banks; `platforms` and `channels` shares.
    `sells` adds orders, articles and fulfilment centres; `base_version` is what everybody has at
    the start (None: a product without versions).
    """

    product_id: str
    name: str
    share: float
    themes: dict[str, float]
    platforms: dict[str, float]
    channels: dict[str, float]
    users: int
    sells: bool
    base_version: str | None = None


@dataclass(frozen=True, slots=True)
class Release:
    """A release: when, how it is rolled out, and how fast users take it up.

    `rollout` are (hours after start, share of users it is offered to); `uptake_h` is the time
    constant with which those who are offered it install it. It touches `platforms` only.
    """

    product: str
    version: str
    day: float
    rollout: tuple[tuple[float, float], ...] = ((0.0, 1.0),)
    uptake_h: float = 16.0
    platforms: tuple[str, ...] = MOBILE

    @property
    def name(self) -> str:
        """The name under which it is imported."""
        return self.version


@dataclass(frozen=True, slots=True)
class OtherChange:
    """A flag, an article, a configuration change, or an incident outside."""

    kind: str
    product: str
    name: str
    day: float
    end_day: float | None = None
    platform: str | None = None
    region: str | None = None


@dataclass(frozen=True, slots=True)
class Effect:
    """Complaints that come on top because something is broken.

    `per_day` is how many would come on an average day if every user of the product were exposed;
    who is exposed follows from `version` (its share of users at each hour), and whose rows they
    are from `platform`, `region`, `sku`, `fulfilment_centre`. `change` names what is truly behind
    it among the changes, None if no known change is; `end_day` None lasts to the end.
    """

    cause: str
    kind: str
    product: str
    themes: dict[str, float]
    day: float
    per_day: float
    end_day: float | None = None
    version: str | None = None
    platform: str | None = None
    region: str | None = None
    sku: str | None = None
    fulfilment_centre: str | None = None
    change: str | None = None
    fixed_by: str | None = None


@dataclass(frozen=True, slots=True)
class Surge:
    """More feedback of every kind for a while: nothing is broken.

    `themes` replaces the product's weights while it lasts, if given.
    """

    cause: str
    product: str
    day: float
    end_day: float
    factor: float
    themes: dict[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """A story to simulate. `expect` says in plain words what closeloop should make of it."""

    name: str
    summary: str
    expect: str
    products: tuple[ProductModel, ...]
    days: int = 42
    per_day: int = 190
    releases: tuple[Release, ...] = ()
    changes: tuple[OtherChange, ...] = ()
    effects: tuple[Effect, ...] = ()
    surges: tuple[Surge, ...] = ()

    def product(self, product_id: str) -> ProductModel:
        """Return the product of that id."""
        return next(p for p in self.products if p.product_id == product_id)
