"""What calls of language models cost, and whether another may be made: pure rules."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from closeloop.domain.model_answer import AnswerState, ModelAnswer, ModelRequest, Usage

TOKENS_PRICED = 1_000_000
"""Prices are in US dollars for so many tokens."""
ASK_AGAIN_AFTER = timedelta(days=7)
"""An answer without text (refused, filtered, cut short …) is kept so long: filters and models change."""
KEPT_STATES = frozenset(
    {
        AnswerState.ANSWERED,
        AnswerState.REFUSED,
        AnswerState.FILTERED_INPUT,
        AnswerState.FILTERED_OUTPUT,
        AnswerState.TOO_LONG,
        AnswerState.CUT_SHORT,
    }
)
"""Ends that the same request would meet again: asking at once would pay twice for nothing."""
_DATED = re.compile(r"-\d{4}-\d{2}-\d{2}$")


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens. Cached tokens cost as much as others where nothing is said."""

    input: float
    output: float = 0.0
    cached_input: float | None = None


@dataclass(frozen=True, slots=True)
class PriceTable:
    """Prices by model, where they are from and of which day. A batch costs `batch_factor` of them."""

    prices: Mapping[str, Price]
    as_of: str
    source: str
    batch_factor: float = 0.5

    def price(self, *models: str | None) -> Price | None:
        """Return the price of the first of the names that is known, with or without its date."""
        for model in models:
            name = (model or "").lower()
            found = self.prices.get(name) or self.prices.get(_DATED.sub("", name))
            if found is not None:
                return found
        return None

    def cost(self, price: Price | None, usage: Usage, *, batch: bool = False) -> float | None:
        """Return US dollars; None where the price is not known."""
        if price is None:
            return None
        cached = price.input if price.cached_input is None else price.cached_input
        dollars = (
            (usage.input - usage.cached) * price.input
            + usage.cached * cached
            + usage.output * price.output
        ) / TOKENS_PRICED
        return dollars * (self.batch_factor if batch else 1.0)


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One call as the ledger keeps it: what was set aside before, what came of it after.

    `state` is None from the moment before it is sent until its end is written: a call that stays so
    was killed. `sent` is false for one that was not made (the budget, a service that is down).
    `uncertain` calls got no answer, but may have been billed. `reserved_usd` is what the call costs
    at most, None where the price is not known; so is `cost_usd`.
    """

    key: str
    purpose: str
    prompt_version: str
    model: str
    run: str
    at: datetime
    reserved_usd: float | None = None
    reserved_tokens: int = 0
    sent: bool = True
    number: int = 0
    state: AnswerState | None = None
    detail: str = ""
    usage: Usage = field(default_factory=Usage)
    cost_usd: float | None = None
    uncertain: bool = False
    seconds: float | None = None
    batch: str | None = None

    @property
    def charged_usd(self) -> float | None:
        """What counts against a budget: the cost, or all that was set aside where it is not sure."""
        if not self.sent:
            return 0.0
        unsure = self.state is None or self.uncertain
        return self.reserved_usd if unsure else self.cost_usd


@dataclass(frozen=True, slots=True)
class Spending:
    """What was spent in a time: calls that were sent, their known cost, and those of unknown cost."""

    calls: int = 0
    usd: float = 0.0
    unpriced: int = 0
    tokens: int = 0

    @staticmethod
    def of(calls: Iterable[ModelCall]) -> Spending:
        """Add up calls."""
        sent = [call for call in calls if call.sent]
        charged = [call.charged_usd for call in sent]
        return Spending(
            calls=len(sent),
            usd=sum(c for c in charged if c is not None),
            unpriced=sum(c is None for c in charged),
            tokens=sum(call.usage.input + call.usage.output for call in sent),
        )


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be spent: US dollars a day and a run, calls a day (all, whatever they cost)."""

    daily_usd: float
    per_run_usd: float
    max_calls_a_day: int

    def refusal(self, today: Spending, run: Spending, *, reserved_usd: float | None) -> str | None:
        """Return why another call would go beyond the budget; None where it may be made."""
        if today.calls >= self.max_calls_a_day:
            return (
                f"{today.calls:,} calls today: writer.budget.max_calls_a_day "
                f"({self.max_calls_a_day:,}) is used up"
            )
        wanted = reserved_usd or 0.0
        for name, limit, spent in (
            ("daily_usd", self.daily_usd, today.usd),
            ("per_run_usd", self.per_run_usd, run.usd),
        ):
            if reserved_usd is not None and spent + wanted > limit:
                return (
                    f"${spent:.4f} spent, up to ${wanted:.4f} more needed: writer.budget.{name} "
                    f"(${limit:g}) does not reach"
                )
        return None


def request_key(request: ModelRequest, *, model: str) -> str:
    """Return the content key of a request to a model: equal for equal content, 32 hex digits."""
    content = [
        model, request.purpose, request.prompt_version, request.instructions, request.text,
        request.schema_name, request.schema, request.max_output_tokens,
    ]  # fmt: skip
    data = json.dumps(content, sort_keys=True, ensure_ascii=True).encode()
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def holds(answer: ModelAnswer, *, given_at: datetime, now: datetime) -> bool:
    """Return whether a kept answer still stands in for a call."""
    return answer.state is AnswerState.ANSWERED or now - given_at < ASK_AGAIN_AFTER


def day_start(now: datetime, *, zone: str) -> datetime:
    """Return when the day of a time began in a zone."""
    return now.astimezone(ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0)
