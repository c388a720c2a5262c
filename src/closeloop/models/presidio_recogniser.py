"""A recogniser of personal data by Presidio (an optional dependency), with a spaCy model or without."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from closeloop.errors import (
    ModelMissingError,
    RecogniserFaultError,
    SettingsError,
    redact,
)
from closeloop.ports import Recognised

PATTERN_ENTITIES: Mapping[str, str] = {
    "CREDIT_CARD": "CARD",
    "IBAN_CODE": "IBAN",
    "US_SSN": "SSN",
    "IP_ADDRESS": "IP",
    "PHONE_NUMBER": "PHONE",
    "US_PASSPORT": "NATIONAL_ID",
    "US_DRIVER_LICENSE": "NATIONAL_ID",
    "CRYPTO": "ACCOUNT",
}
"""What Presidio finds without a language model."""
NAME_ENTITIES: Mapping[str, str] = {"PERSON": "NAME"}
"""What it needs a spaCy model for. LOCATION is left out: regions are facts, not persons."""
LEFT_TO_RULES = frozenset({"EMAIL_ADDRESS", "URL"})
"""Presidio asks tldextract about these, which fetches a list from the network; rules find them."""

MIN_SCORE = 0.35
"""Presidio's own patterns without context words score .3 to .5; at .35 phones count."""


class PresidioRecogniser:
    """Asks Presidio's analyser. Without `spacy_model` its patterns work alone, and find no names.

    `entities` maps Presidio's entities to tokens (None: cards, phones and the like, and persons
    where there is a spaCy model). Nothing is downloaded.
    Raises ModelMissingError where Presidio or the model is not installed, SettingsError for an
    entity that it may not be asked for.
    """

    def __init__(
        self,
        *,
        spacy_model: str | None = None,
        language: str = "en",
        entities: Mapping[str, str] | None = None,
        min_score: float = MIN_SCORE,
        asked: str = "numbers",
    ) -> None:
        self._given = (spacy_model, language, entities, min_score, asked)
        self._spacy_model, self._language = spacy_model, language
        self._min_score, self._asked = min_score, asked
        default = {**PATTERN_ENTITIES, **(NAME_ENTITIES if spacy_model else {})}
        self._entities = dict(default if entities is None else entities)
        for name in sorted(LEFT_TO_RULES & self._entities.keys()):
            raise SettingsError(
                f"closeloop.yaml: pii.model.labels: Presidio is not asked for {name}",
                hint="leave it out: closeloop's own rules find it, and Presidio would fetch a list "
                "from the network",
            )
        if spacy_model is None and "PERSON" in self._entities:
            raise SettingsError(
                "closeloop.yaml: pii.model.labels: PERSON needs a spaCy model",
                hint="set pii.model.spacy_model (and install it), or leave PERSON out",
            )
        try:
            installed = version("presidio-analyzer")
        except PackageNotFoundError:
            raise ModelMissingError(
                "pii.model.kind is presidio, but presidio-analyzer is not installed",
                hint="pip install 'closeloop[presidio]'",
            ) from None
        used = json.dumps([sorted(self._entities.items()), language, min_score])
        settings = hashlib.blake2b(used.encode(), digest_size=3).hexdigest()
        self._version = f"presidio@{installed}/{_model_version(spacy_model)}+{settings}"
        self._analyser: Any = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Ship the settings; the analyser is made where it is used."""
        return _again, self._given

    @property
    def version(self) -> str:
        """Presidio's version, the spaCy model's, and a hash of the settings."""
        return self._version

    @property
    def tokens(self) -> frozenset[str]:
        """The tokens that its entities stand for."""
        return frozenset(self._entities.values())

    @property
    def asked(self) -> str:
        """Which texts it is to be asked of."""
        return self._asked

    def recognise(self, texts: Sequence[str]) -> list[list[Recognised]]:
        """Return what is found in each text; of overlapping answers the surest counts.

        Raises RecogniserFaultError where Presidio fails on a text.
        """
        analyser = self._ready()
        return [self._of_text(analyser, text) for text in texts]

    def _of_text(self, analyser: Any, text: str) -> list[Recognised]:
        try:
            answers = analyser.analyze(
                text=text,
                language=self._language,
                entities=sorted(self._entities),
                score_threshold=self._min_score,
            )
        except Exception as error:
            raise RecogniserFaultError(
                f"Presidio failed on a text ({type(error).__name__})", hint="run 'closeloop doctor'"
            ) from error
        found: list[Recognised] = []
        for answer in sorted(answers, key=lambda a: (-a.score, a.start, -a.end, a.entity_type)):
            new = Recognised(answer.start, answer.end, self._entities[answer.entity_type])
            if all(new.end <= other.start or other.end <= new.start for other in found):
                found.append(new)
        return sorted(found, key=lambda r: r.start)

    def _ready(self) -> Any:
        if self._analyser is None:
            from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
            from presidio_analyzer.nlp_engine import NoOpNlpEngine, SpacyNlpEngine

            if self._spacy_model is None:
                engine = NoOpNlpEngine(models=[{"lang_code": self._language, "model_name": "none"}])
            else:
                engine = SpacyNlpEngine(
                    models=[{"lang_code": self._language, "model_name": self._spacy_model}]
                )
            languages = [self._language]
            engine.load()
            registry = RecognizerRegistry(supported_languages=languages)
            registry.load_predefined_recognizers(languages=languages, nlp_engine=engine)
            self._analyser = AnalyzerEngine(
                registry=registry, nlp_engine=engine, supported_languages=languages
            )
        return self._analyser


def _model_version(spacy_model: str | None) -> str:
    if spacy_model is None:
        return "patterns"
    if importlib.util.find_spec(spacy_model) is None:
        raise ModelMissingError(
            f"the spaCy model {redact(spacy_model)} is not installed",
            hint=f"python -m spacy download {redact(spacy_model)}; or leave pii.model.spacy_model "
            "out: Presidio's patterns work without one, but find no names",
        )
    return f"{spacy_model}@{version(spacy_model.replace('_', '-'))}"


def _again(
    spacy_model: str | None,
    language: str,
    entities: Mapping[str, str] | None,
    min_score: float,
    asked: str,
) -> PresidioRecogniser:
    return PresidioRecogniser(
        spacy_model=spacy_model,
        language=language,
        entities=entities,
        min_score=min_score,
        asked=asked,
    )
