"""Which category of the taxonomy a text belongs to: a head on its vector and the nearest example."""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from closeloop.domain.taxonomy import Taxonomy
from closeloop.ports import Vectors
from closeloop.stages.enrich_clauses import ReadClauses
from closeloop.stats.logistic import (
    Logistic,
    fit_classes,
    fit_temperature,
    probabilities,
)
from closeloop.text.words import Words

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

NEAREST_WEIGHT = 6.0
"""Logistic head + 6 x nearest-example similarity was best of what was measured: with 10 examples
a category .821 and .828 accuracy on two sets, against .744 and .644 by name and description."""
WORD_WEIGHT = 0.8
TONE_WEIGHT = 1.2
START_TEMPERATURE = 1.0
MIN_SIMILARITY = 0.25
"""Below this cosine to every example a text is "unknown": the raw similarity tells strangers from
friends (AUROC .95-.995 for far ones), the probability does not."""
MIN_CONFIDENCE = 0.40
"""Below this no category is named. Of 72 reviews read in the six weakest categories .53 were filed
rightly at .35 and more, .66 at .45 and more; of 84 in the strong ones .89."""
CLAUSE_CONFIDENCE = 0.5
"""A clause adds its category from here on. Requests found in 783 labelled English reviews, by the
whole text / with clauses at .4 / .5 / .6 / .7: .15 / .37 / .31 / .27 / .24, at a precision of
.90 / .88 / .88 / .90 / .90."""
MIN_LABELS = 100


@dataclass(frozen=True, slots=True)
class CategoryModel:
    """Examples' vectors with their classes, a head over them, and what it was made from.

    `labels` is how many of people's labels went in; `calibrated` from 100 on. `label_ids` are the
    feedback ids of the labelled texts: theirs are the last vectors of `examples`.
    """

    names: tuple[str, ...]
    examples: Vectors
    classes: Ints
    head: Logistic
    temperature: float
    taxonomy_version: str
    model_id: str
    labels: int = 0
    label_ids: tuple[str, ...] = ()

    @property
    def calibrated(self) -> bool:
        """Whether the confidence was fitted to people's labels."""
        return self.labels >= MIN_LABELS

    @property
    def name(self) -> str:
        """Stored with each category."""
        end = f"{self.labels} labels" if self.calibrated else "uncalibrated"
        return f"examples+head, taxonomy {self.taxonomy_version} ({end})"

    def similarities(self, vectors: Vectors) -> Floats:
        """Return the cosine with the nearest example of each category [texts, categories]."""
        to_all = vectors @ self.examples.T
        best = np.empty((len(vectors), len(self.names)), np.float64)
        for number in range(len(self.names)):
            best[:, number] = to_all[:, self.classes == number].max(axis=1)
        return best

    def scores(self, vectors: Vectors) -> tuple[Floats, Floats]:
        """Return (score [texts, categories], best similarity [texts])."""
        nearest = self.similarities(vectors)
        return self.head.scores(vectors) + NEAREST_WEIGHT * nearest, nearest.max(axis=1)

    def without(self, feedback_ids: Collection[str]) -> CategoryModel:
        """Return the model without the vectors of these texts; the head is a sum over many."""
        gone = np.array([i in feedback_ids for i in self.label_ids], np.bool_)
        if not gone.any():
            return self
        kept = np.ones(len(self.classes), np.bool_)
        kept[len(kept) - len(gone) :] = ~gone
        left = tuple(i for i in self.label_ids if i not in feedback_ids)
        return replace(
            self, examples=self.examples[kept], classes=self.classes[kept], label_ids=left
        )

    def to_bytes(self) -> bytes:
        """Return the model as npz."""
        file = io.BytesIO()
        np.savez_compressed(
            file,
            names=np.array(self.names),
            examples=self.examples,
            classes=self.classes,
            weights=self.head.weights.astype(np.float32),
            bias=self.head.bias,
            temperature=np.array(self.temperature),
            versions=np.array([self.taxonomy_version, self.model_id]),
            labels=np.array(self.labels),
            label_ids=np.array(self.label_ids, "U64"),
        )
        return file.getvalue()

    @staticmethod
    def from_bytes(blob: bytes) -> CategoryModel:
        """Return the model that `to_bytes` wrote."""
        with np.load(io.BytesIO(blob), allow_pickle=False) as held:
            return CategoryModel(
                names=tuple(str(name) for name in held["names"]),
                examples=held["examples"],
                classes=held["classes"],
                head=Logistic(held["weights"].astype(np.float64), held["bias"]),
                temperature=float(held["temperature"]),
                taxonomy_version=str(held["versions"][0]),
                model_id=str(held["versions"][1]),
                labels=int(held["labels"]),
                label_ids=tuple(held["label_ids"].tolist()) if "label_ids" in held else (),
            )


def build(
    taxonomy: Taxonomy,
    embed: Callable[[Sequence[str]], Vectors],
    *,
    model_id: str,
    label_vectors: Vectors | None = None,
    label_names: Sequence[str] = (),
    label_ids: Sequence[str] = (),
) -> CategoryModel:
    """Return the model of a taxonomy; people's labels count as examples of their category.

    From 100 labels on, every second one is held back to fit the temperature.
    """
    names = tuple(category.name for category in taxonomy.categories)
    texts: list[str] = []
    classes: list[int] = []
    for number, category in enumerate(taxonomy.categories):
        own = (category.name, f"{category.name}: {category.description}", *category.examples)
        texts.extend(own)
        classes.extend([number] * len(own))
    vectors = embed(texts)
    known = [i for i, name in enumerate(label_names) if name in names]
    if label_vectors is None or not known:
        return _fitted(names, vectors, np.array(classes), taxonomy.version, model_id)
    answered = np.array([names.index(label_names[i]) for i in known])
    theirs = label_vectors[known]
    temperature = START_TEMPERATURE
    if len(known) >= MIN_LABELS:
        half = np.arange(len(known)) % 2 == 0
        first = _fitted(
            names,
            np.concatenate([vectors, theirs[half]]),
            np.concatenate([classes, answered[half]]),
            taxonomy.version,
            model_id,
        )
        temperature = fit_temperature(first.scores(theirs[~half])[0], answered[~half])
    return _fitted(
        names,
        np.concatenate([vectors, theirs]),
        np.concatenate([classes, answered]),
        taxonomy.version,
        model_id,
        temperature=temperature,
        labels=len(known),
        label_ids=tuple(label_ids[i] for i in known),
    )


@dataclass(frozen=True, slots=True)
class Filing:
    """What texts are about: `chosen` [texts] is the main class (-1: unknown), with `confidence`.

    `rows`, `codes` and `sure` [further] are the further categories: text, class, confidence.
    """

    chosen: Ints
    confidence: Floats
    rows: Ints
    codes: Ints
    sure: Floats

    def only(self, named: npt.NDArray[np.bool_]) -> Filing:
        """Return the filing with all other texts unknown."""
        kept = named[self.rows] & (self.chosen[self.rows] >= 0)
        return Filing(
            chosen=np.where(named, self.chosen, -1),
            confidence=self.confidence,
            rows=self.rows[kept],
            codes=self.codes[kept],
            sure=self.sure[kept],
        )


def classify(
    model: CategoryModel,
    taxonomy: Taxonomy,
    vectors: Vectors,
    words: Words,
    negative: Floats,
    *,
    clauses: ReadClauses | None = None,
) -> Filing:
    """Return what each text is about: as a whole, and what its clauses add to that.

    A text that as a whole is like no category takes that of its clearest clause.
    """
    probability, near = _probabilities(model, taxonomy, vectors, words, negative)
    texts = np.arange(len(probability))
    chosen = probability.argmax(axis=1)
    confidence = probability[texts, chosen]
    chosen = np.where(near & (confidence >= MIN_CONFIDENCE), chosen, -1)
    nothing = np.zeros(0, np.int64)
    if clauses is None or not len(clauses.rows):
        return Filing(chosen, confidence, nothing, nothing, np.zeros(0))
    chance, near = _probabilities(model, taxonomy, clauses.vectors, clauses.words, clauses.negative)
    said = chance.argmax(axis=1)
    sure = chance[np.arange(len(said)), said]
    alone = np.array([c.alone for c in taxonomy.categories], np.bool_)
    fits = near & (sure >= CLAUSE_CONFIDENCE) & ~alone[said]
    rows, codes, sure = clauses.rows[fits], said[fits], sure[fits]
    # Of one text the surest clause first; of one category only its surest clause.
    order = np.lexsort((codes, -sure, rows))
    rows, codes, sure = rows[order], codes[order], sure[order]
    _, first = np.unique(rows * len(model.names) + codes, return_index=True)
    kept = np.sort(first)
    rows, codes, sure = rows[kept], codes[kept], sure[kept]
    text, surest = np.unique(rows, return_index=True)
    lost = chosen[text] < 0
    chosen[text[lost]] = codes[surest[lost]]
    confidence[text[lost]] = sure[surest[lost]]
    other = codes != chosen[rows]
    return Filing(chosen, confidence, rows[other], codes[other], sure[other])


def _probabilities(
    model: CategoryModel, taxonomy: Taxonomy, vectors: Vectors, words: Words, negative: Floats
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Return (probability [texts, categories], which texts are near any category at all).

    The category's words and the text's tone move the score a little: a negative text is rather a
    complaint, a positive one rather not.
    """
    scores, best = model.scores(vectors)
    for number, category in enumerate(taxonomy.categories):
        if category.words:
            hit = words.sums(words.marks(frozenset(category.words))) > 0
            scores[:, number] += WORD_WEIGHT * hit
        tone = TONE_WEIGHT if category.complaint else -TONE_WEIGHT
        if category.complaint or category.impact == 0:
            scores[:, number] += tone * (2.0 * negative - 1.0)
    return probabilities(scores, temperature=model.temperature), best >= MIN_SIMILARITY


def _fitted(
    names: tuple[str, ...],
    vectors: Vectors,
    classes: Ints,
    taxonomy_version: str,
    model_id: str,
    *,
    temperature: float = START_TEMPERATURE,
    labels: int = 0,
    label_ids: tuple[str, ...] = (),
) -> CategoryModel:
    # Each category weighs the same, however many examples it has.
    sizes = np.bincount(classes, minlength=len(names))
    weight = len(classes) / (len(names) * sizes[classes])
    return CategoryModel(
        names=names,
        examples=np.ascontiguousarray(vectors, np.float32),
        classes=classes,
        head=fit_classes(vectors, classes, count=len(names), l2=0.1, sample_weight=weight),
        temperature=temperature,
        taxonomy_version=taxonomy_version,
        model_id=model_id,
        labels=labels,
        label_ids=label_ids,
    )
