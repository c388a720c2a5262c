"""An embedder on ONNX Runtime, without torch, and MiniLM from its published weights."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from closeloop.models.weights import (
    PUBLISHED,
    check_published,
    package_folder,
    read_safetensors,
)
from closeloop.ports import Progress, Vectors

if TYPE_CHECKING:
    import onnxruntime
    from tokenizers import Tokenizer

MAX_TOKENS = 256
BATCH = 32
"""Texts of like length run together; larger batches gain nothing on two cores."""


class Pooling(StrEnum):
    """How tokens' vectors become a text's: their mean, or the first token's."""

    MEAN = "mean"
    CLS = "cls"


Loaded = tuple["onnxruntime.InferenceSession", "Tokenizer"]


class OnnxEmbedder:
    """Turns texts into vectors of length 1; the model is loaded when the first text comes.

    `load` returns session and tokenizer; it raises ModelMissingError where files are absent.
    fp32 throughout: with int8 a vector depends on the texts it shares a batch with. `output` names
    the model's output to take (None: its first); one vector a token is pooled. `prefix` stands
    before each text.
    """

    def __init__(
        self,
        load: Callable[[], Loaded],
        *,
        model_id: str,
        dimensions: int,
        output: str | None = None,
        pooling: Pooling = Pooling.MEAN,
        prefix: str = "",
    ) -> None:
        self._load = load
        self._output = output
        self._pooling = pooling
        self._prefix = prefix
        self._model_id = model_id
        self._dimensions = dimensions
        self._loaded: Loaded | None = None

    @property
    def model_id(self) -> str:
        """Name and version of the model."""
        return self._model_id

    @property
    def dimensions(self) -> int:
        """Length of a vector's row."""
        return self._dimensions

    def embed(self, texts: Sequence[str], *, progress: Progress | None = None) -> Vectors:
        """Return one row a text, float32 [len(texts), dimensions]; advances progress by texts."""
        vectors = np.zeros((len(texts), self._dimensions), dtype=np.float32)
        if not texts:
            return vectors
        session, tokenizer = self._ready()
        # Lone surrogates are no text to the tokenizer.
        clean = [t.encode("utf-8", "replace").decode() for t in texts]
        encoded = tokenizer.encode_batch([self._prefix + t for t in clean])
        lengths = np.fromiter((len(e.ids) for e in encoded), np.int64, len(encoded))
        order = np.argsort(lengths, kind="stable")
        wanted = [node.name for node in session.get_inputs()]
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            # A text without tokens still has one place, which the mask leaves out.
            ids = np.zeros((len(rows), max(int(lengths[rows].max()), 1)), dtype=np.int64)
            for line, row in enumerate(rows):
                ids[line, : lengths[row]] = encoded[row].ids
            mask = (np.arange(ids.shape[1]) < lengths[rows][:, None]).astype(np.int64)
            vectors[rows] = self._sentence_vectors(session, wanted, ids, mask)
            if progress is not None:
                progress.advance(len(rows))
        return vectors

    def tokenizer_json(self) -> str:
        """Return the model's tokenizer as the tokenizers library writes it."""
        return str(self._ready()[1].to_str())

    def _ready(self) -> Loaded:
        if self._loaded is None:
            self._loaded = self._load()
        return self._loaded

    def _sentence_vectors(
        self,
        session: Any,
        wanted: Sequence[str],
        ids: npt.NDArray[np.int64],
        mask: npt.NDArray[np.int64],
    ) -> Vectors:
        feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        names = None if self._output is None else [self._output]
        output = session.run(names, {name: feeds[name] for name in wanted if name in feeds})[0]
        if output.ndim == 3 and self._pooling is Pooling.CLS:
            output = output[:, 0] * mask[:, :1]
        elif output.ndim == 3:
            count = np.maximum(mask.sum(axis=1), 1)[:, None]
            output = (output * mask[:, :, None]).sum(axis=1) / count
        norms = np.linalg.norm(output, axis=1, keepdims=True)
        # A text without tokens has no direction: the first axis stands for it.
        output = np.where(norms > 0, output, np.eye(1, output.shape[1], dtype=np.float32))
        return np.asarray(output / np.where(norms > 0, norms, 1.0), dtype=np.float32)


def minilm(*, threads: int | None, memory: Path) -> OnnxEmbedder:
    """Return all-MiniLM-L6-v2 (384 dimensions) over the installed weights.

    The graph ships with closeloop, the weights come from their package; their sha256 is checked
    once and remembered in the file `memory`. Ready in .2 s.
    """

    def load() -> Loaded:
        folder = package_folder()
        check_published(folder, memory=memory)
        return _minilm_session(folder, threads=threads), open_tokenizer(folder / "tokenizer.json")

    version = PUBLISHED["model.safetensors"][:8]
    return OnnxEmbedder(load, model_id=f"all-MiniLM-L6-v2/fp32@{version}", dimensions=384)


def open_tokenizer(path: Path, *, max_tokens: int = MAX_TOKENS) -> Tokenizer:
    """Return the tokenizer of a tokenizer.json; it cuts texts after so many tokens."""
    from tokenizers import Tokenizer

    # The tokenizer's own threads would fight ONNX Runtime's for the same cores.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    return tokenizer


def open_session(
    model: str | bytes,
    *,
    threads: int | None,
    weights: dict[str, npt.NDArray[np.float32]] | None = None,
) -> onnxruntime.InferenceSession:
    """Return a session of a model's file or bytes; `weights` fill references in its graph."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if threads:
        options.intra_op_num_threads = threads
    if weights:
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in weights.values()]
        options.add_external_initializers(list(weights), values)
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _minilm_session(folder: Path, *, threads: int | None) -> onnxruntime.InferenceSession:
    data = files("closeloop.models") / "data"
    mapping = json.loads((data / "minilm_weights_map.json").read_text(encoding="utf-8"))
    tensors = read_safetensors(folder / "model.safetensors")
    weights = {
        name: np.ascontiguousarray(tensors[source].T) if transposed else tensors[source]
        for name, (source, transposed) in mapping.items()
    }
    graph = (data / "minilm_graph.onnx").read_bytes()
    return open_session(graph, threads=threads, weights=weights)
