"""A changed taxonomy moves nothing until it is applied; what it would move is shown before."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from closeloop.domain.taxonomy import Category, Taxonomy, changes_between
from closeloop.stages import embed, enrich, taxonomy
from closeloop.stages.erase import erase
from closeloop.tables import ENRICHMENT, FEEDBACK, SIGNAL, TAXONOMY
from closeloop.testing.configuration import example_configuration, example_taxonomy
from closeloop.testing.context import InMemoryContext

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
TEXTS = ("UPI payment failed", "parcel is late", "the layout is confusing", "UPI is not working")


def _context(texts: Sequence[str] = TEXTS) -> InMemoryContext:
    context = InMemoryContext()
    _feed(context, texts)
    return context


def _feed(context: InMemoryContext, texts: Sequence[str], *, start: int = 0) -> None:
    rows = [
        {
            "feedback_id": f"f{start + i:05d}",
            "revision": 1,
            "product": "wallet" if i % 2 else "shop-app",
            "event_time": NOON,
            "text": text,
            "masker": "1",
        }
        for i, text in enumerate(texts)
    ]
    context.as_step("refine").append(FEEDBACK, FEEDBACK.from_rows(rows))
    embed.run(context.as_step(embed.NAME))
    enrich.run(context.as_step(enrich.NAME))


def _offer(context: InMemoryContext, categories: Sequence[Category], version: str) -> None:
    """Change taxonomy.yaml, as the next command would read it."""
    config = replace(example_configuration(), taxonomy=Taxonomy(tuple(categories), version))
    context.services.config = config


def _renamed() -> list[Category]:
    return [
        replace(c, name="money trouble") if c.name == "payment failure" else c
        for c in example_taxonomy().categories
    ]


def _filed(context: InMemoryContext) -> dict[str, Any]:
    texts = {r["feedback_id"]: r["text"] for r in context.rows(FEEDBACK).to_pylist()}
    return {texts[r["feedback_id"]]: r["category"] for r in context.rows(ENRICHMENT).to_pylist()}


def test_the_first_taxonomy_applies_by_itself() -> None:
    context = _context()
    (held,) = context.rows(TAXONOMY).to_pylist()
    assert (held["number"], held["version"], held["applied_by"]) == (1, "example-1", "closeloop")
    assert Taxonomy.from_record(held) == example_taxonomy()
    _feed(context, ["money debited but not received"], start=100)
    assert context.rows(TAXONOMY).num_rows == 1


def test_a_changed_file_moves_nothing_and_files_nothing_until_it_is_applied() -> None:
    context = _context()
    before = context.rows(ENRICHMENT)
    _offer(context, _renamed(), "example-2")
    _feed(context, ["UPI payment failed again"], start=100)
    assert _filed(context)["UPI payment failed again"] == "payment failure"
    assert context.config.taxonomy.version == "example-1"
    assert context.offered_taxonomy.version == "example-2"
    assert context.rows(ENRICHMENT, where=[("feedback_id", "<", "f00100")]).equals(before)


def test_the_diff_shows_what_would_move_and_writes_nothing() -> None:
    context = _context()
    signal = {
        "signal_id": "s1",
        "product": "shop-app",
        "kind": "category",
        "category": "payment failure",
        "feedback_ids": ["f00000", "f00003", "elsewhere"],
    }
    other = {**signal, "signal_id": "s2", "category": "shipping delay", "feedback_ids": ["f00001"]}
    context.append(SIGNAL, SIGNAL.from_rows([signal, other]))
    before = context.rows(ENRICHMENT)
    _offer(context, _renamed(), "example-2")
    found = taxonomy.diff(context.as_step(taxonomy.NAME))
    assert (found.before, found.after) == ("example-1", "example-2")
    assert [(c.name, c.change) for c in found.changes] == [
        ("money trouble", "added"),
        ("payment failure", "removed"),
    ]
    assert (found.texts, found.moved) == (4, 2)
    (move,) = found.moves
    assert (move.before, move.after, move.texts) == ("payment failure", "money trouble", 2)
    assert [s.text for s in move.samples] == ["UPI payment failed", "UPI is not working"]
    assert [(s.product, s.category, s.leave, s.come) for s in found.series] == [
        ("shop-app", "money trouble", 0, 1),
        ("shop-app", "payment failure", 1, 0),
        ("wallet", "money trouble", 0, 1),
        ("wallet", "payment failure", 1, 0),
    ]
    assert [(s.signal_id, s.texts, s.leave) for s in found.signals] == [("s1", 3, 2)]
    assert context.rows(ENRICHMENT).equals(before)
    assert context.rows(TAXONOMY).num_rows == 1
    assert context.ops.audit_entries() == []


def test_applying_moves_what_the_diff_said_and_leaves_the_rest_alone() -> None:
    context = _context()
    parcel = [("feedback_id", "=", "f00001")]
    before = context.rows(ENRICHMENT, where=parcel)
    _offer(context, _renamed(), "example-2")
    promised = taxonomy.diff(context.as_step(taxonomy.NAME))
    assert taxonomy.apply(context.as_step(taxonomy.NAME), by="ann") == promised
    assert _filed(context) == {
        "UPI payment failed": "money trouble",
        "UPI is not working": "money trouble",
        "parcel is late": "shipping delay",
        "the layout is confusing": "broken UI",
    }
    assert context.rows(ENRICHMENT, where=parcel).equals(before)
    assert context.config.taxonomy.version == "example-2"
    held = context.rows(TAXONOMY).to_pylist()
    assert [(h["number"], h["version"], h["applied_by"]) for h in held] == [
        (1, "example-1", "closeloop"),
        (2, "example-2", "ann"),
    ]
    assert (held[1]["texts"], held[1]["moved"]) == (4, 2)
    (entry,) = context.ops.audit_entries()
    assert (entry.actor, entry.action, entry.subject) == ("ann", "taxonomy.apply", "example-2")
    assert json.loads(entry.detail)["moves"] == [["payment failure", "money trouble", 2]]
    again = taxonomy.diff(context.as_step(taxonomy.NAME))
    assert again.empty
    assert again.moved == 0


def test_only_moved_texts_are_new_to_the_steps_after() -> None:
    context = _context()
    context.as_step("detect").new_rows(ENRICHMENT)
    _offer(context, _renamed(), "example-2")
    taxonomy.apply(context.as_step(taxonomy.NAME), by="ann")
    fresh = context.as_step("detect").new_rows(ENRICHMENT, columns=["feedback_id"])
    assert sorted(fresh.column("feedback_id").to_pylist()) == ["f00000", "f00003"]


def test_a_category_that_is_a_complaint_no_more_is_looked_at_again() -> None:
    context = _context()
    context.as_step("detect").new_rows(ENRICHMENT)
    categories = [
        replace(c, complaint=False) if c.name == "shipping delay" else c
        for c in example_taxonomy().categories
    ]
    _offer(context, categories, "example-2")
    taxonomy.apply(context.as_step(taxonomy.NAME), by="ann")
    fresh = context.as_step("detect").new_rows(ENRICHMENT, columns=["feedback_id"])
    assert "f00001" in fresh.column("feedback_id").to_pylist()


def test_portions_give_what_one_look_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    context = _context([f"{text} number {i}" for i in range(5) for text in TEXTS])
    _offer(context, _renamed(), "example-2")
    whole = taxonomy.diff(context.as_step(taxonomy.NAME))
    monkeypatch.setattr(taxonomy, "PORTION", 3)
    portions = taxonomy.diff(context.as_step(taxonomy.NAME))
    assert _to_six_digits(portions) == _to_six_digits(whole)
    assert whole.moved == 10


def _to_six_digits(diff: taxonomy.TaxonomyDiff) -> taxonomy.TaxonomyDiff:
    """Return a diff with rounded confidences: which texts share a product moves their last digits."""
    moves = [
        replace(
            move, samples=tuple(replace(s, confidence=round(s.confidence, 6)) for s in move.samples)
        )
        for move in diff.moves
    ]
    return replace(diff, moves=tuple(moves))


def test_a_comment_in_the_file_is_no_change() -> None:
    context = _context()
    _offer(context, example_taxonomy().categories, "example-1-with-a-comment")
    found = taxonomy.diff(context.as_step(taxonomy.NAME))
    assert found.empty
    assert found.moved == 0


def test_what_changed_in_a_definition_is_named() -> None:
    one = Category("billing", "bills", ("too dear",), words=("bill",))
    before = Taxonomy((one,), "1")
    other = replace(one, examples=("too dear", "charged twice"), complaint=False, words=("fee",))
    (change,) = changes_between(before, Taxonomy((other,), "2"))
    assert change.change == "examples +1 -0, complaint True -> False, words +1 -1"


def test_an_erased_text_leaves_the_applied_examples_and_their_vectors() -> None:
    text = "my krumpf transfer hangs for days"
    config = example_configuration()
    own = [
        replace(c, examples=(*c.examples, text)) if c.name == "payment failure" else c
        for c in config.taxonomy.categories
    ]
    context = InMemoryContext(config=replace(config, taxonomy=Taxonomy(tuple(own), "own")))
    _feed(context, [text, "parcel is late"])
    assert context.state(enrich.CATEGORY) is not None
    erase(context.as_step("erase"), ["f00000"], by="ann", request="id")
    (held,) = context.rows(TAXONOMY).to_pylist()
    payment = Taxonomy.from_record(held).category("payment failure")
    assert payment is not None
    assert text not in payment.examples
    assert "payment failed" in payment.examples
    assert context.state(enrich.CATEGORY) is None
    _feed(context, ["parcel is late again"], start=100)
    assert _filed(context)["parcel is late again"] == "shipping delay"
