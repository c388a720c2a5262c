"""Names themes with a language model, many a request; a name that the texts do not bear is none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from closeloop.domain.grounding.theme_names import TEXTS, name_fault
from closeloop.domain.model_answer import AnswerState, ModelRequest
from closeloop.models.model_judge import STOPS
from closeloop.models.outgoing import Door, fenced
from closeloop.models.prompts import prompt
from closeloop.ports import LanguageModel, ThemeTexts
from closeloop.text.injections import looks_like_instruction

THEMES_A_REQUEST = 8
TEXT_CHARACTERS = 280
"""So much of each text is shown, cut between words."""

TOKENS_A_NAME = 40
"""Output for one name, with room to spare."""

THEMES_A_RUN = 64
"""Themes that one run of a command asks about at most; the rest keeps its words until the next."""


class _Name(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    number: int
    name: str


class _Names(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    names: tuple[_Name, ...]


class ModelNamer:
    """Gives themes names that their texts bear; what can't be asked, read or borne has none.

    `refused` counts the names that the model gave and the check did not let pass.
    """

    def __init__(self, model: LanguageModel, door: Door, *, themes: int = THEMES_A_RUN) -> None:
        self._model = model
        self._door = door
        self._themes = self._left = themes
        self.refused: Counter[str] = Counter()

    @property
    def name(self) -> str:
        """Stored with what it named."""
        return self._model.name

    def begin_run(self) -> None:
        """Count what follows as another run: as many themes may be asked about again."""
        self._left = self._themes

    def names(self, themes: Sequence[ThemeTexts]) -> list[str | None]:
        """Return one name a theme, in order; None where its own words have to do."""
        held = [self._let_out(theme) for theme in themes]
        askable = [n for n, texts in enumerate(held) if len(texts) >= TEXTS][: self._left]
        found: list[str | None] = [None] * len(themes)
        for start in range(0, len(askable), THEMES_A_REQUEST):
            group = askable[start : start + THEMES_A_REQUEST]
            if self._left <= 0:
                break
            self._left -= len(group)
            about = tuple(i for n in group for i in themes[n].feedback_ids)
            for place, name in self._ask([held[n] for n in group], about).items():
                theme = themes[group[place]]
                fault = self._fault(name, held[group[place]], theme.product)
                if fault:
                    self.refused[fault] += 1
                else:
                    found[group[place]] = name
        return found

    def _let_out(self, theme: ThemeTexts) -> list[str]:
        return [t for t in self._door.let_out_customers([_cut(t) for t in theme.texts]) if t]

    def _fault(self, name: str, texts: Sequence[str], product: str) -> str:
        if not name or looks_like_instruction(name) or self._door.let_out([name]) != [name]:
            return "is empty, an instruction or personal"
        return name_fault(name, texts, product=product)

    def _ask(self, groups: Sequence[Sequence[str]], about: tuple[str, ...]) -> dict[int, str]:
        instructions = prompt("theme_name")
        nonce = self._door.nonce([text for texts in groups for text in texts])
        lines = []
        for number, texts in enumerate(groups, start=1):
            lines += [f"GROUP {number}", *(fenced("T", text, nonce) for text in texts)]
        answer = self._model.answer(
            ModelRequest(
                purpose="theme_name",
                prompt_version=instructions.version,
                instructions=instructions.text,
                text="\n".join(lines),
                schema_name="theme_names",
                schema=_schema(),
                max_output_tokens=64 + TOKENS_A_NAME * len(groups),
                about=about,
            )
        )
        if answer.state in STOPS:
            self._left = 0
        if answer.state is not AnswerState.ANSWERED or answer.text is None:
            return {}
        try:
            read = _Names.model_validate_json(answer.text)
        except ValidationError:
            return {}
        times = Counter(one.number for one in read.names)
        # A theme named twice is not named.
        return {
            one.number - 1: " ".join(one.name.split())
            for one in read.names
            if 0 < one.number <= len(groups) and times[one.number] == 1
        }


def _cut(text: str) -> str:
    if len(text) <= TEXT_CHARACTERS:
        return text
    return text[:TEXT_CHARACTERS].rsplit(maxsplit=1)[0]


def _schema() -> dict[str, Any]:
    one = {
        "type": "object",
        "properties": {"number": {"type": "integer"}, "name": {"type": "string"}},
        "required": ["number", "name"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"names": {"type": "array", "items": one}},
        "required": ["names"],
        "additionalProperties": False,
    }
