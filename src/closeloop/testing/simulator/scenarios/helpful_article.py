"""Returns change and nobody understands them, until a page of help explains them."""

from __future__ import annotations

from closeloop.testing.simulator.scenarios import shop
from closeloop.testing.simulator.world import Effect, OtherChange, Scenario

CHANGE, PAGE = "returns in three steps", "Returns, step by step"

SCENARIO = Scenario(
    name="helpful-article",
    summary=(
        "The way to return things is changed and customers can't make sense of it. Four days "
        "later a page of help explains it, and the complaints go."
    ),
    expect=(
        "A signal of documentation in the store; the change of the returns may be behind it, the "
        "page of help is not, and after it the verdict that the fix held."
    ),
    products=(shop.STORE,),
    per_day=100,
    days=44,
    changes=(
        *shop.STORE_CHANGES,
        OtherChange("config", "store", CHANGE, day=29.5),
        OtherChange("article", "store", PAGE, day=33.5),
    ),
    effects=(
        Effect(
            cause="returns not explained",
            kind="documentation",
            product="store",
            themes={"unclear help": 1.0},
            day=29.5,
            end_day=33.7,
            per_day=16,
            change=CHANGE,
            fixed_by=PAGE,
            verdict="held",
        ),
    ),
)
