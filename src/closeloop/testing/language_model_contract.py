"""What every language model must do; an adapter's test subclasses LanguageModelContract."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import replace

import pytest

from closeloop.domain.model_answer import AnswerState, ModelRequest
from closeloop.ports import LanguageModel
from closeloop.testing.json_schema import violations

SCHEMA = {
    "type": "object",
    "properties": {
        "same": {"type": "boolean"},
        "reason": {"type": "string"},
        "ids": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["same", "reason", "ids"],
    "additionalProperties": False,
}
REQUEST = ModelRequest(
    purpose="pair",
    prompt_version="pair@1",
    instructions="Say whether the two reviews are about one issue.",
    text="One: the payment failed.\nTwo: paid twice, no order.",
    schema_name="pair",
    schema=SCHEMA,
    max_output_tokens=200,
)
"""A request such as the loop makes."""
ODD = ("", " \n", "NUL \0 inside", "lone \ud800 surrogate", "👍🏽", "क्या हुआ", "\u202eright to left")
WITHOUT_TEXT = tuple(state for state in AnswerState if state is not AnswerState.ANSWERED)


class LanguageModelContract(ABC):
    """Every way a request ends is an answer with a state; nothing is raised."""

    @abstractmethod
    def model(self, *states: AnswerState) -> LanguageModel:
        """Return a model whose next answers end in these states; after that it answers well.

        Call pytest.skip for a state that the implementation has no way into.
        """

    def test_an_answer_is_json_of_the_schema(self) -> None:
        """With what it cost in tokens."""
        answer = self.model().answer(REQUEST)
        assert answer.state is AnswerState.ANSWERED, answer.detail
        assert answer.text is not None
        assert violations(json.loads(answer.text), SCHEMA, root=SCHEMA) == []
        assert answer.usage.input > 0
        assert answer.usage.output > 0
        assert 0 <= answer.usage.cached <= answer.usage.input

    @pytest.mark.parametrize("state", WITHOUT_TEXT)
    def test_every_other_end_has_its_name_and_no_text(self, state: AnswerState) -> None:
        """And says in words what happened."""
        answer = self.model(state).answer(REQUEST)
        assert answer.state is state, answer.detail
        assert answer.text is None
        assert answer.detail
        assert not answer.kept

    @pytest.mark.parametrize("text", ODD)
    def test_odd_texts_end_in_a_state_too(self, text: str) -> None:
        """Nothing, NUL, a broken character, direction marks."""
        assert isinstance(self.model().answer(replace(REQUEST, text=text)).state, AnswerState)

    def test_requests_may_differ_in_anything(self) -> None:
        """Instructions and schema name stand in the answer's request alone."""
        model = self.model()
        for request in (REQUEST, replace(REQUEST, purpose="brief", instructions="Write.")):
            assert model.answer(request).state is AnswerState.ANSWERED

    def test_the_name_is_known_before_and_stays(self) -> None:
        """It is stored beside what rests on the answers."""
        model = self.model(AnswerState.REFUSED)
        before = model.name
        assert before
        assert model.answer(REQUEST).model == before == model.name
