"""An embedder from a local folder with an ONNX model: any language, any BERT-like sentence model."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from closeloop.errors import ModelMissingError, redact
from closeloop.models.minilm import Loaded, OnnxEmbedder, Pooling, open_session, open_tokenizer
from closeloop.models.weights import missing_in_folder, remembered_sha256

MODEL_PLACES = ("model.onnx", "onnx/model.onnx")
"""Where exports put the model: optimum in the folder, the published folders beneath onnx/."""
OUTPUTS = ("sentence_embedding", "last_hidden_state", "token_embeddings")
MAX_TOKENS = 256
MOST_TOKENS = 512
"""Where the folder states more (bge-m3: 8,192), so many count: feedback is short, memory is not."""


def onnx_folder(
    folder: Path, *, threads: int | None, prefix: str = "", memory: Path | None = None
) -> OnnxEmbedder:
    """Return the model in a folder with tokenizer.json and model.onnx (or onnx/model.onnx).

    An output named sentence_embedding is taken as the vector; else the tokens' vectors are averaged
    or, where 1_Pooling/config.json says so, the first token's is taken. `prefix` stands before each
    text ("query: " for the e5 models). The first 256 tokens count, or as many as
    sentence_bert_config.json says, at most 512. The files' sha256 is part of the name; what was
    hashed is remembered in the file `memory`.
    Raises ModelMissingError where a file is absent or the model can't be used so.
    """
    model = next((folder / p for p in MODEL_PLACES if (folder / p).is_file()), None)
    if model is None:
        raise missing_in_folder(folder, "model.onnx")
    if not (folder / "tokenizer.json").is_file():
        raise missing_in_folder(folder, "tokenizer.json")
    session = open_session(str(model), threads=threads)
    names = [node.name for node in session.get_outputs()]
    output = next((name for name in OUTPUTS if name in names), names[0])
    node = session.get_outputs()[names.index(output)]
    pooling = _pooling(folder) if len(node.shape or ()) != 2 else Pooling.MEAN
    tokens = _max_tokens(folder)

    def load() -> Loaded:
        return session, open_tokenizer(folder / "tokenizer.json", max_tokens=tokens)

    return OnnxEmbedder(
        load,
        model_id=_model_id(
            folder, (pooling, tokens, prefix), version=model_version(model, memory=memory)
        ),
        dimensions=_dimensions(folder, node.shape),
        output=output,
        pooling=pooling,
        prefix=prefix,
    )


def _pooling(folder: Path) -> Pooling:
    modules = _json(folder / "modules.json")
    if isinstance(modules, list) and any("Dense" in str(m.get("type")) for m in modules):
        raise _unusable(folder, "has a dense layer after pooling, which model.onnx lacks")
    stated = _json(folder / "1_Pooling" / "config.json")
    modes = {
        key.removeprefix("pooling_mode_")
        for key, value in (stated or {}).items()
        if key.startswith("pooling_mode_") and value is True
    }
    if not modes or modes == {"mean_tokens"}:
        return Pooling.MEAN
    if modes == {"cls_token"}:
        return Pooling.CLS
    raise _unusable(folder, f"pools by {redact(', '.join(sorted(modes)))}")


def _max_tokens(folder: Path) -> int:
    stated = (_json(folder / "sentence_bert_config.json") or {}).get("max_seq_length")
    return min(stated, MOST_TOKENS) if isinstance(stated, int) and stated > 0 else MAX_TOKENS


def _dimensions(folder: Path, shape: Any) -> int:
    last = shape[-1] if shape else None
    stated = (
        last if isinstance(last, int) else (_json(folder / "config.json") or {}).get("hidden_size")
    )
    if not isinstance(stated, int) or stated < 1:
        raise _unusable(folder, "does not say how long its vectors are (config.json: hidden_size)")
    return stated


def model_version(model: Path, *, memory: Path | None) -> str:
    """Return eight digits of the sha256 over a model's file and the weights beside it."""
    # Large models keep their weights beside the graph: model.onnx_data, model.onnx.data and so on.
    beside = sorted(p for p in model.parent.glob(f"{model.name}?*") if p.is_file())
    return remembered_sha256([model, *beside], memory=memory)[:8]


def _model_id(folder: Path, used: tuple[Pooling, int, str], *, version: str) -> str:
    # What changes the vectors is part of the name: they are kept and compared under it.
    name = f"{folder.name}/onnx@{version}"
    if used == (Pooling.MEAN, MAX_TOKENS, ""):
        return name
    return f"{name}+{hashlib.sha256('/'.join(map(str, used)).encode()).hexdigest()[:6]}"


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ModelMissingError(
            f"{redact(path, keep=120)} can't be read ({type(error).__name__})",
            hint="get the model's folder anew",
        ) from error


def _unusable(folder: Path, why: str) -> ModelMissingError:
    return ModelMissingError(
        f"embedder.folder {redact(folder, keep=120)} {why}",
        hint="export the model with an output named sentence_embedding (one vector a text)",
    )
