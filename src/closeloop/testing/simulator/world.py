"""What a scenario is made of: products, releases, other changes, and effects with a true cause.

Times are days from the start of the simulation (30.5 is noon of the 31st day), so that a scenario
reads like a calendar and can be moved to any date.
"""

from __future__ import annotations

from dataclasses import dataclass, field

WEB = "web"
MOBILE = ("android", "ios")
MAIN_SOURCE = "shop"


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
    """A flag, an article, a configuration change, or an incident outside.

    `share` is the share of users for whom a flag is on from `day` until `end_day`. An article is a
    page of help, or something sold, named by its SKU.
    """

    kind: str
    product: str
    name: str
    day: float
    end_day: float | None = None
    platform: str | None = None
    region: str | None = None
    share: float = 0.5

    def on_at(self, day: float) -> bool:
        """Whether the change is in force on that day."""
        return self.day <= day and (self.end_day is None or day < self.end_day)


@dataclass(frozen=True, slots=True)
class Effect:
    """Complaints that come on top because something is broken.

    `per_day` is how many would come on an average day if every user of the product were exposed;
    who is exposed follows from `version` (its share of users at each hour) and `flag` (those for
    whom it is on); whose rows they are from `platform`, `region`, `sku`, `fulfilment_centre`,
    `channel`. They rise in a straight line for the first `grows_days`. `change` names what is truly
    behind it among the changes, None if no known change is; `end_day` None lasts to the end.
    `fixed_by` names the change that was meant to mend it and `verdict` what is to be said of it
    (held, failed, moved). `continues` names the cause of which this is more. `to_raise` False: it is known too late to act on.
    """

    cause: str
    kind: str
    product: str
    themes: dict[str, float]
    day: float
    per_day: float
    end_day: float | None = None
    grows_days: float = 0.0
    version: str | None = None
    flag: str | None = None
    platform: str | None = None
    region: str | None = None
    sku: str | None = None
    fulfilment_centre: str | None = None
    channel: str | None = None
    change: str | None = None
    fixed_by: str | None = None
    verdict: str | None = None
    continues: str | None = None
    to_raise: bool = True


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
class Shift:
    """From `day` on people write of some themes `factor` times as often."""

    cause: str
    product: str
    themes: tuple[str, ...]
    day: float
    factor: float
    end_day: float | None = None


@dataclass(frozen=True, slots=True)
class Campaign:
    """Texts that no customer's trouble is behind: people called upon to complain, or bots.

    `per_day` texts come from `accounts` accounts with `stars` stars and without a version; `copies`
    different texts in all (None: each writes their own).
    """

    cause: str
    kind: str
    product: str
    themes: dict[str, float]
    day: float
    end_day: float
    per_day: float
    accounts: int
    stars: int = 1
    copies: int | None = None


@dataclass(frozen=True, slots=True)
class Silence:
    """A source delivers nothing from `day` to `end_day`; on `delivered_day` all of it at once.

    `delivered_day` None: what was written in that time never comes.
    """

    cause: str
    source: str
    day: float
    end_day: float
    delivered_day: float | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """A story to simulate. `expect` says in plain words what closeloop should make of it.

    `history_days` is how long ordinary days teach what is usual before anything happens. `sources`
    names the source that brings a channel, where it isn't `MAIN_SOURCE`; `pii_share` is the share
    of complaints in which personal data is planted.
    """

    name: str
    summary: str
    expect: str
    products: tuple[ProductModel, ...]
    days: int = 42
    per_day: int = 190
    history_days: int = 28
    releases: tuple[Release, ...] = ()
    changes: tuple[OtherChange, ...] = ()
    effects: tuple[Effect, ...] = ()
    surges: tuple[Surge, ...] = ()
    shifts: tuple[Shift, ...] = ()
    campaigns: tuple[Campaign, ...] = ()
    silences: tuple[Silence, ...] = ()
    sources: dict[str, str] = field(default_factory=dict)
    pii_share: float = 0.02

    def product(self, product_id: str) -> ProductModel:
        """Return the product of that id."""
        return next(p for p in self.products if p.product_id == product_id)

    def source_of(self, channel: str) -> str:
        """Return the source that brings a channel."""
        return self.sources.get(channel, MAIN_SOURCE)

    @property
    def source_names(self) -> tuple[str, ...]:
        """Every source that delivers, the main one first where there is one."""
        found = {self.source_of(c) for p in self.products for c in p.channels}
        return tuple(sorted(found, key=lambda name: (name != MAIN_SOURCE, name)))
