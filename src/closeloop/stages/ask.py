"""Chooses what to ask a person: pairs of texts ("same issue?") and categories of texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.domain.review import Label, LabelKind
from closeloop.domain.taxonomy import UNKNOWN
from closeloop.errors import NotFoundError, UsageError, redact
from closeloop.ports import StepContext, only_if_in
from closeloop.stages.answer import label_id
from closeloop.tables import ASSIGNMENT, ENRICHMENT, FEEDBACK

SAME = "same"
DIFFERENT = "different"

POOL = 1_500
"""Texts that one round of questions is chosen from: enough for an hour of questions."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question: `subject` are the feedback ids, `predicted` what closeloop would answer."""

    kind: LabelKind
    product: str
    category: str
    subject: tuple[str, ...]
    texts: tuple[str, ...]
    predicted: str
    confidence: float | None

    @property
    def question_id(self) -> str:
        """The id of the label that an answer makes."""
        return label_id(self.kind, self.subject)


@dataclass(frozen=True, slots=True)
class _Text:
    """One text that may be asked about, with what closeloop thinks of it."""

    feedback_id: str
    product: str
    text: str
    category: str
    category_confidence: float
    theme_id: str | None
    theme_confidence: float | None


def questions(context: StepContext, *, limit: int, product: str | None = None) -> list[Question]:
    """Return questions not answered yet, pairs and categories in turn, the same ones each time.

    Of each category the doubtful texts come with the clear ones as they fall: precision is about
    what tickets are made of, not about the hardest texts. Categories with the fewest labels come
    first. No text is asked about whose masking is not recorded.
    """
    labels = context.ops.labels()
    answered = {label.label_id for label in labels}
    counts: dict[str, int] = {}
    for label in labels:
        counts[label.category or ""] = counts.get(label.category or "", 0) + 1
    texts = _pool(context, product=product)
    asked = [q for q in map(_category, texts) if q.question_id not in answered]
    pairs = [q for q in _pair_questions(texts) if q.question_id not in answered]
    return _in_turn(_by_need(pairs, counts), _by_need(asked, counts))[:limit]


def record(
    context: StepContext, *, kind: str, subject: Sequence[str], value: str, by: str
) -> Label:
    """Keep one answer with what closeloop says now of the same texts.

    Raises UsageError for an answer that is none of the choices, NotFoundError for unknown texts.
    """
    try:
        chosen = LabelKind(kind)
    except ValueError as error:
        raise UsageError(
            f"no kind of question: {redact(kind)!r}", hint="kinds: pair, category"
        ) from error
    question = _question_about(context, chosen, tuple(subject))
    choices = choices_of(context, chosen)
    if value not in choices:
        raise UsageError(
            f"{redact(value)!r} is no answer to a {chosen.value} question",
            hint=f"answers: {', '.join(choices)}",
        )
    label = Label(
        label_id=question.question_id,
        kind=chosen,
        product=question.product,
        category=question.category,
        subject=question.subject,
        value=value,
        predicted=question.predicted,
        confidence=question.confidence,
        made_by=by,
        made_at=context.now,
    )
    context.ops.put_label(label)
    return label


def choices_of(context: StepContext, kind: LabelKind) -> tuple[str, ...]:
    """Return the answers that a kind of question has."""
    if kind is LabelKind.PAIR:
        return (SAME, DIFFERENT)
    return (*(c.name for c in context.config.taxonomy.categories), UNKNOWN)


def _question_about(context: StepContext, kind: LabelKind, subject: tuple[str, ...]) -> Question:
    wanted = 2 if kind is LabelKind.PAIR else 1
    texts = {t.feedback_id: t for t in _texts(context, subject)}
    missing = [i for i in subject if i not in texts]
    if len(set(subject)) != wanted or missing or kind is LabelKind.TICKET:
        raise NotFoundError(
            f"no {kind.value} question about {redact(', '.join(missing or subject))}",
            hint="take kind and subject from 'closeloop review label --json'",
        )
    if kind is LabelKind.PAIR:
        return _pair(texts[subject[0]], texts[subject[1]])
    return _category(texts[subject[0]])


def _pool(context: StepContext, *, product: str | None) -> list[_Text]:
    """Return texts of complaint categories, spread evenly over them, by the workspace's seed."""
    complaints = [c.name for c in context.config.taxonomy.categories if c.complaint]
    where = [only_if_in("category", complaints), ("content_free", "=", False)]
    if product is not None:
        where.append(("product", "=", product))
    rows = context.rows(ENRICHMENT, columns=["feedback_id", "category"], where=where)
    rows = rows.sort_by("feedback_id")
    order = np.random.default_rng(context.config.seed).permutation(rows.num_rows)
    shuffled = rows.take(pa.array(order))
    a_share = max(POOL // max(len(complaints), 1), 2)
    ids: list[str] = []
    for name in sorted(complaints):
        of_category = shuffled.filter(pc.equal(shuffled.column("category"), name))
        ids += of_category.column("feedback_id").slice(0, a_share).to_pylist()
    return _texts(context, ids)


def _texts(context: StepContext, feedback_ids: Sequence[str]) -> list[_Text]:
    """Return the latest revisions of feedback, with what closeloop thinks of them, in order."""
    if not feedback_ids:
        return []
    where = [only_if_in("feedback_id", feedback_ids)]
    columns = ["feedback_id", "revision", "product", "text", "masker"]
    feedback = _latest(context.rows(FEEDBACK, columns=columns, where=where))
    enriched = _latest(context.rows(ENRICHMENT, where=where))
    assigned = _latest(context.rows(ASSIGNMENT, where=where))
    found = []
    for feedback_id in dict.fromkeys(feedback_ids):
        row, said = feedback.get(feedback_id), enriched.get(feedback_id)
        if row is None or said is None or not row["masker"] or not row["text"]:
            continue
        theme = assigned.get(feedback_id) or {}
        found.append(
            _Text(
                feedback_id=feedback_id,
                product=row["product"],
                text=row["text"],
                category=said["category"] or UNKNOWN,
                category_confidence=said["category_confidence"] or 0.0,
                theme_id=theme.get("theme_id"),
                theme_confidence=theme.get("theme_confidence"),
            )
        )
    return found


def _latest(rows: pa.Table) -> dict[str, dict[str, Any]]:
    return {row["feedback_id"]: row for row in rows.sort_by("revision").to_pylist()}


def _category(text: _Text) -> Question:
    return Question(
        kind=LabelKind.CATEGORY,
        product=text.product,
        category=text.category,
        subject=(text.feedback_id,),
        texts=(text.text,),
        predicted=text.category,
        confidence=text.category_confidence,
    )


def _pair_questions(texts: Sequence[_Text]) -> list[Question]:
    """Pair texts of one theme with each other, and one of each theme with one of another."""
    by_theme: dict[tuple[str, str], list[_Text]] = {}
    for text in texts:
        if text.theme_id:
            by_theme.setdefault((text.product, text.theme_id), []).append(text)
    found: list[Question] = []
    strangers: dict[str, _Text] = {}
    for (product, _), members in sorted(by_theme.items()):
        found += [_pair(a, b) for a, b in zip(members[::2], members[1::2], strict=False)]
        stranger = strangers.get(product)
        if stranger is not None:
            found.append(_pair(stranger, members[0]))
        strangers[product] = members[0]
    return found


def _pair(one: _Text, other: _Text) -> Question:
    first, second = sorted((one, other), key=lambda t: t.feedback_id)
    same = first.theme_id is not None and first.theme_id == second.theme_id
    confidences = [c for c in (first.theme_confidence, second.theme_confidence) if c is not None]
    return Question(
        kind=LabelKind.PAIR,
        product=first.product,
        category=first.category,
        subject=(first.feedback_id, second.feedback_id),
        texts=(first.text, second.text),
        predicted=SAME if same else DIFFERENT,
        confidence=min(confidences) if confidences else None,
    )


def _by_need(asked: Sequence[Question], counts: dict[str, int]) -> list[Question]:
    """Sort so that categories take turns, those with the fewest labels first."""
    by_category: dict[str, list[Question]] = {}
    for question in asked:
        by_category.setdefault(question.category, []).append(question)
    ranked: list[tuple[int, str, Question]] = []
    for category, group in by_category.items():
        start = counts.get(category, 0)
        ranked += [(start + turn, category, q) for turn, q in enumerate(group)]
    return [q for _, _, q in sorted(ranked, key=lambda r: (r[0], r[1], r[2].question_id))]


def _in_turn(pairs: Sequence[Question], categories: Sequence[Question]) -> list[Question]:
    mixed: list[Question] = []
    for turn in range(max(len(pairs), len(categories))):
        mixed += pairs[turn : turn + 1]
        mixed += categories[turn : turn + 1]
    return mixed
