"""Communities of a weighted graph by Louvain's method, deterministic for a seed."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

Ints = npt.NDArray[np.int64]

MIN_GAIN = 1e-12


def louvain(graph: Any, *, resolution: float, seed: int) -> Ints:
    """Return a community number for each node, 0, 1, … by size (largest first).

    `graph` is a symmetric scipy sparse matrix of non-negative weights without a diagonal. Higher
    resolution gives more, smaller communities. (Blondel et al. 2008, with the queue of Traag et
    al. 2019 in place of full sweeps: only nodes whose neighbours moved are looked at again.)
    """
    level = sparse.csr_matrix(graph, dtype=np.float64)
    member = np.arange(level.shape[0])
    draw = np.random.default_rng(seed)
    while level.shape[0]:
        moved, community = _move_nodes(level, resolution, draw.permutation(level.shape[0]))
        member = community[member]
        if not moved:
            break
        count = int(community.max()) + 1
        into = sparse.csr_matrix(
            (np.ones(len(community)), (np.arange(len(community)), community)),
            shape=(len(community), count),
        )
        level = sparse.csr_matrix(into.T @ level @ into)
    return _by_size(member)


def _move_nodes(level: Any, resolution: float, order: Ints) -> tuple[bool, Ints]:
    """Move single nodes to the neighbouring community that gains most, until none gains."""
    starts = level.indptr.tolist()
    ends: list[int] = level.indices.tolist()
    weights: list[float] = level.data.tolist()
    degree: list[float] = np.asarray(level.sum(axis=1)).ravel().tolist()
    scale = resolution / max(sum(degree), MIN_GAIN)
    community = list(range(level.shape[0]))
    total = list(degree)
    waiting = deque(order.tolist())
    queued = [True] * len(community)
    moved = False
    while waiting:
        node = waiting.popleft()
        queued[node] = False
        own = community[node]
        links: dict[int, float] = {own: 0.0}
        span = range(starts[node], starts[node + 1])
        for edge in span:
            if ends[edge] != node:
                near = community[ends[edge]]
                links[near] = links.get(near, 0.0) + weights[edge]
        weight = degree[node]
        total[own] -= weight
        best, best_gain = own, links[own] - scale * weight * total[own] + MIN_GAIN
        for near, link in links.items():
            gain = link - scale * weight * total[near]
            if gain > best_gain:
                best, best_gain = near, gain
        total[best] += weight
        if best == own:
            continue
        moved = True
        community[node] = best
        for edge in span:
            other = ends[edge]
            if not queued[other] and community[other] != best:
                queued[other] = True
                waiting.append(other)
    return moved, np.unique(community, return_inverse=True)[1].astype(np.int64)


def _by_size(member: Ints) -> Ints:
    _, first, group, sizes = np.unique(
        member, return_index=True, return_inverse=True, return_counts=True
    )
    order = np.lexsort((first, -sizes))
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return place[group] if len(order) else member
