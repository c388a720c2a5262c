"""Writes a folder with a tiny sentence model that knows a few words of four languages.

The graph looks words up in a table, so that a word and its translations have one vector. ONNX files
are protocol buffers; the few messages needed are written by hand, field numbers as in onnx.proto.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

FLOAT, INT64, BOOL = 1, 7, 9
KINDS = {"float32": FLOAT, "int64": INT64, "bool": BOOL}
MEANINGS = (
    ("payment", "paiement", "भुगतान", "paisa"),
    ("failed", "échoué", "विफल", "atka"),
    ("parcel", "colis", "पार्सल"),
    ("late", "retard", "देर", "der"),
    ("app", "application", "ऐप"),
    ("slow", "lente", "धीमा", "dheema"),
)
DIMENSIONS = 16
SPECIAL = ("<unk>", "<s>", "</s>")


def tiny_folder(
    folder: Path,
    *,
    place: str = "model.onnx",
    output: str = "last_hidden_state",
    token_types: bool = False,
    special: bool = True,
    pooling: dict[str, bool] | None = None,
    width: int | str = DIMENSIONS,
    max_tokens: int | None = None,
) -> Path:
    """Write the folder; `width` as text leaves the output's length to config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    words = [*SPECIAL, *(word for meaning in MEANINGS for word in meaning), "query"]
    (folder / place).parent.mkdir(parents=True, exist_ok=True)
    (folder / place).write_bytes(_model(_table(words), output, token_types, width))
    _tokenizer(words, special=special).save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text(json.dumps({"hidden_size": DIMENSIONS}))
    if pooling is not None:
        (folder / "1_Pooling").mkdir(exist_ok=True)
        modes = {f"pooling_mode_{name}": value for name, value in pooling.items()}
        (folder / "1_Pooling" / "config.json").write_text(json.dumps(modes))
    if max_tokens is not None:
        stated = json.dumps({"max_seq_length": max_tokens})
        (folder / "sentence_bert_config.json").write_text(stated)
    return folder


def _table(words: list[str]) -> npt.NDArray[np.float32]:
    draw = np.random.default_rng(1)
    table = draw.normal(size=(len(words), DIMENSIONS)).astype(np.float32)
    for meaning in MEANINGS:
        rows = [words.index(word) for word in meaning]
        table[rows] = table[rows[0]] + 0.05 * table[rows]
    table[: len(SPECIAL)] *= 0.1
    return table


def _tokenizer(words: list[str], *, special: bool) -> Tokenizer:
    vocabulary = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    # Vowel signs of Devanagari are no word characters to Whitespace.
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if special:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
        )
    return tokenizer


def _model(
    table: npt.NDArray[np.float32],
    output: str,
    token_types: bool,
    width: int | str,
    dimensions: int = DIMENSIONS,
) -> bytes:
    pooled = output == "sentence_embedding"
    nodes = [_node("Gather", ["table", "input_ids"], ["looked" if pooled else "found"])]
    # Compress keeps all here; its length is not inferred, as with many exports.
    unknown = "Identity" if isinstance(width, int) else "Compress"
    tensors = [_tensor("table", table), _tensor("all", np.ones(dimensions, np.bool_))]
    if not pooled:
        more = {} if unknown == "Identity" else {"axis": 2}
        inputs = ["found"] if unknown == "Identity" else ["found", "all"]
        nodes.append(_node(unknown, inputs, [output], **more))
    if pooled:
        axis = _tensor("axis", np.array([2], np.int64))
        one = _tensor("one", np.array([1], np.int64))
        tensors += [axis, one]
        nodes += [
            _node("Cast", ["attention_mask"], ["mask"], to=FLOAT),
            _node("Unsqueeze", ["mask", "axis"], ["wide"]),
            _node("Mul", ["looked", "wide"], ["kept"]),
            _node("ReduceSum", ["kept", "one"], [output], keepdims=0),
        ]
    names = ["input_ids", "attention_mask", *(["token_type_ids"] if token_types else [])]
    shape: list[int | str] = ["batch", width] if pooled else ["batch", "tokens", width]
    graph = b"".join(
        [
            *(_field(1, node) for node in nodes),
            _field(2, b"tiny"),
            *(_field(5, tensor) for tensor in tensors),
            *(_field(11, _value(name, INT64, ["batch", "tokens"])) for name in names),
            _field(12, _value(output, FLOAT, shape)),
        ]
    )
    return _number(1, 8) + _field(7, graph) + _field(8, _field(1, b"") + _number(2, 17))


def _node(kind: str, inputs: list[str], outputs: list[str], **integers: int) -> bytes:
    attributes = [
        _field(5, _field(1, name.encode()) + _number(3, value) + _number(20, 2))
        for name, value in integers.items()
    ]
    return b"".join(
        [
            *(_field(1, name.encode()) for name in inputs),
            *(_field(2, name.encode()) for name in outputs),
            _field(4, kind.encode()),
            *attributes,
        ]
    )


def _tensor(name: str, values: npt.NDArray[Any]) -> bytes:
    dims = b"".join(_number(1, size) for size in values.shape)
    return (
        dims
        + _number(2, KINDS[str(values.dtype)])
        + _field(8, name.encode())
        + _field(9, values.tobytes())
    )


def _value(name: str, kind: int, shape: list[int | str]) -> bytes:
    dims = b"".join(
        _field(1, _number(1, size) if isinstance(size, int) else _field(2, size.encode()))
        for size in shape
    )
    tensor = _number(1, kind) + _field(2, dims)
    return _field(1, name.encode()) + _field(2, _field(1, tensor))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _field(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    data = bytearray()
    while True:
        value, low = value >> 7, value & 127
        data.append(low | (128 if value else 0))
        if not value:
            return bytes(data)


def tiny_classifier(
    folder: Path, *, words: dict[str, str], labels: tuple[str, ...], splits: tuple[str, ...] = ()
) -> Path:
    """Write a token classifier that gives each known word its label, all others the first label.

    A word of `splits` is two tokens ("as", "##ha"); each piece looks up its own label in `words`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pieces = [piece for word in splits for piece in (word[:2], "##" + word[2:])]
    known = list(dict.fromkeys([*SPECIAL, *words, *pieces]))
    table = np.zeros((len(known), len(labels)), dtype=np.float32)
    for row, word in enumerate(known):
        table[row, labels.index(words.get(word, labels[0]))] = 8.0
    (folder / "model.onnx").write_bytes(_model(table, "logits", False, len(labels), len(labels)))
    vocabulary = {word: number for number, word in enumerate(known)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    named = {str(number): label for number, label in enumerate(labels)}
    (folder / "config.json").write_text(json.dumps({"id2label": named}))
    return folder
