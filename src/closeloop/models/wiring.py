"""Makes the embedder, the language model and the recogniser that a workspace's settings ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from closeloop.errors import SettingsError, redact
from closeloop.models.batched_model import BatchedModel
from closeloop.models.metered_model import MeteredLanguageModel, Terms
from closeloop.models.minilm import minilm
from closeloop.models.onnx_folder import onnx_folder
from closeloop.models.openai_embedder import OpenAIEmbedder
from closeloop.models.openai_language_model import OpenAILanguageModel
from closeloop.models.remote import RemoteModel, remote_embedder
from closeloop.models.remote_writer import RemoteWriter, remote_language_model
from closeloop.models.vector_cache import CachedEmbedder
from closeloop.ports import BatchBook, CallLedger, Embedder, Recogniser

SERVED = ("azure_openai", "openai")
KINDS = ("minilm", "onnx", *SERVED)


def make_embedder(
    *,
    kind: str,
    folder: str | None,
    threads: int | None,
    cache_folder: Path,
    prefix: str = "",
    remote: RemoteModel | None = None,
    seed: int = 7,
) -> CachedEmbedder:
    """Return the embedder behind its vector cache; the model is loaded or asked when first needed.

    `kind` is "minilm" (published weights), "onnx" (a folder with model.onnx and tokenizer.json),
    "azure_openai" or "openai" (`remote`; any compatible server). For minilm a folder takes the
    default model's place. Raises SettingsError for another kind or what is missing in closeloop.yaml,
    ModelMissingError where the folder lacks a file.
    """
    if kind not in KINDS:
        raise SettingsError(
            f"closeloop.yaml: embedder.kind {redact(kind)!r} is not known",
            hint=f"use one of {', '.join(KINDS)}",
        )
    _refuse_what_would_be_ignored(kind, folder, prefix, remote)
    if kind in SERVED:
        chosen = remote_embedder(remote or RemoteModel(), azure=kind == "azure_openai", seed=seed)
        # What one request has paid for is kept before the next is sent.
        return CachedEmbedder(chosen, cache_folder, batches=chosen.batches)
    if kind == "onnx" and folder is None:
        raise SettingsError(
            "closeloop.yaml: embedder.kind is onnx, but embedder.folder is not set",
            hint="name a folder that holds model.onnx and tokenizer.json",
        )
    if folder is not None:
        local = onnx_folder(
            Path(folder).expanduser(),
            threads=threads,
            prefix=prefix,
            memory=cache_folder / "hashed.json",
        )
    else:
        local = minilm(threads=threads, memory=cache_folder / "checked.json")
    return CachedEmbedder(local, cache_folder)


def _refuse_what_would_be_ignored(
    kind: str, folder: str | None, prefix: str, remote: RemoteModel | None
) -> None:
    """Raise SettingsError for a setting of another kind: it is more likely that kind is wrong."""
    given = (remote or RemoteModel()).settings
    if kind in SERVED:
        given = {"folder": folder}
    elif folder is None and kind == "minilm":
        given["prefix"] = prefix or None
    ignored = [name for name, value in given.items() if value is not None]
    if ignored:
        raise SettingsError(
            f"closeloop.yaml: embedder.{ignored[0]} means nothing to embedder.kind {kind}",
            hint="leave it out, or set embedder.kind to the one it belongs to "
            f"({', '.join(KINDS)})",
        )


def make_language_model(
    *,
    kind: str,
    remote: RemoteWriter,
    terms: Terms,
    ledger: Callable[[], CallLedger],
    seed: int = 7,
) -> MeteredLanguageModel | None:
    """Return the language model that closeloop.yaml names under `writer:`; None where it names none.

    Nothing is sent before the first request; `ledger` is opened only where there is a model. Raises
    SettingsError where something is missing, or a model is described although the kind is
    deterministic.
    """
    if kind in SERVED:
        model = remote_language_model(remote, azure=kind == "azure_openai", seed=seed)
        names = tuple(name for name in (remote.model, remote.deployment) if name)
        return MeteredLanguageModel(model, ledger=ledger(), terms=replace(terms, priced_as=names))
    ignored = [name for name, value in remote.settings.items() if value is not None]
    if ignored:
        raise SettingsError(
            f"closeloop.yaml: writer.{ignored[0]} means nothing to writer.kind {kind}",
            hint=f"leave it out, or set writer.kind to one of {', '.join(SERVED)}",
        )
    return None


def make_recogniser(
    *,
    kind: str,
    folder: str | None,
    spacy_model: str | None,
    language: str,
    labels: Mapping[str, str] | None,
    min_score: float | None,
    ask: str | None,
    threads: int | None,
    cache_folder: Path,
) -> Recogniser:
    """Return the model that finds personal data; it is loaded when first asked.

    `kind` is "onnx" (a folder with a token classifier) or "presidio". Raises SettingsError for what
    is missing or means nothing to the kind, ModelMissingError where files or packages are absent.
    """
    other = {"folder": folder} if kind == "presidio" else {"spacy_model": spacy_model}
    for name in (name for name, value in other.items() if value is not None):
        raise SettingsError(
            f"closeloop.yaml: pii.model.{name} means nothing to pii.model.kind {kind}",
            hint="leave it out, or set pii.model.kind to the one it belongs to (onnx, presidio)",
        )
    if kind == "presidio":
        from closeloop.models import presidio_recogniser as presidio

        return presidio.PresidioRecogniser(
            spacy_model=spacy_model,
            language=language,
            entities=labels,
            min_score=presidio.MIN_SCORE if min_score is None else min_score,
            asked=ask or "numbers",
        )
    if folder is None:
        raise SettingsError(
            "closeloop.yaml: pii.model.kind is onnx, but pii.model.folder is not set",
            hint="name a folder that holds model.onnx, tokenizer.json and config.json",
        )
    from closeloop.models import token_classifier as classifier

    return classifier.TokenClassifier(
        Path(folder).expanduser(),
        labels=labels,
        min_score=classifier.MIN_SCORE if min_score is None else min_score,
        asked=ask or "names",
        threads=threads,
        memory=cache_folder / "hashed.json",
    )


def make_batched_model(
    model: MeteredLanguageModel, *, book: BatchBook, deployment: str | None
) -> BatchedModel | None:
    """Return a model as it is asked in batches, on the same terms and with the same kept answers.

    `deployment` is the one that serves batches (None: the model's own). None where the model has no
    batch API.
    """
    inner = model.unmetered
    if not isinstance(inner, OpenAILanguageModel):
        return None
    return BatchedModel(
        inner,
        ledger=model.ledger,
        book=book,
        terms=model.terms,
        run=model.run,
        deployment=deployment,
    )


def without_cache(embedder: Embedder) -> Embedder:
    """Return the model behind the vector cache, for a check that must reach it."""
    return embedder.uncached if isinstance(embedder, CachedEmbedder) else embedder


def served_at(embedder: Embedder) -> str | None:
    """Return the host that serves the model; None where it runs on this machine."""
    model = without_cache(embedder)
    return model.place if isinstance(model, OpenAIEmbedder) else None
