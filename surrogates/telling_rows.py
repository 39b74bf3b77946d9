"""Which candidates to measure, so that a model is aligned with a laboratory by as few rows as can be."""

from __future__ import annotations

import torch
from torch import Tensor

from surrogates.laboratories import REPEATABILITY, Compared, Laboratories, covariance, scatter


def telling_rows(rows: Compared, laboratories: Laboratories, count: int, weight: Tensor) -> Tensor:
    """Return rows whose measurement leaves the least to be known of the correction, the first one first.

    Greedy: each takes the most from the sum of the posterior variances of the correction over all rows, in
    the family that has most to learn. The variance of a Gaussian does not depend on what is measured, and a
    new row is a rank-one update of the covariance. Time and memory grow with the square of `n`.

    Args:
        rows: `n`, not measured.
        laboratories: What is expected.
        count: How many to choose, at most `n`.
        weight: `n`, above 0, how much the variance of a row counts.

    Returns:
        `count` indices, int64, in the order of the choice.
    """
    numbers = laboratories.priors["residual"].numbers()
    left = covariance(numbers, rows, rows)
    noise = scatter(numbers, rows.std) + REPEATABILITY**2
    free = torch.ones(len(rows), dtype=torch.bool)
    chosen = []
    for _ in range(count):
        gain = weight.double() @ left.square() / (left.diagonal() + noise)
        row = int(gain.where(free, -1.0).argmax())
        chosen.append(row)
        free[row] = False
        left -= torch.outer(left[row], left[row]) / (left[row, row] + noise[row])
    return torch.tensor(chosen, dtype=torch.int64)
