"""Each revision gets the vector of its text; unmasked text goes nowhere."""

from collections.abc import Sequence

import numpy as np

from closeloop.ports import Progress, Vectors
from closeloop.stages import embed
from closeloop.stages.vectors import matrix
from closeloop.tables import EMBEDDING, FEEDBACK
from closeloop.testing.context import InMemoryContext
from closeloop.testing.embedders import HashedWordEmbedder


class Counting(HashedWordEmbedder):
    """Remembers what it was asked for."""

    asked: list[str]

    def embed(self, texts: Sequence[str], *, progress: Progress | None = None) -> Vectors:
        self.asked = [*getattr(self, "asked", []), *texts]
        return super().embed(texts, progress=progress)


def _rows(*texts: str | None, masker: str | None = "1", start: int = 0) -> list[dict[str, object]]:
    return [
        {"feedback_id": f"f{start + i}", "revision": 1, "text": text, "masker": masker}
        for i, text in enumerate(texts)
    ]


def test_each_text_is_embedded_once_and_each_row_gets_its_vector() -> None:
    model = Counting()
    context = InMemoryContext(embedder=model)
    context.append(FEEDBACK, FEEDBACK.from_rows(_rows("pay fails", "late", "pay fails")))
    embed.run(context.as_step(embed.NAME))
    rows = context.rows(EMBEDDING)
    assert rows.column("feedback_id").to_pylist() == ["f0", "f1", "f2"]
    assert set(rows.column("model").to_pylist()) == {model.model_id}
    assert sorted(model.asked) == ["late", "pay fails"]
    expected = HashedWordEmbedder().embed(["pay fails", "late", "pay fails"])
    assert np.array_equal(matrix(rows.column("vector")), expected)


def test_text_without_a_masker_is_never_given_to_the_model() -> None:
    model = Counting()
    context = InMemoryContext(embedder=model)
    context.append(FEEDBACK, FEEDBACK.from_rows(_rows("call 0171 23", masker=None)))
    embed.run(context.as_step(embed.NAME))
    assert context.rows(EMBEDDING).num_rows == 0
    assert not hasattr(model, "asked")


def test_a_second_pass_embeds_only_what_is_new() -> None:
    model = Counting()
    context = InMemoryContext(embedder=model)
    context.append(FEEDBACK, FEEDBACK.from_rows(_rows("one")))
    embed.run(context.as_step(embed.NAME))
    context.as_step("refine").append(FEEDBACK, FEEDBACK.from_rows(_rows("two", start=1)))
    embed.run(context.as_step(embed.NAME))
    embed.run(context.next_pass())
    assert model.asked == ["one", "two"]
    assert context.rows(EMBEDDING).num_rows == 2
