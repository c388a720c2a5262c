"""Turns texts into vectors with ONNX Runtime: one text, one vector, whatever stands beside it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from tokenizers import Tokenizer

from closeloop.errors import ModelMissingError
from closeloop.ports import Progress, Vectors

MAX_TOKENS = 256
"""Longer texts are cut there: what all-MiniLM-L6-v2 was trained with."""

BATCH = 32
"""Texts of about the same length in one call; larger batches gain nothing on two cores."""


class OnnxEmbedder:
    """Runs a sentence model: `session` takes input_ids and attention_mask, `tokenizer` makes them.

    fp32 only: with int8 a text's vector would depend on its batch mates (cosine .984 at worst),
    and a replay would not be a replay. Texts are sorted by length, so that little is padded.
    """

    def __init__(
        self, *, model_id: str, session: ort.InferenceSession, tokenizer: Tokenizer
    ) -> None:
        self._model_id = model_id
        self._session = session
        self._tokenizer = tokenizer
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._tokenizer.no_padding()
        self._inputs = {i.name for i in session.get_inputs()}
        output = session.get_outputs()[0]
        self._output = output.name
        self._pooled = len(output.shape) == 2
        self._dimensions = int(output.shape[-1])

    @property
    def model_id(self) -> str:
        """Name and version of the model."""
        return self._model_id

    @property
    def dimensions(self) -> int:
        """Length of a vector's row."""
        return self._dimensions

    def embed(self, texts: Sequence[str], *, progress: Progress | None = None) -> Vectors:
        """Return one row a text, float32 [len(texts), dimensions], each of length 1."""
        out = np.zeros((len(texts), self._dimensions), dtype=np.float32)
        encoded = self._tokenizer.encode_batch_fast(list(texts))
        ids = [e.ids for e in encoded]
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            out[rows] = self._run([ids[i] for i in rows])
            if progress is not None:
                progress.advance(len(rows))
        return out

    def _run(self, ids: list[list[int]]) -> Vectors:
        width = max(1, max(len(row) for row in ids))
        tokens = np.zeros((len(ids), width), dtype=np.int64)
        mask = np.zeros((len(ids), width), dtype=np.int64)
        for row, values in enumerate(ids):
            tokens[row, : len(values)] = values
            mask[row, : len(values)] = 1
        feed: dict[str, Any] = {"input_ids": tokens, "attention_mask": mask}
        if "token_type_ids" in self._inputs:
            feed["token_type_ids"] = np.zeros_like(tokens)
        vectors = self._session.run([self._output], feed)[0]
        if not self._pooled:
            weights = mask[:, :, None].astype(np.float32)
            vectors = (vectors * weights).sum(axis=1) / np.maximum(weights.sum(axis=1), 1e-9)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / np.maximum(norms, 1e-12), dtype=np.float32)


def session_options(threads: int | None) -> ort.SessionOptions:
    """Return options for this machine: all cores, unless fewer are asked for."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or os.cpu_count() or 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return options


def load_onnx_folder(folder: Path, *, threads: int | None = None) -> OnnxEmbedder:
    """Return an embedder from a folder with model.onnx and tokenizer.json.

    The model may give token vectors (they are averaged over the text) or one vector a text.
    Raises ModelMissingError where a file is absent or can't be loaded.
    """
    model = next(
        (p for p in (folder / "model.onnx", folder / "onnx" / "model.onnx") if p.is_file()), None
    )
    tokenizer = folder / "tokenizer.json"
    if model is None or not tokenizer.is_file():
        raise ModelMissingError(
            f"embedder.folder {folder}: holds no {'model.onnx' if model is None else 'tokenizer.json'}",
            hint="name a folder that an ONNX export of a sentence model wrote",
        )
    try:
        session = ort.InferenceSession(
            str(model), session_options(threads), providers=["CPUExecutionProvider"]
        )
        loaded = Tokenizer.from_file(str(tokenizer))
    except Exception as error:
        raise ModelMissingError(
            f"embedder.folder {folder}: can't be loaded: {error}",
            hint="check that both files belong together and are whole",
        ) from error
    size = model.stat().st_size
    return OnnxEmbedder(model_id=f"onnx:{folder.name}:{size}", session=session, tokenizer=loaded)
