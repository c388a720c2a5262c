"""A language model for tests and benchmarks that answers as it is told, and remembers what it was asked."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable

from closeloop.domain.model_answer import AnswerState, ModelAnswer, ModelRequest, Usage
from closeloop.testing.strict_schema import fitting

Script = ModelAnswer | AnswerState | str | Callable[[ModelRequest], str]
"""An answer, a state without text, a text, or what makes a text of a request."""


class ScriptedLanguageModel:
    """Gives the scripted answers one after another, then what `says` writes.

        model = ScriptedLanguageModel().then(AnswerState.REFUSED, '{"same": true}')

    By default it writes the smallest JSON that fits each request's schema. Tokens are counted as
    one for four bytes.
    """

    def __init__(
        self, says: Callable[[ModelRequest], str] | None = None, *, name: str = "scripted"
    ) -> None:
        self._says = says or (lambda request: json.dumps(fitting(request.schema)))
        self._name = name
        self._script: deque[Script] = deque()
        self.asked: list[ModelRequest] = []

    @property
    def name(self) -> str:
        """Name of this model."""
        return self._name

    def then(self, *scripts: Script) -> ScriptedLanguageModel:
        """Answer the next requests so, one each."""
        self._script.extend(scripts)
        return self

    def answer(self, request: ModelRequest) -> ModelAnswer:
        """Return the scripted answer, and remember the request."""
        self.asked.append(request)
        script = self._script.popleft() if self._script else self._says
        if isinstance(script, ModelAnswer):
            return script
        if isinstance(script, AnswerState):
            return ModelAnswer(script, self._name, detail=f"scripted: {script}")
        text = script if isinstance(script, str) else script(request)
        usage = Usage(_tokens(request.instructions + request.text), 0, _tokens(text))
        return ModelAnswer(AnswerState.ANSWERED, self._name, text=text, usage=usage)


def _tokens(text: str) -> int:
    return len(text.encode("utf-8", "replace")) // 4
