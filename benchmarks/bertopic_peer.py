"""Clusters vectors with BERTopic in a process of its own, for `themes.py` to compare with.

    python benchmarks/bertopic_peer.py VECTORS.npz RESULT.npz

Needs `pip install --no-deps -r benchmarks/requirements-bertopic.txt`; torch is not needed, as the
vectors are given. VECTORS.npz holds `vectors` [rows, dimensions], `texts` and `first`, the number
of rows that the streaming part is trained on.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np


def peak_mb() -> float:
    """Return this process's peak memory; on Linux getrusage gives a child its parent's peak."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def main() -> None:
    """Write topics, seconds and peak memory of fit on all (cold, warm), and of fit and transform."""
    started = time.perf_counter()
    from bertopic import BERTopic  # type: ignore[import-not-found]
    from umap import UMAP  # type: ignore[import-not-found]

    loaded = time.perf_counter() - started

    def model() -> BERTopic:
        # BERTopic's own defaults, with a seed so that the run can be repeated.
        umap = UMAP(
            n_neighbors=15, n_components=5, min_dist=0.0, metric="cosine", random_state=SEED
        )
        return BERTopic(embedding_model=None, umap_model=umap, calculate_probabilities=False)

    with np.load(sys.argv[1]) as held:
        vectors, texts, first = held["vectors"], held["texts"].tolist(), int(held["first"])
    started = time.perf_counter()
    every, _ = model().fit_transform(texts, vectors)
    cold = loaded + time.perf_counter() - started
    started = time.perf_counter()
    model().fit_transform(texts, vectors)
    warm = time.perf_counter() - started
    peak = peak_mb()
    started = time.perf_counter()
    trained = model()
    trained.fit(texts[:first], vectors[:first])
    fitted = time.perf_counter() - started
    started = time.perf_counter()
    later, _ = trained.transform(texts[first:], vectors[first:])
    transformed = time.perf_counter() - started
    np.savez(
        sys.argv[2],
        every=np.asarray(every),
        later=np.asarray(later),
        first_themes=len(trained.get_topic_info()) - 1,
        seconds=np.array([cold, warm, fitted, transformed]),
        peak_mb=peak,
    )


SEED = 7

if __name__ == "__main__":
    main()
