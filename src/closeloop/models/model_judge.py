"""Judges pairs of texts with a language model: "same issue?", many pairs a request, any doubt unsure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from closeloop.domain.model_answer import AnswerState, ModelRequest
from closeloop.domain.review import PairAnswer
from closeloop.models.outgoing import Door, fenced
from closeloop.models.prompts import prompt
from closeloop.ports import LanguageModel

PAIRS_A_REQUEST = 16
TOKENS_A_PAIR = 24
"""Output for one answer, with room to spare."""

PAIRS_A_RUN = 400
"""Pairs that one run of a command asks about at most; the rest stays unsure until the next."""

STOPS = frozenset(
    {
        AnswerState.BUDGET_SPENT,
        AnswerState.UNAUTHORISED,
        AnswerState.UNKNOWN_DEPLOYMENT,
        AnswerState.UNAVAILABLE,
    }
)
"""Ends after which asking again in the same run would only end so again."""


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    number: int
    answer: PairAnswer


class _Answers(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    answers: tuple[_Answer, ...]


class ModelJudge:
    """Says of pairs whether they are one issue; what can't be asked or read is "unsure"."""

    def __init__(self, model: LanguageModel, door: Door, *, pairs: int = PAIRS_A_RUN) -> None:
        self._model = model
        self._door = door
        self._pairs = self._left = pairs

    @property
    def name(self) -> str:
        """Stored with what its answers led to."""
        return self._model.name

    def begin_run(self) -> None:
        """Count what follows as another run: as many pairs may be asked about again."""
        self._left = self._pairs

    def judge(self, pairs: Sequence[tuple[str, str]]) -> list[PairAnswer]:
        """Return one answer a pair, in order. A pair with a text that may not leave is unsure."""
        texts = self._door.let_out_customers([text for pair in pairs for text in pair])
        shown = list(zip(texts[::2], texts[1::2], strict=True))
        askable = [n for n, (one, other) in enumerate(shown) if one and other]
        answers = [PairAnswer.UNSURE] * len(pairs)
        for start in range(0, len(askable), PAIRS_A_REQUEST):
            group = askable[start : start + min(PAIRS_A_REQUEST, self._left)]
            if not group:
                break
            self._left -= len(group)
            held = [(str(shown[n][0]), str(shown[n][1])) for n in group]
            for place, answer in self._ask(held).items():
                answers[group[place]] = answer
        return answers

    def _ask(self, pairs: Sequence[tuple[str, str]]) -> dict[int, PairAnswer]:
        instructions = prompt("pair")
        nonce = self._door.nonce([text for pair in pairs for text in pair])
        lines = []
        for number, (one, other) in enumerate(pairs, start=1):
            lines += [f"PAIR {number}", fenced("A", one, nonce), fenced("B", other, nonce)]
        answer = self._model.answer(
            ModelRequest(
                purpose="pair",
                prompt_version=instructions.version,
                instructions=instructions.text,
                text="\n".join(lines),
                schema_name="pairs",
                schema=_schema(),
                max_output_tokens=64 + TOKENS_A_PAIR * len(pairs),
            )
        )
        if answer.state in STOPS:
            self._left = 0
        if answer.state is not AnswerState.ANSWERED or answer.text is None:
            return {}
        try:
            read = _Answers.model_validate_json(answer.text)
        except ValidationError:
            return {}
        numbers = [one.number for one in read.answers]
        return {
            one.number - 1: one.answer
            for one in read.answers
            # An answer given twice is none.
            if 0 < one.number <= len(pairs) and numbers.count(one.number) == 1
        }


def _schema() -> dict[str, Any]:
    one = {
        "type": "object",
        "properties": {
            "number": {"type": "integer"},
            "answer": {"type": "string", "enum": [a.value for a in PairAnswer]},
        },
        "required": ["number", "answer"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"answers": {"type": "array", "items": one}},
        "required": ["answers"],
        "additionalProperties": False,
    }
