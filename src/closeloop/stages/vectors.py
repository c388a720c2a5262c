"""The vectors of silver.embedding as a matrix, and a matrix as their column."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from closeloop.ports import Vectors
from closeloop.tables import VECTOR


def vector_column(vectors: Vectors) -> pa.Array:
    """Return rows of a matrix as a list column, without a Python loop."""
    flat = pa.array(np.ascontiguousarray(vectors, np.float32).ravel())
    bounds = np.arange(len(vectors) + 1, dtype=np.int32) * vectors.shape[1]
    return pa.ListArray.from_arrays(pa.array(bounds), flat).cast(VECTOR)


def matrix(column: pa.ChunkedArray) -> Vectors:
    """Return a list column of equally long vectors as float32 [rows, dimensions]."""
    parts = [np.asarray(chunk.flatten()) for chunk in column.chunks if len(chunk)]
    if not parts:
        return np.zeros((0, 1), np.float32)
    flat = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return np.asarray(flat, np.float32).reshape(len(column), -1)
