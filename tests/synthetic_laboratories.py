"""Laboratories whose distance from a model is known."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from surrogates.laboratories import Compared


def rows(n: int, seed: int = 0, std: float = 0.05, width: int = 2) -> Compared:
    """Return `n` rows of mixtures that nobody has measured: their differences are 0."""
    rng = np.random.default_rng(seed)
    mixtures = rng.normal(size=(n, 2 * width)) / 2
    conditions = np.column_stack([rng.uniform(0.2, 2, n), 1000 / rng.uniform(250, 330, n)])
    return Compared(
        z=torch.tensor(rng.normal(size=n)),
        std=torch.tensor(std * rng.uniform(0.5, 2, n)),
        points=torch.tensor(np.column_stack([mixtures, conditions])),
        difference=torch.zeros(n, dtype=torch.float64),
    )


def measured(of: Compared, difference: Tensor) -> Compared:
    """Return the same rows with other differences."""
    return Compared(of.z, of.std, of.points, difference.double())


def with_offset(n: int, offset: float, seed: int = 0, noise: float = 0.01) -> Compared:
    """Return rows of a laboratory that reads a constant factor of the model."""
    of = rows(n, seed)
    scattered = noise * np.random.default_rng(seed + 1).normal(size=n)
    return measured(of, offset + torch.tensor(scattered))
