"""The shop that all scenarios happen to: its mobile app and its store, and their ordinary days."""

from __future__ import annotations

from closeloop.testing.simulator.world import Effect, OtherChange, ProductModel, Release

APP_THEMES = {
    "short praise": 24,
    "praise": 26,
    "wish": 6,
    "chatter": 6,
    "short bad": 5,
    "app slow": 5,
    "app crashes": 4,
    "layout confusing": 4.5,
    "code missing": 2.5,
    "locked out": 1.5,
    "card declined": 0.45,
    "payment hangs": 0.5,
    "search broken": 2.5,
    "support silent": 3,
    "charged twice": 1.5,
    "no refund": 0.8,
    "parcel late": 2,
    "account hacked": 0.6,
    "unclear help": 0.8,
}
STORE_THEMES = {
    "short praise": 12,
    "praise": 32,
    "chatter": 5,
    "wish": 3,
    "short bad": 3,
    "parcel late": 9,
    "parcel lost": 4,
    "broke quickly": 7,
    "arrived damaged": 5,
    "battery swells": 0.4,
    "not as shown": 6,
    "no refund": 4,
    "charged twice": 2,
    "support silent": 5,
    "unclear help": 2,
    "payment hangs": 1,
}

APP = ProductModel(
    product_id="shop-app",
    name="Shop app",
    share=0.66,
    themes=APP_THEMES,
    platforms={"android": 0.7, "ios": 0.3},
    channels={"review": 0.93, "ticket": 0.07},
    users=60_000,
    sells=False,
    base_version="5.0.2",
)
STORE = ProductModel(
    product_id="store",
    name="Online store",
    share=0.34,
    themes=STORE_THEMES,
    platforms={"web": 0.6, "android": 0.28, "ios": 0.12},
    channels={"review": 0.55, "ticket": 0.3, "survey": 0.15},
    users=90_000,
    sells=True,
)
PRODUCTS = (APP, STORE)

ORDINARY_RELEASES = (
    Release("shop-app", "5.1.0", day=3.4),
    Release("shop-app", "5.2.0", day=12.6),
    Release("shop-app", "5.3.0", day=21.4),
)
"""Releases in which nothing goes wrong."""

LATER_RELEASES = (
    Release("shop-app", "5.4.0", day=30.4),
    Release("shop-app", "5.5.0", day=39.6),
)
"""More of them, for stories that last longer."""

APP_CHANGES = (OtherChange("flag", "shop-app", "new-home-banner", day=17.5),)
STORE_CHANGES = (
    OtherChange("config", "store", "search ranking 7", day=10.3),
    OtherChange("article", "store", "How returns work", day=25.5),
)
ORDINARY_CHANGES = (*APP_CHANGES, *STORE_CHANGES)

BAD, FIX = "5.4.0", "5.4.1"
"""A release that sends no codes to sign in with, and the next, which says that it does."""
RELEASES_WITH_FIX = (
    *ORDINARY_RELEASES,
    Release("shop-app", BAD, day=30.4, uptake_h=12),
    Release("shop-app", FIX, day=33.4, uptake_h=8),
)
CODES = {"code missing": 0.8, "locked out": 0.2}


def codes_not_sent(*, verdict: str) -> Effect:
    """Return what the bad release does until the fix; `verdict` is what is due of the fix."""
    return Effect(
        cause=f"codes not sent in {BAD}",
        kind="release",
        product="shop-app",
        themes=CODES,
        day=30.4,
        per_day=40,
        version=BAD,
        change=BAD,
        fixed_by=FIX,
        verdict=verdict,
    )
