"""Makes the graph without weights that closeloop ships, from a published sentence model.

    pip install torch transformers onnx
    python scripts/make_minilm_graph.py MODEL_FOLDER --out src/closeloop/models/data

MODEL_FOLDER holds config.json and model.safetensors of a BERT-like model (all-MiniLM-L6-v2).
Writes minilm_graph.onnx, in which every large tensor is a reference to one of model.safetensors,
and minilm_weights_map.json: tensor of the graph -> [tensor of the file, transposed?]. Ends with an
error where a large tensor of the graph is not found bit for bit in the file.

For a model of another size no graph is needed: export it whole, and name the folder with its
model.onnx and tokenizer.json as `embedder.folder`.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from closeloop.models.weights import read_safetensors

OPSET = 17
LARGE = 300
"""Float tensors of so many values and more are taken out of the graph."""


def export(folder: Path) -> Any:
    """Return the model with mean pooling and length 1 as an ONNX model, weights inside."""
    import torch
    from transformers import AutoModel

    class Sentence(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.m = AutoModel.from_pretrained(folder).eval()

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            tokens = self.m(input_ids=input_ids, attention_mask=attention_mask)[0]
            mask = attention_mask.unsqueeze(-1).to(tokens.dtype)
            mean = (tokens * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
            return torch.nn.functional.normalize(mean, p=2, dim=1)

    ids = torch.ones((2, 8), dtype=torch.int64)
    file = io.BytesIO()
    with torch.no_grad():
        torch.onnx.export(
            Sentence(),
            (ids, torch.ones_like(ids)),
            file,
            input_names=["input_ids", "attention_mask"],
            output_names=["emb"],
            dynamic_axes={
                "input_ids": {0: "b", 1: "s"},
                "attention_mask": {0: "b", 1: "s"},
                "emb": {0: "b"},
            },
            opset_version=OPSET,
            do_constant_folding=True,
            dynamo=False,
        )
    return onnx.load_model_from_string(file.getvalue())


def take_weights_out(
    model: Any, weights: dict[str, np.ndarray]
) -> tuple[bytes, dict[str, tuple[str, bool]]]:
    """Return the graph without large tensors, and where each is found in the weights.

    Raises ValueError for a large tensor that no weight equals bit for bit.
    """
    known: dict[tuple[tuple[int, ...], bytes], tuple[str, bool]] = {}
    for name, array in weights.items():
        known.setdefault(_print_of(array), (name, False))
        if array.ndim == 2:
            known.setdefault(_print_of(array.T), (name, True))
    found: dict[str, tuple[str, bool]] = {}
    for tensor in model.graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT:
            continue
        array = numpy_helper.to_array(tensor)
        if array.size < LARGE:
            continue
        place = known.get(_print_of(array))
        if place is None:
            raise ValueError(f"{tensor.name} {array.shape} is not among the published weights")
        found[tensor.name] = place
        tensor.ClearField("raw_data")
        tensor.ClearField("float_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        del tensor.external_data[:]
        values = {"location": "w.bin", "offset": "0", "length": str(array.nbytes)}
        for key, value in values.items():
            tensor.external_data.add(key=key, value=value)
    return model.SerializeToString(), found


def _print_of(array: np.ndarray) -> tuple[tuple[int, ...], bytes]:
    data = np.ascontiguousarray(array, np.float32).tobytes()
    return array.shape, hashlib.sha256(data).digest()


def main() -> None:
    """Write the graph and the map."""
    parser = argparse.ArgumentParser(description="Make the graph without weights.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    weights = read_safetensors(arguments.folder / "model.safetensors")
    graph, found = take_weights_out(export(arguments.folder), dict(weights))
    (arguments.out / "minilm_graph.onnx").write_bytes(graph)
    lines = json.dumps(found, indent=0, sort_keys=True)
    (arguments.out / "minilm_weights_map.json").write_text(lines + "\n", encoding="utf-8")
    sys.stdout.write(f"{len(graph)} bytes of graph, {len(found)} tensors taken out\n")


if __name__ == "__main__":
    main()
