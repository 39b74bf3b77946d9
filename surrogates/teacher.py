"""Mixtures that nobody measured, near those that somebody did, for a forest to label.

On some thousand rows a forest of extra trees interpolates better than a network and extrapolates worse.
So a forest, fitted on the training rows alone, labels new mixtures between them, and the members learn from
these beside the measurements: distillation, after Hinton et al. (2015) and Gong et al. (BAMBOO, 2025).
"""

from __future__ import annotations

import torch
from torch import Tensor

from surrogates.batches import MixtureBatch

_MOLALITY_SPREAD = 0.5
"""Standard deviation of the change in the natural logarithm of a molality."""


def nearby_mixtures(batch: MixtureBatch, number: int, seed: int) -> MixtureBatch:
    """Return new mixtures, each a row of `batch` with something changed.

    Of all, 40 % have their molality changed, 30 % another row's salt, 30 % another row's molality and
    temperature; half have their solvents' fractions drawn anew.

    Args:
        batch: `n` mixtures to start from.
        number: How many are returned.
        seed: Of the draw.
    """
    generator = torch.Generator().manual_seed(seed)

    def draw() -> Tensor:
        return torch.rand(number, generator=generator, dtype=torch.float64)

    one, other = (torch.randint(len(batch), (number,), generator=generator) for _ in range(2))
    change, redraw = draw(), draw()
    moved = batch.molality[one] * torch.exp(
        _MOLALITY_SPREAD * torch.randn(number, generator=generator, dtype=torch.float64)
    )
    molality = torch.where(change < 0.4, moved, batch.molality[one])
    salt = torch.where((change >= 0.4) & (change < 0.7), batch.salt[other], batch.salt[one])
    swaps = change >= 0.7
    molality = torch.where(swaps, batch.molality[other], molality)
    temperature = torch.where(swaps, batch.temperature_K[other], batch.temperature_K[one])
    fractions = batch.fractions()[one]
    uniform = torch.rand(fractions.shape, generator=generator, dtype=torch.float64).clamp_min(1e-12)
    drawn = -uniform.log() * (fractions > 0)  # exponentials over their sum are uniform on the simplex
    drawn = drawn / drawn.sum(-1, keepdim=True)
    weights = torch.where(redraw[:, None] < 0.5, drawn, fractions)
    return MixtureBatch(batch.solvents[one], weights, salt, molality, temperature)
