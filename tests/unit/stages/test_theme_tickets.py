"""A product's few tickets are grouped by pairs; a judge and people are heard; ids stay."""

import json
import re
import zlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from closeloop.domain.review import CorrectionKind, Label, LabelKind, PairAnswer, ThemeCorrection
from closeloop.errors import ModelMissingError
from closeloop.models.minilm import minilm
from closeloop.models.weights import package_folder
from closeloop.ports import Progress, Vectors
from closeloop.stages import embed, erase, theme, theme_rows, theme_tickets
from closeloop.stages.asked_texts import asked_words
from closeloop.stages.theme_tickets import ANSWERS, QUESTIONS_A_TEXT
from closeloop.stats.agreement import alone, group_agreement
from closeloop.tables import ASSIGNMENT, ENRICHMENT, FEEDBACK, THEME
from closeloop.testing.configuration import example_configuration
from closeloop.testing.context import InMemoryContext
from closeloop.testing.pair_judges import ScriptedJudge

FIXTURE = Path(__file__).parents[2] / "fixtures" / "support_tickets.jsonl"
NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)


class IssueEmbedder:
    """A direction for each issue that a text names, and noise of its own; "vaguely" more of it."""

    model_id = "issues"
    dimensions = 256

    def embed(self, texts: Sequence[str], *, progress: Progress | None = None) -> Vectors:
        vectors = np.stack([self._vector(text) for text in texts])
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

    def _vector(self, text: str) -> np.ndarray:
        issue = re.search(r"issue(\d+)", text)
        own = np.random.default_rng(zlib.crc32(text.encode())).normal(size=self.dimensions)
        shared = np.random.default_rng([7, int(issue[1]) if issue else 0])
        noise = 1.7 if "vaguely" in text else 0.6
        return shared.normal(size=self.dimensions) + noise * own


def _ticket(issue: int, number: int, *, how: str = "clearly") -> str:
    return (
        f"Hello,\nsince yesterday issue{issue} is there and I say so {how}, case {number}.\n"
        "Could somebody have a look, and write to me when it is better? My customers wait.\n"
        "Regards\nAnn of the shop around the corner"
    )


def _context(**changes: Any) -> InMemoryContext:
    config = example_configuration()
    return InMemoryContext(config=config, now=NOON, embedder=IssueEmbedder(), **changes)


def _feed(context: InMemoryContext, texts: dict[str, str], *, product: str = "shop") -> None:
    rows = [
        {
            "feedback_id": name,
            "revision": 1,
            "product": product,
            "event_time": context.now + timedelta(minutes=i),
            "text": text,
            "masker": "1",
            "sentiment": 0.9,
            "category": "payment failure",
            "content_free": False,
        }
        for i, (name, text) in enumerate(texts.items())
    ]
    context.as_step("refine").append(FEEDBACK, FEEDBACK.from_rows(rows))
    embed.run(context.as_step(embed.NAME))
    context.as_step("enrich").append(ENRICHMENT, ENRICHMENT.from_rows(rows))
    theme.run(context.as_step(theme.NAME))


def _of(context: InMemoryContext) -> dict[str, str | None]:
    rows = context.rows(ASSIGNMENT)
    return dict(
        zip(
            rows.column("feedback_id").to_pylist(), rows.column("theme_id").to_pylist(), strict=True
        )
    )


def _sets(context: InMemoryContext) -> set[frozenset[str]]:
    found: dict[str, set[str]] = {}
    for name, theme_id in _of(context).items():
        if theme_id is not None:
            found.setdefault(theme_id, set()).add(name)
    return {frozenset(names) for names in found.values()}


def _alone(count: int) -> dict[str, str]:
    """Return tickets of an issue each."""
    return {f"z{i:02}": _ticket(100 + i, 0) for i in range(count)}


PAIRS = {f"{'ab'[n]}{i}": _ticket(i, n) for i in range(6) for n in range(2)}


def test_groups_of_two_are_themes_and_lone_tickets_wait() -> None:
    context = _context()
    _feed(context, PAIRS | _alone(16))
    assert _sets(context) == {frozenset({f"a{i}", f"b{i}"}) for i in range(6)}
    rows = {r["feedback_id"]: r for r in context.rows(ASSIGNMENT).to_pylist()}
    assert rows["z00"]["theme_id"] is None
    assert rows["z00"]["theme_confidence"] is None
    assert rows["a1"]["formed_theme"]
    assert 0.5 < rows["a1"]["theme_confidence"] <= 1
    assert "uncalibrated" in rows["a1"]["model"]
    for row in context.rows(THEME).to_pylist():
        assert row["size"] == 2
        assert row["label"]


def test_a_later_ticket_joins_its_theme_or_one_that_waited_and_no_id_changes() -> None:
    context = _context()
    _feed(context, PAIRS | _alone(16))
    before = _of(context)
    context = context.next_pass(now=NOON + timedelta(hours=1))
    _feed(context, {"c0": _ticket(0, 2), "y03": _ticket(103, 1), "n": _ticket(300, 0)})
    after = _of(context)
    assert after["c0"] == before["a0"]
    assert after["y03"] == after["z03"] is not None
    assert after["n"] is None
    assert {n: t for n, t in after.items() if before.get(n)} == {
        n: t for n, t in before.items() if t
    }
    row = context.rows(THEME, where=[("theme_id", "=", before["a0"])]).to_pylist()[0]
    assert row["size"] == 3
    assert row["last_seen"] > NOON + timedelta(minutes=59)


def test_too_few_tickets_wait() -> None:
    context = _context()
    _feed(context, dict(list(PAIRS.items())[:6]))
    assert set(_of(context).values()) == {None}
    _feed(context.next_pass(), dict(list(PAIRS.items())[6:]) | _alone(12))
    assert len(_sets(context)) == 6


def test_many_texts_and_short_ones_are_clustered_as_before(monkeypatch: Any) -> None:
    short = {f"{i}x{n}": f"issue{i}word1 issue{i}word2 n{n}" for i in range(4) for n in range(9)}
    context = _context()
    _feed(context, short)
    assert {m.split(" ")[0] for m in context.rows(ASSIGNMENT).column("model").to_pylist()} == {
        theme_rows.MODEL
    }
    monkeypatch.setattr(theme_tickets, "MAX_TICKETS", 20)
    context = _context()
    _feed(context, PAIRS | _alone(30))
    assert not any(
        m.startswith(theme_tickets.MODEL)
        for m in context.rows(ASSIGNMENT).column("model").to_pylist()
    )


BLURRED = {
    f"{name}{i}": _ticket(i, n, how="vaguely") for i in range(6) for n, name in enumerate("abcd")
}
ISSUES = {asked_words(text): name[1:] for name, text in (BLURRED | _alone(20)).items()}


def test_a_judge_joins_what_likeness_leaves_apart_and_is_asked_once() -> None:
    judge = ScriptedJudge(ISSUES)
    cautious, context = _context(), _context(pair_judge=judge)
    _feed(cautious, BLURRED | _alone(20))
    _feed(context, BLURRED | _alone(20))
    assert _sets(context) == {frozenset(f"{name}{i}" for name in "abcd") for i in range(6)}
    assert len(set.union(*map(set, _sets(cautious)))) < 24
    assert 0 < len(judge.asked) <= QUESTIONS_A_TEXT * len(BLURRED | _alone(20))
    assert all("Regards" not in text for pair in judge.asked for text in pair)
    before = len(judge.asked)
    _feed(context.next_pass(), {"n": _ticket(300, 0)})
    assert len(judge.asked) <= before + QUESTIONS_A_TEXT
    assert len({frozenset(p) for p in judge.asked}) == len(judge.asked)


def _said(context: InMemoryContext, one: str, other: str, answer: PairAnswer) -> None:
    label = Label(
        f"{one}-{other}", LabelKind.PAIR, "shop", None, (one, other), answer, None, None, "m", NOON
    )
    context.ops.put_label(label)


def test_people_are_heard_before_likeness() -> None:
    context = _context()
    _said(context, "a0", "b0", PairAnswer.DIFFERENT)
    _said(context, "a1", "b1", PairAnswer.UNSURE)
    _feed(context, PAIRS | _alone(16))
    assert _sets(context) == {frozenset({f"a{i}", f"b{i}"}) for i in range(1, 6)}


def test_what_people_merged_stays_one() -> None:
    context = _context()
    _feed(context, PAIRS | _alone(16))
    of = _of(context)
    one, other = of["a0"], of["a1"]
    assert one
    assert other
    context.ops.put_correction(
        ThemeCorrection("c", CorrectionKind.MERGE, one, other, (), "m", NOON)
    )
    _feed(context.next_pass(now=NOON + timedelta(hours=1)), {"c0": _ticket(0, 2)})
    assert _of(context)["c0"] == other
    assert frozenset({"a0", "b0", "a1", "b1", "c0"}) in _sets(context)


def test_the_same_tickets_give_the_same_themes_and_products_stay_apart() -> None:
    one, other = _context(), _context()
    _feed(one, PAIRS | _alone(16))
    _feed(other, PAIRS | _alone(16))
    assert _of(one) == _of(other)
    half = {n: t for n, t in PAIRS.items() if n.startswith("a")}
    rest = {n: t for n, t in PAIRS.items() if n.startswith("b")}
    apart = _context()
    _feed(apart, half | _alone(16))
    _feed(apart.next_pass(), rest | {f"y{n}": t for n, t in _alone(16).items()}, product="other")
    assert not _sets(apart)


def test_answers_about_erased_feedback_are_forgotten() -> None:
    context = _context(pair_judge=ScriptedJudge(ISSUES))
    _feed(context, BLURRED | _alone(20))
    blob = context.state(ANSWERS, scope="shop")
    assert blob is not None
    gone = json.loads(blob)[0][0]
    erase.erase(context.as_step("erase"), [gone], by="m", request="id")
    blob = context.state(ANSWERS, scope="shop")
    assert blob is not None
    held = json.loads(blob)
    assert held
    assert not any(gone in answer for answer in held)


def test_the_fixture_holds_what_the_figures_say() -> None:
    rows = [json.loads(line) for line in FIXTURE.read_text(encoding="utf-8").splitlines()]
    assert len(rows) >= 100
    assert len({row["issue"] for row in rows}) >= 40
    assert len({row["id"] for row in rows}) == len(rows)
    assert min(len(row["text"].split()) for row in rows) >= 60
    holders: dict[str, list[str]] = {}
    for row in rows:
        for line in {x for x in row["text"].split("\n") if len(x.split()) > 7}:
            holders.setdefault(line, []).append(row["issue"])
    telling = [x for x, issues in holders.items() if len(issues) > 1 and len(set(issues)) == 1]
    assert not telling, "a line that only tickets of one issue share gives it away"


@pytest.mark.slow
@pytest.mark.model
def test_real_tickets_are_grouped_with_few_wrong_groups(tmp_path: Path) -> None:
    try:
        package_folder()
    except ModelMissingError:
        pytest.skip("the weights of all-MiniLM-L6-v2 are not installed")
    rows = [json.loads(line) for line in FIXTURE.read_text(encoding="utf-8").splitlines()]
    texts = {row["id"]: f"{row['subject']}\n{row['text']}" for row in rows}
    issues = {
        asked_words(text): row["issue"] for text, row in zip(texts.values(), rows, strict=True)
    }
    truth = np.unique([row["issue"] for row in rows], return_inverse=True)[1]
    model = minilm(threads=2, memory=tmp_path / "checked.json")
    config = replace(example_configuration(), theme_min_texts=200)
    for judge, least, most_wrong in ((None, 0.6, 4), (ScriptedJudge(issues), 0.9, 1)):
        context = InMemoryContext(config=config, now=NOON, embedder=model, pair_judge=judge)
        _feed(context, texts)
        of = _of(context)
        names = {n: i for i, n in enumerate(sorted({t for t in of.values() if t}))}
        found = alone(np.array([names.get(of[i] or "", -1) for i in texts], np.int64))
        wrong = sum(len(np.unique(truth[found == g])) > 1 for g in range(len(names)))
        assert group_agreement(truth, found).adjusted_rand > least
        assert wrong <= most_wrong
