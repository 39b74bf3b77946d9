"""Which rows train, which validate and which test: 8 : 1 : 1, of single rows or of whole groups."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

FEWEST_GROUPS = 3


@dataclass(frozen=True)
class ThreeWaySplit:
    """Every row of a data set, in one of three parts.

    Attributes:
        name: What no row of one part shares with a row of another.
        train: Indices of the rows, int64.
        validate: Likewise, for early stopping and calibration.
        test: Likewise.
        seed: With which this split can be drawn again.
    """

    name: str
    train: Tensor
    validate: Tensor
    test: Tensor
    seed: int


def three_way_splits(name: str, groups: Tensor, repeats: int, seed: int = 0) -> list[ThreeWaySplit]:
    """Return splits of whole groups, 8 : 1 : 1; a part has one group at least.

    Args:
        name: What a group is.
        groups: `n`, int64; rows of one group stay together. `torch.arange(n)` splits single rows.
        repeats: Number of splits.
        seed: Of the first split; the next has `seed + 1`.

    Raises:
        ValueError: If there are fewer than three groups.
    """
    distinct = groups.unique()
    if len(distinct) < FEWEST_GROUPS:
        raise ValueError(f"{len(distinct)} groups cannot be split in three parts")
    size = max(1, round(len(distinct) / 10))
    splits = []
    for state in range(seed, seed + repeats):
        order = distinct[torch.from_numpy(np.random.default_rng(state).permutation(len(distinct)))]
        parts = (order[2 * size :], order[size : 2 * size], order[:size])
        train, validate, test = (torch.isin(groups, part).nonzero()[:, 0] for part in parts)
        splits.append(ThreeWaySplit(name, train, validate, test, state))
    return splits
