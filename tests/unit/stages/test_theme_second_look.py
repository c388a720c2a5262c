"""Texts in doubt are read by the model itself, so many a day."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.ports import STUDENT
from closeloop.stages import embed, theme
from closeloop.stages.theme_second_look import looks_left
from closeloop.stages.vectors import vector_column
from closeloop.tables import ASSIGNMENT, EMBEDDING, ENRICHMENT, FEEDBACK
from closeloop.testing.configuration import example_configuration
from closeloop.testing.context import InMemoryContext
from closeloop.testing.embedders import HashedWordEmbedder

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
EMBEDDER = HashedWordEmbedder()
TOPICS = [
    " ".join(f"{w}{n}" for w in ("alpha", "beta", "gamma", "delta", "eps")) for n in range(12)
]
PAY, LOGIN = TOPICS[:2]


def _context(*, second_looks: int) -> InMemoryContext:
    config = replace(example_configuration(), theme_min_texts=200, second_looks=second_looks)
    return InMemoryContext(config=config, now=NOON, embedder=EMBEDDER)


def _feed(
    context: InMemoryContext, texts: list[str], *, prefix: str, told_as: list[str] | None = None
) -> None:
    """Let texts arrive; `told_as` are those whose vectors the student gives them."""
    ids = [f"{prefix}{i:04d}" for i in range(len(texts))]
    key = {"feedback_id": pa.array(ids), "revision": pa.array([1] * len(ids))}
    times = [NOON + timedelta(seconds=i) for i in range(len(ids))]
    model = EMBEDDER.model_id + (STUDENT + "1" if told_as else "")
    common = {**key, "product": pa.array(["wallet"] * len(ids)), "event_time": pa.array(times)}
    context.as_step("refine").append(
        FEEDBACK,
        FEEDBACK.conform(
            pa.table({**common, "text": pa.array(texts), "masker": pa.array(["1"] * len(ids))})
        ),
    )
    vectors = EMBEDDER.embed(told_as or texts)
    context.as_step(embed.NAME).append(
        EMBEDDING,
        EMBEDDING.conform(
            pa.table(
                {
                    **key,
                    "model": pa.array([model] * len(ids)),
                    "vector": vector_column(vectors),
                }
            )
        ),
    )
    context.as_step("enrich").append(
        ENRICHMENT,
        ENRICHMENT.conform(
            pa.table(
                {
                    **common,
                    "sentiment": pa.array(np.full(len(ids), 0.9)),
                    "category": pa.array(["payment failure"] * len(ids)),
                    "content_free": pa.array([False] * len(ids)),
                }
            )
        ),
    )
    theme.run(context.as_step(theme.NAME))


def _themes(context: InMemoryContext) -> dict[str, str]:
    rows = context.rows(ASSIGNMENT)
    return dict(zip(rows["feedback_id"].to_pylist(), rows["theme_id"].to_pylist(), strict=True))


def _started(*, second_looks: int) -> InMemoryContext:
    context = _context(second_looks=second_looks)
    draw = np.random.default_rng(1)
    words = ["please", "again", "today", "now", "why", "still", "app", "my"]
    texts = [
        f"{TOPICS[i % 12]} {' '.join(draw.choice(words, 2, replace=False))}" for i in range(360)
    ]
    _feed(context, texts, prefix="a")
    return context


def test_a_text_in_doubt_goes_where_the_models_own_vector_puts_it() -> None:
    both = [f"{PAY} {LOGIN}"] * 6
    mine = [f"{PAY} again"] * 6
    for looks, count in ((0, None), (4, 4)):
        context = _started(second_looks=looks)
        _feed(context, mine, prefix="b", told_as=both)
        assert context.counts.get("doubtful texts read by the model") == count
        assert looks_left(context) == 0


def test_so_many_a_day_and_anew_the_next() -> None:
    context = _started(second_looks=5)
    _feed(context, [f"{PAY} why"] * 3, prefix="b", told_as=[f"{PAY} {LOGIN}"] * 3)
    assert looks_left(context) == 2
    _feed(context, [f"{PAY} still"] * 4, prefix="c", told_as=[f"{PAY} {LOGIN}"] * 4)
    assert looks_left(context) == 0
    context.next_pass(now=NOON + timedelta(days=1))
    assert looks_left(context) == 5


def test_the_models_own_vectors_are_not_looked_at_again() -> None:
    context = _started(second_looks=5)
    _feed(context, [f"{PAY} {LOGIN}"] * 3, prefix="b")
    assert looks_left(context) == 5
    kept = context.rows(EMBEDDING)["model"]
    assert not pc.any(pc.match_substring(kept, STUDENT)).as_py()


def test_it_moves_a_text_to_its_own_theme() -> None:
    found = {}
    for looks in (0, 10):
        context = _started(second_looks=looks)
        of = _themes(context)
        pay, login = of["a0000"], of["a0001"]
        assert pay
        assert login
        assert pay != login
        # The student takes each for a little more of the other than of its own.
        told = [f"{PAY} {LOGIN} {LOGIN}"] * 5
        _feed(context, [f"{PAY} now"] * 5, prefix="b", told_as=told)
        found[looks] = [_themes(context)[f"b{i:04d}"] == pay for i in range(5)]
    assert not any(found[0])
    assert all(found[10])
