"""Makes the embedder that a workspace's settings ask for."""

from __future__ import annotations

from pathlib import Path

from closeloop.errors import SettingsError, redact
from closeloop.models.minilm import minilm, onnx_folder
from closeloop.models.vector_cache import CachedEmbedder


def make_embedder(
    *, kind: str, folder: str | None, threads: int | None, cache_folder: Path
) -> CachedEmbedder:
    """Return the embedder behind its vector cache; the default model is loaded when first needed.

    `kind` is "minilm" (published weights) or "onnx" (a folder with model.onnx and tokenizer.json);
    a folder takes the default model's place. Raises SettingsError for another kind or a missing
    folder name, ModelMissingError where the folder lacks a file.
    """
    if kind not in ("minilm", "onnx"):
        raise SettingsError(
            f"closeloop.yaml: embedder.kind {redact(kind)!r} is not known",
            hint="use minilm, or onnx with embedder.folder",
        )
    if kind == "onnx" and folder is None:
        raise SettingsError(
            "closeloop.yaml: embedder.kind is onnx, but embedder.folder is not set",
            hint="name a folder that holds model.onnx and tokenizer.json",
        )
    if folder is not None:
        chosen = onnx_folder(Path(folder).expanduser(), threads=threads)
    else:
        chosen = minilm(threads=threads, memory=cache_folder / "checked.json")
    return CachedEmbedder(chosen, cache_folder)
