"""Louvain finds planted communities, the same ones each time."""

import numpy as np
import pytest
from scipy import sparse

from closeloop.stats.louvain import louvain


def _planted(groups: int, size: int, *, bridges: int, seed: int = 3) -> sparse.csr_matrix:
    draw = np.random.default_rng(seed)
    count = groups * size
    table = np.zeros((count, count))
    for start in range(0, count, size):
        table[start : start + size, start : start + size] = 1.0
    for one, other in draw.integers(0, count, (bridges, 2)):
        table[one, other] = table[other, one] = 1.0
    np.fill_diagonal(table, 0.0)
    return sparse.csr_matrix(table)


def test_planted_communities_are_found() -> None:
    found = louvain(_planted(6, 8, bridges=12), resolution=1.0, seed=1)
    assert len(set(found.tolist())) == 6
    for start in range(0, 48, 8):
        assert len(set(found[start : start + 8].tolist())) == 1


def test_the_largest_community_has_number_zero() -> None:
    table = sparse.block_diag([np.ones((3, 3)) - np.eye(3), np.ones((5, 5)) - np.eye(5)])
    found = louvain(sparse.csr_matrix(table), resolution=1.0, seed=1)
    assert found.tolist() == [1, 1, 1, 0, 0, 0, 0, 0]


def test_higher_resolution_gives_no_fewer_communities() -> None:
    graph = _planted(4, 10, bridges=60)
    few = len(set(louvain(graph, resolution=0.3, seed=1).tolist()))
    many = len(set(louvain(graph, resolution=4.0, seed=1).tolist()))
    assert few < many


@pytest.mark.parametrize("seed", [1, 7])
def test_a_seed_gives_the_same_communities(seed: int) -> None:
    graph = _planted(5, 9, bridges=40)
    first = louvain(graph, resolution=1.0, seed=seed)
    assert np.array_equal(first, louvain(graph, resolution=1.0, seed=seed))


def test_a_graph_without_edges_or_nodes_is_no_fault() -> None:
    assert louvain(sparse.csr_matrix((0, 0)), resolution=1.0, seed=1).tolist() == []
    assert sorted(louvain(sparse.csr_matrix((3, 3)), resolution=1.0, seed=1).tolist()) == [0, 1, 2]
