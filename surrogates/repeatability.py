"""How far measurements of one mixture in one laboratory lie apart: by replicates, and what is expected."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from surrogates.laboratories import REPEATABILITY

_LOG10 = ("log10_conductivity_S_cm", "log10_conductivity_mS_cm")
_EXPECTED_FREEDOM = 4.0
"""Degrees of freedom that what is expected counts for beside those of the replicates."""


@dataclass(frozen=True)
class Repeatability:
    """Standard deviation of measurements of one mixture.

    Attributes:
        std: In the unit of the values.
        freedom: Degrees of freedom of the replicates behind it; 0 if it is only what was expected.
    """

    std: float
    freedom: int


def is_log10_conductivity(target: str) -> bool:
    """Return whether a target is the logarithm of a conductivity, of which it is known how labs repeat."""
    return target in _LOG10


def repeatability(values: Tensor, group: Tensor, expected: float = REPEATABILITY) -> Repeatability:
    """Return how measurements repeat, as the replicates say, drawn towards what is expected.

    The variance is the mean of both, each weighted with its degrees of freedom.

    Args:
        values: `n`, what was measured.
        group: `n`, int64, which mixture each is of, from 0.
        expected: Standard deviation before any replicates; by default of the log10 of a conductivity.
    """
    squares, freedom = within_groups(values, group)
    variance = (_EXPECTED_FREEDOM * expected**2 + squares) / (_EXPECTED_FREEDOM + freedom)
    return Repeatability(math.sqrt(variance), freedom)


def within_groups(values: Tensor, group: Tensor) -> tuple[float, int]:
    """Return the sum of squares of values around the mean of their group, and its degrees of freedom.

    Args:
        values: `n`.
        group: `n`, int64, from 0.
    """
    if not len(group):
        return 0.0, 0
    counts = torch.bincount(group)
    means = torch.zeros(len(counts), dtype=values.dtype).index_add_(0, group, values) / counts.clamp_min(1)
    return float((values - means[group]).square().sum()), len(group) - int((counts > 0).sum())
