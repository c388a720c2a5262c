"""Accounts for language models: brings gold.model_call up to date with the ledger of calls."""

from __future__ import annotations

from typing import Any

from closeloop.domain.model_call import ModelCall
from closeloop.ports import CallLedger, StepContext
from closeloop.tables import MODEL_CALL

NAME = "account"
ACCOUNTED = "accounted"
"""State: number of the call up to which all have ended and are in gold.model_call."""
LOST = "lost"
"""State of a call that was killed between its beginning and its end."""
OPEN = "open"


def run(context: StepContext, ledger: CallLedger) -> None:
    """Add the calls made since the last pass, and what has ended of those in batches."""
    blob = context.state(ACCOUNTED)
    upto = int(blob) if blob else 0
    calls = ledger.calls(after=upto)
    if not calls:
        return
    context.merge(MODEL_CALL, MODEL_CALL.from_rows(as_row(call) for call in calls))
    waiting = [call.number for call in calls if shown_state(call) == OPEN]
    settled = min(waiting) - 1 if waiting else calls[-1].number
    if settled != upto:
        context.put_state(ACCOUNTED, str(settled).encode())
    context.count("model_calls", len(calls))
    for call in calls:
        if call.sent and call.state is not None and call.state.value != "answered":
            context.count(call.state.value, 1)


def shown_state(call: ModelCall) -> str:
    """Return how a call ended, for people."""
    if call.state is not None:
        return call.state.value
    return LOST if call.batch is None else OPEN


def as_row(call: ModelCall) -> dict[str, Any]:
    """Return a call as a row of gold.model_call."""
    return {
        "call_id": str(call.number),
        "at": call.at,
        "run": call.run,
        "purpose": call.purpose,
        "prompt_version": call.prompt_version,
        "model": call.model,
        "state": shown_state(call),
        "sent": call.sent,
        "detail": call.detail,
        "input_tokens": call.usage.input,
        "cached_tokens": call.usage.cached,
        "output_tokens": call.usage.output,
        "cost_usd": call.cost_usd,
        "charged_usd": call.charged_usd,
        "uncertain": call.uncertain,
        "seconds": call.seconds,
        "batch": call.batch,
    }
