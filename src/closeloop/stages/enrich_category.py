"""Which category of the taxonomy a text belongs to: a head on its vector and the nearest example."""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from closeloop.domain.taxonomy import Taxonomy
from closeloop.ports import Vectors
from closeloop.stages.enrich_clauses import ReadClauses
from closeloop.stages.enrich_words import WordHead, fit_together
from closeloop.stats.logistic import (
    Logistic,
    fit_classes,
    fit_temperature,
    probabilities,
)
from closeloop.text.words import Words, words_of

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
MIN_COMPARED = 50
"""So many labels choose the model's shape."""
PARTS = 3
MAX_COMPARED = 1_500
"""So many labels are enough to choose between shapes; more would take long."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a model is made of beside the head over vectors: nearest examples, and words.

    `words` is how much room words have beside the vectors in the fit; 0: they are not read.
    """

    nearest_weight: float
    words: float


START = Shape(NEAREST_WEIGHT, words=0.0)
SHAPES = (
    START,
    Shape(0.0, words=0.0),
    Shape(NEAREST_WEIGHT, words=1.0),
    Shape(0.0, words=1.0),
    Shape(0.0, words=2.0),
)


@dataclass(frozen=True, slots=True)
class CategoryModel:
    """Examples' vectors with their classes, a head over them, and what it was made from.

    `labels` is how many of people's labels went in; `calibrated` from 100 on. `label_ids` are the
    feedback ids of the labelled texts: theirs are the last vectors of `examples`. `words` is there
    where labels have shown that words tell the categories better than vectors alone.
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
    nearest_weight: float = NEAREST_WEIGHT
    words: WordHead | None = None

    @property
    def calibrated(self) -> bool:
        """Whether the confidence was fitted to people's labels."""
        return self.labels >= MIN_LABELS

    @property
    def name(self) -> str:
        """Stored with each category."""
        end = f"{self.labels} labels" if self.calibrated else "uncalibrated"
        made = "examples+head" if self.words is None else "examples+words+head"
        return f"{made}, taxonomy {self.taxonomy_version} ({end})"

    def similarities(self, vectors: Vectors) -> Floats:
        """Return the cosine with the nearest example of each category [texts, categories]."""
        to_all = vectors @ self.examples.T
        best = np.empty((len(vectors), len(self.names)), np.float64)
        for number in range(len(self.names)):
            best[:, number] = to_all[:, self.classes == number].max(axis=1)
        return best

    def scores(self, vectors: Vectors, words: Words | None = None) -> tuple[Floats, Floats]:
        """Return (score [texts, categories], best similarity [texts])."""
        nearest = self.similarities(vectors)
        scores = self.head.scores(vectors) + self.nearest_weight * nearest
        if self.words is not None and words is not None:
            scores += self.words.scores(words)
        return scores, nearest.max(axis=1)

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
        held = {} if self.words is None else asdict(self.words)
        np.savez_compressed(
            file,
            **{
                f"words_{name}": value.astype(np.float32) if name == "weights" else value
                for name, value in held.items()
            },
            nearest_weight=np.array(self.nearest_weight),
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
                nearest_weight=float(held["nearest_weight"])
                if "nearest_weight" in held
                else NEAREST_WEIGHT,
                words=WordHead(
                    held["words_buckets"],
                    held["words_rarity"],
                    held["words_weights"].astype(np.float64),
                )
                if "words_buckets" in held
                else None,
            )


@dataclass(frozen=True, slots=True)
class Examples:
    """Texts that teach: their vectors, the texts themselves, and the class of each."""

    vectors: Vectors
    texts: tuple[str, ...]
    classes: Ints

    def take(self, rows: Ints) -> Examples:
        """Return some of them."""
        return Examples(
            self.vectors[rows], tuple(self.texts[i] for i in rows.tolist()), self.classes[rows]
        )

    def and_then(self, other: Examples) -> Examples:
        """Return these and others after them."""
        return Examples(
            np.concatenate([self.vectors, other.vectors]),
            self.texts + other.texts,
            np.concatenate([self.classes, other.classes]),
        )


@dataclass(frozen=True, slots=True)
class Labelled:
    """Texts that people gave a category: ids, texts, vectors [texts, dimensions], names."""

    ids: Sequence[str]
    texts: Sequence[str]
    vectors: Vectors
    names: Sequence[str]


def build(
    taxonomy: Taxonomy,
    embed: Callable[[Sequence[str]], Vectors],
    *,
    model_id: str,
    labelled: Labelled | None = None,
) -> CategoryModel:
    """Return the model of a taxonomy; people's labels count as examples of their category.

    From 50 labels on they decide, by what they say of one another, whether words are read beside
    the vectors and whether the nearest example counts. From 100 on half of them fit the temperature.
    """
    names = tuple(category.name for category in taxonomy.categories)
    texts: list[str] = []
    classes: list[int] = []
    for number, category in enumerate(taxonomy.categories):
        own = (category.name, f"{category.name}: {category.description}", *category.examples)
        texts.extend(own)
        classes.extend([number] * len(own))
    defined = Examples(embed(texts), tuple(texts), np.array(classes))
    known = [i for i, n in enumerate(labelled.names) if n in names] if labelled else []
    bare = CategoryModel(
        names=names,
        examples=defined.vectors,
        classes=defined.classes,
        head=Logistic(np.zeros((0, len(names))), np.zeros(len(names))),
        temperature=START_TEMPERATURE,
        taxonomy_version=taxonomy.version,
        model_id=model_id,
    )
    if labelled is None or not known:
        return _fitted(bare, defined, START)
    theirs = Examples(
        labelled.vectors[known],
        tuple(labelled.texts[i] for i in known),
        np.array([names.index(labelled.names[i]) for i in known]),
    )
    bare = replace(bare, labels=len(known), label_ids=tuple(labelled.ids[i] for i in known))
    shape = START if len(known) < MIN_COMPARED else _best_shape(bare, defined, theirs)
    if len(known) < MIN_LABELS:
        return _fitted(bare, defined.and_then(theirs), shape)
    half = np.arange(len(known)) % 2 == 0
    first = _fitted(bare, defined.and_then(theirs.take(np.flatnonzero(half))), shape)
    rest = theirs.take(np.flatnonzero(~half))
    scores, _ = first.scores(rest.vectors, words_of(pa.array(rest.texts, pa.string())))
    bare = replace(bare, temperature=fit_temperature(scores, rest.classes))
    return _fitted(bare, defined.and_then(theirs), shape)


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
    scores, best = model.scores(vectors, words)
    for number, category in enumerate(taxonomy.categories):
        if category.words:
            hit = words.sums(words.marks(frozenset(category.words))) > 0
            scores[:, number] += WORD_WEIGHT * hit
        tone = TONE_WEIGHT if category.complaint else -TONE_WEIGHT
        if category.complaint or category.impact == 0:
            scores[:, number] += tone * (2.0 * negative - 1.0)
    return probabilities(scores, temperature=model.temperature), best >= MIN_SIMILARITY


def _best_shape(bare: CategoryModel, defined: Examples, theirs: Examples) -> Shape:
    """Return the shape that tells held-back labels best: the mean over classes of the share right.

    Three parts of the labels are held back in turn. Where little is gained, all stays as it starts.
    """
    if len(theirs.texts) > MAX_COMPARED:
        step = -(-len(theirs.texts) // MAX_COMPARED)
        theirs = theirs.take(np.arange(0, len(theirs.texts), step))
    part = np.arange(len(theirs.texts)) % PARTS
    found = []
    for shape in SHAPES:
        right = np.zeros(len(part), np.bool_)
        for number in range(PARTS):
            held = theirs.take(np.flatnonzero(part == number))
            taught = defined.and_then(theirs.take(np.flatnonzero(part != number)))
            model = _fitted(bare, taught, shape)
            scores, _ = model.scores(held.vectors, words_of(pa.array(held.texts, pa.string())))
            right[part == number] = scores.argmax(axis=1) == held.classes
        classes = np.unique(theirs.classes)
        found.append(np.mean([right[theirs.classes == c].mean() for c in classes]))
    best = int(np.argmax(found))
    # One label more is no reason: few say little.
    return SHAPES[best] if found[best] - found[0] > 1.0 / len(theirs.texts) else START


def _fitted(bare: CategoryModel, taught: Examples, shape: Shape) -> CategoryModel:
    # Each category weighs the same, however many examples it has.
    count = len(bare.names)
    sizes = np.bincount(taught.classes, minlength=count)
    weight = len(taught.classes) / (count * sizes[taught.classes])
    words = None
    if shape.words:
        head, words = fit_together(
            taught.vectors,
            words_of(pa.array(taught.texts, pa.string())),
            taught.classes,
            count=count,
            sample_weight=weight,
            room=shape.words,
        )
    else:
        head = fit_classes(
            taught.vectors, taught.classes, count=count, l2=0.1, sample_weight=weight
        )
    return replace(
        bare,
        examples=np.ascontiguousarray(taught.vectors, np.float32),
        classes=taught.classes,
        head=head,
        words=words,
        nearest_weight=shape.nearest_weight,
    )
