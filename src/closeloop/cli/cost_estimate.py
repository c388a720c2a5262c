"""Estimates what briefs by a language model would cost, from past calls and the price table."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from closeloop.app import Workspace
from closeloop.domain.model_answer import AnswerState, Usage
from closeloop.domain.model_call import ModelCall

PURPOSES = ("brief", "repair")
ASSUMED = Usage(input=4_000, cached=0, output=700)
"""A brief's tokens where none was written yet: a sheet with some 20 quotations, four audience texts."""

WAITING = """
SELECT count(*) AS n FROM gold.signal s
WHERE NOT s.historic AND NOT EXISTS (SELECT 1 FROM gold.brief b WHERE b.signal_id = s.signal_id)
"""
WRITTEN = "SELECT count(*) AS n FROM gold.brief"


@dataclass(frozen=True, slots=True)
class Priced:
    """What a model would cost, at once or as a batch; None where its price is not known."""

    model: str
    usd: float | None
    batch_usd: float | None


@dataclass(frozen=True, slots=True)
class Estimate:
    """How many briefs there are to write, what one uses on average, and what that costs."""

    briefs: int
    what: str
    usage: Usage
    basis: str
    models: tuple[Priced, ...]
    as_of: str
    source: str

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return asdict(self)


def estimate_briefs(workspace: Workspace, *, models: tuple[str, ...] = ()) -> Estimate:
    """Return the cost of the briefs that wait, or of all that a backtest has written without a model.

    Priced are `models`, else the configured one, else all that the price table has. A repair counts
    with the brief it belongs to.
    """
    if workspace.backtest is None:
        briefs, what = int(workspace.query(WAITING).to_pylist()[0]["n"]), "to be written"
    else:
        briefs, what = int(workspace.query(WRITTEN).to_pylist()[0]["n"]), "in the backtest"
    ledger = workspace.calls_made()
    usage, basis = usage_of_a_brief([] if ledger is None else ledger.calls())
    prices = workspace.models.prices()
    total = Usage(usage.input * briefs, usage.cached * briefs, usage.output * briefs)
    priced = []
    for model in models or _models(workspace):
        price = prices.price(model)
        priced.append(
            Priced(model, prices.cost(price, total), prices.cost(price, total, batch=True))
        )
    return Estimate(briefs, what, usage, basis, tuple(priced), prices.as_of, prices.source)


def usage_of_a_brief(calls: list[ModelCall]) -> tuple[Usage, str]:
    """Return the mean tokens of a brief, its repair included, and where that is from."""
    ended = [c for c in calls if c.purpose in PURPOSES and c.usage.output]
    briefs = sum(c.purpose == "brief" and c.state is AnswerState.ANSWERED for c in ended)
    if not briefs:
        return ASSUMED, "assumed: none was written yet"
    mean = Usage(
        input=round(sum(c.usage.input for c in ended) / briefs),
        cached=round(sum(c.usage.cached for c in ended) / briefs),
        output=round(sum(c.usage.output for c in ended) / briefs),
    )
    return mean, f"mean of {briefs:,} so far"


def _models(workspace: Workspace) -> tuple[str, ...]:
    chosen = workspace.settings.writer
    prices = workspace.models.prices()
    named = [name for name in (chosen.model, chosen.deployment) if name]
    known = [name for name in named if prices.price(name) is not None]
    if named:
        return tuple((known or named)[:1])
    return tuple(name for name, price in prices.prices.items() if price.output)
