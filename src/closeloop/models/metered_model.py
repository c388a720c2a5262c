"""A language model that pays for nothing twice, stays within its budget and leaves a sick service be."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from closeloop import tracing
from closeloop.domain.model_answer import AnswerState, ModelAnswer, ModelRequest, Usage
from closeloop.domain.model_call import (
    KEPT_STATES,
    Budget,
    ModelCall,
    PriceTable,
    day_start,
    holds,
    request_key,
)
from closeloop.models.openai_language_model import Heard, input_tokens
from closeloop.ports import CallLedger

PAUSE_S = 300.0
BUSY_PAUSE_S = 60.0
"""A service that refuses every request, or failed several times, is left alone for so long; one
that was too busy, for as long as it asks, else a minute."""
FAILURES_IN_A_ROW = 3
AT_ONCE = frozenset(
    {AnswerState.UNAUTHORISED, AnswerState.UNKNOWN_DEPLOYMENT, AnswerState.BUDGET_SPENT}
)
"""Ends that every other request would meet too, until somebody changes something."""
IN_A_ROW = frozenset({AnswerState.TIMED_OUT, AnswerState.UNAVAILABLE})
KEPT = "kept"
DETAIL_CHARACTERS = 600


class Hearing(Protocol):
    """A model that says of each answer what it used."""

    @property
    def name(self) -> str:
        """Deployment and kind of service."""
        ...

    def bounded(self, request: ModelRequest) -> ModelRequest:
        """Return the request with the limit of tokens that is sent."""
        ...

    def hear(self, request: ModelRequest) -> Heard:
        """Return what came of the request."""
        ...


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms a model is asked: prices, budget, and the names that its price stands under.

    `zone` says where a day begins, `now` tells the wall's time.
    """

    prices: PriceTable
    budget: Budget
    now: Callable[[], datetime]
    zone: str = "UTC"
    priced_as: tuple[str, ...] = ()


class MeteredLanguageModel:
    """Answers from what is kept, else asks once and keeps the answer with what it cost.

    The intent is in the ledger before a request is sent, the end and the answer are written in one
    transaction: a run that is killed between repeats that one call, and the ledger shows it. What
    the budget does not allow, or a service that is down, is an answer with its state, and counted.
    """

    def __init__(
        self,
        model: Hearing,
        *,
        ledger: CallLedger,
        terms: Terms,
        run: str = "",
        stopwatch: Callable[[], float] = time.monotonic,
    ) -> None:
        self._model = model
        self._ledger = ledger
        self._terms = terms
        self._run = run
        self._stopwatch = stopwatch
        self._served = ""
        self._failures = 0
        self._pause: tuple[float, AnswerState, str] | None = None
        self.counts: Counter[str] = Counter()

    @property
    def name(self) -> str:
        """Deployment and kind of service."""
        return self._model.name

    @property
    def unmetered(self) -> Hearing:
        """The model itself."""
        return self._model

    @property
    def terms(self) -> Terms:
        """On what terms it is asked."""
        return self._terms

    @property
    def ledger(self) -> CallLedger:
        """Where its calls and answers are."""
        return self._ledger

    @property
    def run(self) -> str:
        """The run that calls are counted to."""
        return self._run

    def begin_run(self, run: str) -> None:
        """Count what follows as another run: its budget begins anew, and a sick service is tried."""
        self._run = run
        self._pause, self._failures = None, 0
        self.counts = Counter()

    def answer(self, request: ModelRequest) -> ModelAnswer:
        """Return what came of the request; one that was answered before is not paid twice.

        Raises TransientError where the ledger can't be written: nothing is sent unrecorded.
        """
        with tracing.span(
            f"chat {self.name}",
            gen_ai__operation__name="chat",
            gen_ai__request__model=self.name,
            closeloop__purpose=request.purpose,
            closeloop__prompt_version=request.prompt_version,
        ) as span:
            answer = self._answer(request)
            span.set("closeloop.state", answer.state.value)
            span.set("closeloop.kept", answer.kept)
            span.set("closeloop.cost_usd", answer.cost_usd)
            span.set("gen_ai.response.model", self._served or None)
            span.set("gen_ai.usage.input_tokens", answer.usage.input)
            span.set("gen_ai.usage.cached_input_tokens", answer.usage.cached)
            span.set("gen_ai.usage.output_tokens", answer.usage.output)
            if tracing.includes_texts():
                span.set("closeloop.request_text", request.text)
                span.set("closeloop.answer_text", answer.text)
        self.counts[KEPT if answer.kept else answer.state.value] += 1
        return answer

    def _answer(self, request: ModelRequest) -> ModelAnswer:
        now = self._terms.now()
        key = request_key(self._model.bounded(request), model=self.name)
        kept = self._ledger.kept(key)
        if kept is not None and holds(kept[0], given_at=kept[1], now=now):
            return kept[0]
        call = self._intent(key, request, now)
        declined = self._declined(call, now)
        if declined is not None:
            state, detail = declined
            self._ledger.begin(replace(call, sent=False, state=state, detail=detail))
            return ModelAnswer(state=state, model=self.name, detail=detail, cost_usd=0.0)
        call = replace(call, number=self._ledger.begin(call))
        started = self._stopwatch()
        heard = self._model.hear(request)
        seconds = self._stopwatch() - started
        return self._record(call, request, heard, seconds)

    def _intent(self, key: str, request: ModelRequest, now: datetime) -> ModelCall:
        bounded = self._model.bounded(request)
        most = Usage(input=input_tokens(bounded), output=bounded.max_output_tokens)
        price = self._terms.prices.price(*self._terms.priced_as, self._served)
        return ModelCall(
            key=key,
            purpose=request.purpose,
            prompt_version=request.prompt_version,
            model=self.name,
            run=self._run,
            at=now,
            reserved_usd=self._terms.prices.cost(price, most),
            reserved_tokens=most.input + most.output,
        )

    def _declined(self, call: ModelCall, now: datetime) -> tuple[AnswerState, str] | None:
        """Return why a call is not made; None where it is."""
        today = self._ledger.spent(since=day_start(now, zone=self._terms.zone))
        run = self._ledger.spent(run=self._run)
        over = self._terms.budget.refusal(today, run, reserved_usd=call.reserved_usd)
        if over is not None:
            return AnswerState.BUDGET_SPENT, f"not asked: {over}"
        if self._pause is not None:
            until, state, detail = self._pause
            left = until - self._stopwatch()
            if left > 0:
                return state, f"not asked for another {left:.0f} s: {detail}"
            self._pause = None
        return None

    def _record(
        self, call: ModelCall, request: ModelRequest, heard: Heard, seconds: float
    ) -> ModelAnswer:
        self._served = heard.served or self._served
        price = self._terms.prices.price(*self._terms.priced_as, self._served)
        usage = heard.usage or Usage()
        cost = None if heard.usage is None else self._terms.prices.cost(price, usage)
        if heard.usage == Usage():
            cost = 0.0
        answer = replace(
            heard.answer,
            cost_usd=cost,
            detail=heard.answer.detail[:DETAIL_CHARACTERS],
        )
        done = replace(
            call,
            state=answer.state,
            detail=answer.detail,
            usage=usage,
            cost_usd=cost,
            uncertain=heard.uncertain,
            seconds=seconds,
        )
        keep = (request, answer) if _keeps(heard) else None
        self._ledger.finish(done, keep=keep)
        self._watch(heard)
        return answer

    def _watch(self, heard: Heard) -> None:
        """Leave a service alone that would refuse or fail the next request too."""
        answer = heard.answer
        pause = 0.0
        self._failures = self._failures + 1 if answer.state in IN_A_ROW else 0
        if answer.state in AT_ONCE or self._failures >= FAILURES_IN_A_ROW:
            pause = PAUSE_S
        elif answer.state is AnswerState.RATE_LIMITED:
            pause = BUSY_PAUSE_S if heard.wait_s is None else heard.wait_s
        if pause > 0:
            self._pause = (self._stopwatch() + pause, answer.state, answer.detail)
            self._failures = 0


def _keeps(heard: Heard) -> bool:
    return heard.answer.state in KEPT_STATES and not heard.uncertain
