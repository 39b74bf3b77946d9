"""Pareto ranks over chunks against chains of dominators in the whole."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from botorch.utils.multi_objective.pareto import is_non_dominated
from hypothesis import given
from hypothesis import strategies as st

from activelearn import pareto
from activelearn.pareto import by_pareto_rank, merge_skybands, skyband

NAMES = ("a", "b", "c")
ROW = np.dtype([("candidate", "i8"), *((f"{name}_mean", "f4") for name in NAMES)])

values = st.lists(st.tuples(*[st.integers(0, 4)] * len(NAMES)), min_size=1, max_size=40)


def rows(values: list[tuple[int, ...]]) -> np.ndarray:
    filled = np.zeros(len(values), ROW)
    filled["candidate"] = np.arange(len(values))
    for name, column in zip(NAMES, zip(*values, strict=True), strict=True):
        filled[f"{name}_mean"] = column
    return filled


def dominates(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return one != other and all(a >= b for a, b in zip(one, other, strict=True))


def slow_ranks(values: list[tuple[int, ...]]) -> list[int]:
    """The longest chain of dominators that ends at each."""
    rank = [0] * len(values)
    for i in sorted(range(len(values)), key=lambda i: -sum(values[i])):  # dominators have larger sums
        rank[i] = 1 + max((rank[j] for j, v in enumerate(values) if dominates(v, values[i])), default=0)
    return rank


def slow_best(values: list[tuple[int, ...]], k: int) -> list[tuple[int, int]]:
    rank = slow_ranks(values)
    order = sorted(range(len(values)), key=lambda i: (rank[i], -values[i][0], i))
    return [(i, rank[i]) for i in order[:k]]


def listed(band: np.ndarray, k: int) -> list[tuple[int, int]]:
    best, rank = by_pareto_rank(band, NAMES, k)
    return list(zip(best["candidate"].tolist(), rank.tolist(), strict=True))


@given(values, st.integers(1, 45))
def test_the_list_is_that_of_all_chains(values: list[tuple[int, ...]], k: int) -> None:
    assert listed(skyband(rows(values), NAMES, k), k) == slow_best(values, k)


@given(values)
def test_the_first_rank_is_the_front_of_botorch(values: list[tuple[int, ...]]) -> None:
    front = is_non_dominated(torch.tensor(values, dtype=torch.float64), deduplicate=False)
    ranks = dict(listed(skyband(rows(values), NAMES, len(values)), len(values)))
    assert [ranks[i] == 1 for i in range(len(values))] == front.tolist()


@given(values, st.integers(1, 9), st.integers(1, 12), st.randoms())
def test_chunks_in_any_order_give_the_list_of_the_whole(
    values: list[tuple[int, ...]], size: int, k: int, order: random.Random
) -> None:
    every = rows(values)
    bands = [skyband(every[start : start + size], NAMES, k) for start in range(0, len(every), size)]
    order.shuffle(bands)
    merged = bands[0]
    for band in bands[1:]:
        merged = merge_skybands(merged, band, k, NAMES)
    whole = skyband(every, NAMES, k)
    assert sorted(merged.tolist()) == whole.tolist()
    assert listed(merged, k) == slow_best(values, k)


@given(values, st.integers(1, 45))
def test_who_is_dropped_has_as_many_dominators_as_are_asked_for(
    values: list[tuple[int, ...]], k: int
) -> None:
    band = skyband(rows(values), NAMES, k)
    counts = [sum(dominates(other, one) for other in values) for one in values]
    expected = [(i, count) for i, count in enumerate(counts) if count < k]
    assert list(zip(band["candidate"].tolist(), band["dominators"].tolist(), strict=True)) == expected


def test_counting_in_parts_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    some = rows([tuple(row) for row in generator.integers(0, 9, (50, 3)).tolist()])
    whole = skyband(some, NAMES, 20)
    monkeypatch.setattr(pareto, "_PAIRS_AT_ONCE", 130)
    assert skyband(some, NAMES, 20).tolist() == whole.tolist()
    monkeypatch.setattr(pareto, "_ROWS_AT_ONCE", 7)
    assert skyband(some, NAMES, 20).tolist() == whole.tolist()
