"""Has requests answered in batches: half the price, within a day, resumed after a kill."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from closeloop.domain.model_answer import AnswerState, ModelAnswer, ModelRequest, Usage
from closeloop.domain.model_call import (
    KEPT_STATES,
    ModelCall,
    Spending,
    day_start,
    holds,
    request_key,
)
from closeloop.errors import TransientError
from closeloop.models.metered_model import Terms
from closeloop.models.openai_batches import OpenAIBatches, RemoteBatch
from closeloop.models.openai_faults import Fault
from closeloop.models.openai_language_model import (
    Heard,
    OpenAILanguageModel,
    input_tokens,
    read_answer,
)
from closeloop.ports import BatchBook, CallLedger, Submission

MAX_REQUESTS = 50_000
MAX_BYTES = 100_000_000
"""The service takes 50,000 requests and 200 MB in a file; half of that leaves room for its form."""


@dataclass(frozen=True, slots=True)
class HandedIn:
    """What became of requests that were to be handed in."""

    submitted: int = 0
    kept: int = 0
    waiting: int = 0
    over_budget: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True)
class BatchStatus:
    """How a submission is getting on: `status` is the service's, or unsent, or unreachable."""

    submission: str
    batch_id: str | None
    status: str
    requests: int
    ended: Mapping[str, int]
    detail: str = ""


class DeferringLanguageModel:
    """Answers from what is kept; what is not yet, it notes for a batch and answers `deferred`.

    A run over it goes on without those texts; run again once the batch has been collected, it finds
    them kept.
    """

    def __init__(self, batched: BatchedModel) -> None:
        self._batched = batched
        self.noted: dict[str, ModelRequest] = {}

    @property
    def name(self) -> str:
        """The name of the model that will answer."""
        return self._batched.name

    def answer(self, request: ModelRequest) -> ModelAnswer:
        """Return the kept answer, or `deferred`; nothing is sent."""
        kept = self._batched.kept(request)
        if kept is not None:
            return kept
        self.noted[self._batched.key(request)] = request
        detail = "it waits for a batch (closeloop batches)"
        return ModelAnswer(AnswerState.DEFERRED, self.name, detail=detail, cost_usd=0.0)

    def hand_in(self) -> HandedIn:
        """Hand in all that was noted."""
        return self._batched.submit(list(self.noted.values()))


class BatchedModel:
    """Hands requests in, asks how they are getting on, and keeps the answers.

    Before anything is sent, the submission and the intent of every call are recorded; the service
    is given the submission's mark, by which a batch is found again whose id never arrived. So a
    kill or a time-out anywhere leads to no second batch. What may be spent is set aside at the price
    of a batch; answers are kept under the keys of single calls.
    """

    def __init__(
        self,
        model: OpenAILanguageModel,
        *,
        ledger: CallLedger,
        book: BatchBook,
        terms: Terms,
        run: str = "",
        deployment: str | None = None,
    ) -> None:
        self._model = model
        self._batches = OpenAIBatches(model.service)
        self._ledger = ledger
        self._book = book
        self._terms = terms
        self._run = run
        self._deployment = deployment

    @property
    def name(self) -> str:
        """The name of the model, the same as for single calls."""
        return self._model.name

    def deferring(self) -> DeferringLanguageModel:
        """Return a model that answers from what is kept and notes the rest for a batch."""
        return DeferringLanguageModel(self)

    def key(self, request: ModelRequest) -> str:
        """Return the content key of a request."""
        return request_key(self._model.bounded(request), model=self.name)

    def kept(self, request: ModelRequest) -> ModelAnswer | None:
        """Return the answer that is kept and still holds, None where there is none."""
        kept = self._ledger.kept(self.key(request))
        if kept is None or not holds(kept[0], given_at=kept[1], now=self._terms.now()):
            return None
        return kept[0]

    def submit(self, requests: Sequence[ModelRequest]) -> HandedIn:
        """Hand in what is neither kept nor waiting and fits the budget; each request once.

        Faults of the service don't lose a submission: `advance` hands it in again.
        """
        waiting = self._book.waiting()
        fresh: dict[str, ModelRequest] = {}
        counts: Counter[str] = Counter()
        for request in requests:
            key = self.key(request)
            if key in fresh:
                continue
            if self.kept(request) is not None:
                counts["kept"] += 1
            elif key in waiting:
                counts["waiting"] += 1
            else:
                fresh[key] = request
        entries, why = self._within_budget(fresh)
        for part in _parts(
            [(call, request, self._line(call, request)) for call, request in entries]
        ):
            at = part[0][0].at
            names = "".join(call.key for call, _ in part) + at.isoformat()
            submission = hashlib.blake2b(names.encode(), digest_size=12).hexdigest()
            marked = [(replace(call, batch=submission), request) for call, request in part]
            self._book.put(submission, marked, at=at)
        self.advance()
        return HandedIn(
            submitted=len(entries),
            kept=counts["kept"],
            waiting=counts["waiting"],
            over_budget=len(fresh) - len(entries),
            why=why,
        )

    def advance(self) -> list[BatchStatus]:
        """Hand in what was not yet, ask after the rest, and collect what has ended."""
        return [self._advanced(held) for held in self._book.open_submissions()]

    def _advanced(self, held: Submission) -> BatchStatus:
        remote = self._remote(held)
        calls = self._book.entries(held.submission)
        if isinstance(remote, Fault):
            status = "unsent" if held.batch_id is None else "unreachable"
            return BatchStatus(
                held.submission, held.batch_id, status, len(calls), {}, remote.error.message
            )
        ended: Counter[str] = Counter()
        detail = remote.why
        if remote.ended:
            try:
                ended = self._collect(held, remote, calls)
            except TransientError as error:
                detail = error.message
        return BatchStatus(
            held.submission, remote.batch_id, remote.status, len(calls), dict(ended), detail
        )

    def _remote(self, held: Submission) -> RemoteBatch | Fault:
        """Return the batch at the service: by its id, by its mark, else handed in now."""
        if held.batch_id is not None:
            return self._batches.get(held.batch_id)
        found = self._batches.find(held.submission)
        if found is None:
            found = self._handed_in(held)
        if isinstance(found, RemoteBatch):
            self._book.handed_in(held.submission, batch_id=found.batch_id)
        return found

    def _handed_in(self, held: Submission) -> RemoteBatch | Fault:
        entries = self._book.entries(held.submission)
        lines = b"".join(self._line(call, request) for call, request in entries if request)
        file_id = self._batches.upload(f"closeloop-{held.submission}.jsonl", lines)
        if isinstance(file_id, Fault):
            return file_id
        return self._batches.create(file_id, path=self._model.dialect.path, mark=held.submission)

    def _line(self, call: ModelCall, request: ModelRequest) -> bytes:
        body = self._model.body(request)
        if self._deployment is not None:
            body["model"] = self._deployment
        line = {
            "custom_id": call.key,
            "method": "POST",
            "url": f"/v1{self._model.dialect.path}",
            "body": body,
        }
        return json.dumps(line, separators=(",", ":")).encode() + b"\n"

    def _within_budget(
        self, fresh: Mapping[str, ModelRequest]
    ) -> tuple[list[tuple[ModelCall, ModelRequest]], str]:
        """Return the calls that the budget allows, in order, and why others are not among them."""
        now, prices = self._terms.now(), self._terms.prices
        price = prices.price(*self._terms.priced_as)
        today = self._ledger.spent(since=day_start(now, zone=self._terms.zone))
        run = self._ledger.spent(run=self._run)
        entries: list[tuple[ModelCall, ModelRequest]] = []
        for key, request in fresh.items():
            bounded = self._model.bounded(request)
            most = Usage(input=input_tokens(bounded), output=bounded.max_output_tokens)
            call = ModelCall(
                key=key,
                purpose=request.purpose,
                prompt_version=request.prompt_version,
                model=self.name,
                run=self._run,
                at=now,
                reserved_usd=prices.cost(price, most, batch=True),
                reserved_tokens=most.input + most.output,
            )
            over = self._terms.budget.refusal(today, run, reserved_usd=call.reserved_usd)
            if over is not None:
                return entries, over
            entries.append((call, request))
            today, run = _with(today, call), _with(run, call)
        return entries, ""

    def _collect(
        self,
        held: Submission,
        remote: RemoteBatch,
        calls: Sequence[tuple[ModelCall, ModelRequest | None]],
    ) -> Counter[str]:
        """Write every call's end and keep its answer; then close the submission and its files.

        Killed half-way, the rest is written the next time. Raises TransientError where a file can't
        be fetched now.
        """
        lines: dict[str, Mapping[str, Any]] = {}
        for file_id in (remote.error_file, remote.output_file):
            found = [] if file_id is None else self._batches.lines(file_id)
            if isinstance(found, Fault):
                if found.again:
                    raise TransientError(found.error.message, hint=found.error.hint)
                found = []
            lines |= {str(line.get("custom_id")): line for line in found}
        ended: Counter[str] = Counter()
        for call, request in calls:
            # An erased request has no text any more: its answer is counted and not kept.
            asked = request or _erased(call)
            heard = self._heard(lines.get(call.key), asked, remote)
            self._finish(call, asked, heard, keeps=request is not None)
            ended[heard.answer.state.value] += 1
        for file_id in remote.files:
            self._batches.remove(file_id)
        self._book.collected(held.submission)
        return ended

    def _heard(
        self, line: Mapping[str, Any] | None, request: ModelRequest, remote: RemoteBatch
    ) -> Heard:
        response = line.get("response") if line is not None else None
        if not isinstance(response, Mapping):
            return self._unanswered(remote)
        status, body = response.get("status_code"), response.get("body")
        if status == 200 and isinstance(body, Mapping):
            return self._model.understand(read_answer(self._model.dialect, body), request)
        code = status if isinstance(status, int) else 500
        outcome = self._model.service.meaning(code, {}, body, model=self.name)
        return self._model.understand(outcome, request)

    def _unanswered(self, remote: RemoteBatch) -> Heard:
        state = AnswerState.UNAVAILABLE
        if remote.status in ("expired", "cancelled"):
            state = AnswerState.TIMED_OUT
        why = f" ({remote.why})" if remote.why else ""
        detail = f"the batch ended as {remote.status}{why} before this request was answered"
        return Heard(ModelAnswer(state, self.name, detail=detail), Usage())

    def _finish(self, call: ModelCall, request: ModelRequest, heard: Heard, *, keeps: bool) -> None:
        prices = self._terms.prices
        price = prices.price(*self._terms.priced_as, heard.served)
        usage = heard.usage or Usage()
        cost = None if heard.usage is None else prices.cost(price, usage, batch=True)
        if heard.usage == Usage():
            cost = 0.0
        answer = replace(heard.answer, cost_usd=cost)
        done = replace(call, state=answer.state, detail=answer.detail, usage=usage, cost_usd=cost)
        keeps = keeps and answer.state in KEPT_STATES
        self._ledger.finish(done, keep=(request, answer) if keeps else None)


def _with(spending: Spending, call: ModelCall) -> Spending:
    return replace(
        spending, calls=spending.calls + 1, usd=spending.usd + (call.reserved_usd or 0.0)
    )


def _erased(call: ModelCall) -> ModelRequest:
    return ModelRequest(call.purpose, call.prompt_version, "", "", "", {}, 0)


def _parts(
    entries: Sequence[tuple[ModelCall, ModelRequest, bytes]],
) -> Iterator[list[tuple[ModelCall, ModelRequest]]]:
    """Yield the entries of each file, within the service's limits."""
    part: list[tuple[ModelCall, ModelRequest]] = []
    size = 0
    for call, request, line in entries:
        if part and (len(part) == MAX_REQUESTS or size + len(line) > MAX_BYTES):
            yield part
            part, size = [], 0
        part.append((call, request))
        size += len(line)
    if part:
        yield part
