"""Writes briefs with a language model: asks, checks, asks once to mend, else writes without one."""

from __future__ import annotations

from dataclasses import dataclass, replace

from closeloop.domain.brief import Attempt, Brief, FactSheet
from closeloop.domain.grounding import problems
from closeloop.domain.model_answer import AnswerState, ModelAnswer, ModelRequest
from closeloop.models.brief_answer import SCHEMA_NAME, brief_of, read_answer, schema
from closeloop.models.brief_prompt import facts_text, repair_text
from closeloop.models.deterministic_writer import DeterministicWriter
from closeloop.models.outgoing import Door
from closeloop.models.prompts import Prompt, prompt, repair_prompt
from closeloop.ports import BriefRequest, LanguageModel

MAX_OUTPUT_TOKENS = 4_000
"""A brief of 25 sentences with their ids is about 1,800 tokens; twice that is no brief."""

MAX_PROBLEMS = 30
"""Problems that a repair is told of; a brief with more is not worth mending line by line."""

NEEDED = ("count", "severity", "owner")
"""Without one of these facts a brief would have a hole that the model can only fill by guessing."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a request came to: the brief where there is one, and the attempt as it is kept."""

    brief: Brief | None
    attempt: Attempt


class ModelWriter:
    """Asks a language model for the brief, and lets nothing pass that the sheet does not bear.

    At most two requests a brief. Whatever ends without a grounded brief ends with the deterministic
    one, and the attempts are kept with it: state by name, problems, tokens, cost.
    """

    def __init__(self, model: LanguageModel, door: Door) -> None:
        self._model = model
        self._door = door
        self._otherwise = DeterministicWriter()

    @property
    def name(self) -> str:
        """Stored with each brief that the model wrote."""
        return self._model.name

    def write(self, request: BriefRequest) -> Brief:
        """Return the model's brief where it is grounded, else the deterministic one."""
        sent = self._door.sheet(request.sheet)
        held = self._held_back(sent)
        if held:
            return self._without(request, (self._not_asked("brief", held),))
        hints = [h for h in self._door.let_out(request.routing_hints) if h and "@" not in h]
        nonce = self._door.nonce([q.text for q in sent.quotations])
        facts = facts_text(sent, hints, nonce)
        first = self._ask(prompt("brief"), "brief", facts, request, sent)
        if first.brief is None:
            return self._without(request, (first.attempt,))
        if not first.attempt.problems:
            return replace(first.brief, attempts=(first.attempt,))
        second = self._mend(first.brief, first.attempt.problems, facts, request, sent)
        if second.brief is None or second.attempt.problems:
            return self._without(request, (first.attempt, second.attempt))
        return replace(second.brief, attempts=(first.attempt, second.attempt))

    def _held_back(self, sent: FactSheet) -> str:
        topics = {f.topic for f in sent.facts}
        missing = [topic for topic in NEEDED if topic not in topics]
        return f"the masker holds back the facts: {', '.join(missing)}" if missing else ""

    def _mend(
        self,
        refused: Brief,
        found: tuple[str, ...],
        facts: str,
        request: BriefRequest,
        sent: FactSheet,
    ) -> _Asked:
        # What the model wrote goes out again, and so passes the door again.
        texts = [s.text for _, _, s in refused.sentences()] + list(found[:MAX_PROBLEMS])
        if None in self._door.let_out(texts):
            return _Asked(
                None, self._not_asked("repair", "the masker holds back the refused brief")
            )
        text = repair_text(facts, refused, found[:MAX_PROBLEMS], sent)
        return self._ask(repair_prompt(), "repair", text, request, sent)

    def _ask(
        self, instructions: Prompt, purpose: str, text: str, request: BriefRequest, sent: FactSheet
    ) -> _Asked:
        answer = self._model.answer(
            ModelRequest(
                purpose=purpose,
                prompt_version=instructions.version,
                instructions=instructions.text,
                text=text,
                schema_name=SCHEMA_NAME,
                schema=schema(),
                max_output_tokens=MAX_OUTPUT_TOKENS,
                about=tuple(q.feedback_id for q in sent.quotations),
            )
        )
        attempt = _attempt(purpose, instructions.version, answer)
        if answer.state is not AnswerState.ANSWERED or answer.text is None:
            return _Asked(None, attempt)
        read = read_answer(answer.text)
        if isinstance(read, str):
            return _Asked(None, replace(attempt, state=AnswerState.MALFORMED, detail=read))
        brief = brief_of(
            read, request, sent, writer=answer.model, prompt_version=instructions.version
        )
        return _Asked(brief, replace(attempt, problems=problems(brief, sent)))

    def _not_asked(self, purpose: str, why: str) -> Attempt:
        version = (prompt("brief") if purpose == "brief" else repair_prompt()).version
        return Attempt(purpose, AnswerState.HELD_BACK, self._model.name, version, detail=why)

    def _without(self, request: BriefRequest, attempts: tuple[Attempt, ...]) -> Brief:
        return replace(self._otherwise.write(request), attempts=attempts)


def _attempt(purpose: str, version: str, answer: ModelAnswer) -> Attempt:
    return Attempt(
        purpose=purpose,
        state=answer.state,
        model=answer.model,
        prompt_version=version,
        detail=answer.detail,
        usage=answer.usage,
        cost_usd=answer.cost_usd,
        kept=answer.kept,
    )
