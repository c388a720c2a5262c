"""A subject that grows among texts of no category is proposed once, with evidence, and not again."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np

from closeloop.domain.review import ReviewItem, ReviewKind, ReviewStatus
from closeloop.stages import embed, enrich, learn
from closeloop.stages.answer import reject
from closeloop.stages.erase import erase
from closeloop.stages.taxonomy_proposals import Proposal, proposals
from closeloop.tables import FEEDBACK
from closeloop.testing.context import InMemoryContext
from closeloop.testing.embedders import HashedWordEmbedder

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
NOISE = "lantern meadow copper violin harvest glacier pepper saddle compass marble orchid thunder"


def _context(*, grown: int, authors: int = 50, days: int = 20) -> InMemoryContext:
    context = InMemoryContext(now=NOW, embedder=HashedWordEmbedder(dimensions=1_024))
    rows = [*_ordinary(), *_of_the_gate(grown, authors=authors, days=days)]
    context.append(
        FEEDBACK,
        FEEDBACK.from_rows(
            row | {"feedback_id": f"{i:08x}", "revision": 1, "product": "wallet", "masker": "1"}
            for i, row in enumerate(rows)
        ),
    )
    embed.run(context.as_step(embed.NAME))
    enrich.run(context.as_step(enrich.NAME))
    learn.run(context.as_step(learn.NAME))
    return context


def _ordinary() -> Iterator[dict[str, object]]:
    """Sixteen weeks of payment complaints, and of texts like nothing and unlike one another."""
    draw = np.random.default_rng(1)
    for i in range(320):
        at = NOW - timedelta(hours=8.4 * i)
        words = [
            f"{w}{n}" for w, n in zip(draw.choice(NOISE.split(), 8), range(i, i + 8), strict=True)
        ]
        yield {
            "event_time": at,
            "text": f"UPI payment failed {' '.join(words[:4])}",
            "author_key": f"a{i}",
        }
        if i % 4 == 0:
            yield {"event_time": at, "text": " ".join(words), "author_key": f"n{i}"}


def _of_the_gate(grown: int, *, authors: int, days: int) -> Iterator[dict[str, object]]:
    for i in range(grown):
        at = NOW - timedelta(days=1 + i % days, minutes=i)
        text = f"parking gate stays shut, barcode scanner blind {'abcdefghij'[i % 10]}"
        yield {"event_time": at, "text": text, "author_key": f"g{i % authors}"}


def _one(context: InMemoryContext) -> tuple[Proposal, ReviewItem]:
    (found,) = proposals(context)
    return found


def test_a_subject_that_grew_is_proposed_with_its_evidence() -> None:
    proposal, item = _one(_context(grown=60))
    assert (item.kind, item.status) == (ReviewKind.CATEGORY, ReviewStatus.OPEN)
    assert (proposal.texts, proposal.before, proposal.authors) == (60, 0, 50)
    assert {"parking", "gate"} & set(proposal.words)
    assert proposal.chance < 0.01
    assert proposal.unknown > proposal.unknown_before
    assert sum(texts for _, texts, _ in proposal.weeks) == 60
    assert proposal.weeks[0][1] == 0
    assert 3 <= len(proposal.central_ids) <= 8
    assert len(set(proposal.central_ids)) == len(proposal.central_ids)
    assert "60 texts of 50 authors" in item.reasons[0]


def test_nothing_is_proposed_without_growth_or_where_it_is_one_event_or_few_people() -> None:
    assert proposals(_context(grown=0)) == []
    assert proposals(_context(grown=15)) == [], "too few"
    assert proposals(_context(grown=60, days=2)) == [], "an event of two days"
    assert proposals(_context(grown=60, authors=4)) == [], "four people"


def test_it_is_asked_once_and_kept_up_to_date() -> None:
    context = _context(grown=60)
    first, _ = _one(context)
    more = list(_of_the_gate(20, authors=50, days=2))
    context.as_step("refine").append(
        FEEDBACK,
        FEEDBACK.from_rows(
            row
            | {
                "feedback_id": f"f{i:07x}",
                "revision": 1,
                "product": "wallet",
                "masker": "1",
                "event_time": NOW + timedelta(days=1 + i % 3, minutes=i),
            }
            for i, row in enumerate(more)
        ),
    )
    context.next_pass(now=NOW + timedelta(days=5))
    embed.run(context.as_step(embed.NAME))
    enrich.run(context.as_step(enrich.NAME))
    learn.run(context.as_step(learn.NAME))
    later, item = _one(context)
    assert later.proposal_id == first.proposal_id == item.review_id
    assert later.texts > first.texts
    assert len(context.ops.reviews()) == 1


def test_a_rejected_proposal_stays_rejected() -> None:
    context = _context(grown=60)
    proposal, _ = _one(context)
    reject(context.as_step("review"), proposal.proposal_id[:10], by="ann", reason="car parks")
    context.next_pass(now=NOW + timedelta(days=2))
    learn.run(context.as_step(learn.NAME))
    _, item = _one(context)
    assert (item.status, item.answer_reason) == (ReviewStatus.REJECTED, "car parks")
    assert [r.status for r in context.ops.reviews()] == [ReviewStatus.REJECTED]


def test_the_same_rows_give_the_same_proposal_and_one_look_a_day() -> None:
    one, context = _one(_context(grown=60))[0], _context(grown=60)
    assert _one(context)[0] == one
    context.next_pass(now=NOW + timedelta(hours=3))
    learn.run(context.as_step(learn.NAME))
    assert _one(context)[0].looked_at == one.looked_at


def test_an_erased_text_leaves_the_proposal() -> None:
    context = _context(grown=60)
    proposal, _ = _one(context)
    gone = proposal.central_ids[0]
    erase(context.as_step("erase"), [gone], by="ann", request="id")
    assert gone not in _one(context)[0].central_ids
    assert len(_one(context)[0].central_ids) == len(proposal.central_ids) - 1
