"""Compositions and networks for the tests of the cathodes' encoder, without any file."""

from __future__ import annotations

import torch

from surrogates.composition_batches import CompositionBatch, CompositionTable, Conditions
from surrogates.encoders.drxnet import DRXNet, DRXNetSettings

ELEMENTS = ("Li", "Mn", "Ti", "Cr", "Nb", "Mg", "V")
TABLE = CompositionTable.of(ELEMENTS)
CONDITIONS = Conditions.of([20, 1000, 50], [1, 30, 10], [1.5, 2.0, 1.5], [4.8, 4.4, 4.6])


def network(settings: DRXNetSettings, seed: int) -> DRXNet:
    """Return an untrained network, float64."""
    torch.manual_seed(seed)
    return DRXNet(settings).double()


def compositions(count: int, cations: int, seed: int) -> CompositionBatch:
    """Return random compositions of exactly `cations` cations, float64; weights sum to 1."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.rand(count, len(ELEMENTS), generator=generator).argsort(dim=-1)
    weights = 0.1 + torch.rand(count, cations, generator=generator, dtype=torch.float64)
    fluorine = 0.5 * torch.rand(count, generator=generator, dtype=torch.float64)
    return CompositionBatch(order[:, :cations], weights / weights.sum(-1, keepdim=True), fluorine)
