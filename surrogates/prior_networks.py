"""An ensemble of small networks with random priors: what a deep ensemble says where few rows were measured.

Each member is a fixed random function, and a network that learns what is missing from it at the measured
rows. Where nothing was measured the random functions differ, and so do the members, however few the rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import silu

MEMBERS = 16
"""A Monte Carlo acquisition draws whole members: five would be coarse."""
_WIDTH = 32
_STEPS, _LEARNING_RATE = 100, 4e-2
"""On 3,000 mixtures of the job compare-basins with 10, 40 and 160 measured at random (four draws) NLL -1.53,
-2.29 and -3.12; a Gaussian process -1.64, -2.41, -3.14; 200 steps of 2e-2 -1.31, -2.26, -3.11."""
_DECAY = 1e-4
_ROWS = 8192


Layers = tuple[Tensor, ...]
"""Weight, `K x from x to`, and bias, `K x 1 x to`, of each layer in turn."""


@dataclass(frozen=True)
class PriorNetworks:
    """`K` fitted members of a standardised target over known candidates of `d` inputs, float32 inside.

    Attributes:
        priors: `K x n`, the random functions of the candidates, of mean 0 and standard deviation 1 each.
        learners: What was learnt beside them.
    """

    priors: Tensor
    learners: Layers

    def members(self, candidates: Tensor) -> Tensor:
        """Return each member's word, `K x n`, float64, without noise.

        Args:
            candidates: `n x d`, as they were fitted with.
        """
        return (self.priors + _over(self.learners, candidates)).double()


def fit_networks(candidates: Tensor, places: Tensor, y: Tensor, noise: float, seed: int) -> PriorNetworks:
    """Return the members that a few measured candidates leave.

    Args:
        candidates: `n x d`.
        places: `m`, int64, which were measured; `m` from 0.
        y: `m`, what came out, standardised.
        noise: Variance of a measurement: each member learns from values with noise of its own.
        seed: Of all draws.

    Source: Osband et al., NeurIPS 2018 (randomised prior functions).
    """
    generator = torch.Generator().manual_seed(seed)
    prior, learners = (_drawn(candidates.shape[1], generator) for _ in range(2))
    noisy = (y + noise**0.5 * torch.randn(MEMBERS, len(y), generator=generator, dtype=torch.float64)).float()
    said = _over(prior, candidates)
    said = (said - said.mean(1, keepdim=True)) / said.std(1, keepdim=True).clamp_min(1e-6)
    return PriorNetworks(said, _trained(learners, candidates[places].float(), noisy - said[:, places]))


def _trained(layers: Layers, x: Tensor, y: Tensor) -> Layers:
    """Return the networks after full-batch steps towards `y`, `K x m`; without rows they say 0.

    Args:
        layers: Of the networks; the last is 0 to begin with.
        x: `m x d`.
        y: `K x m`.
    """
    learning = tuple(layer.clone() for layer in layers)
    for layer in learning[-2:]:
        layer.zero_()
    if not len(x):
        return learning
    for layer in learning:
        layer.requires_grad_()
    optimiser = torch.optim.Adam(learning, lr=_LEARNING_RATE, weight_decay=_DECAY)
    for _ in range(_STEPS):
        loss = (_of_each(learning, x) - y).square().mean(1).sum()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
    return tuple(layer.detach() for layer in learning)


def _drawn(inputs: int, generator: torch.Generator) -> Layers:
    """Return the layers of networks as torch draws those of `nn.Linear`: uniform, within 1 over a root."""
    sizes = (inputs, _WIDTH, _WIDTH, 1)
    return tuple(
        (2 * torch.rand(MEMBERS, rows, after, generator=generator) - 1) / before**0.5
        for before, after in pairwise(sizes)
        for rows in (before, 1)
    )


def _over(layers: Layers, candidates: Tensor) -> Tensor:
    """Return what each network says of many candidates, `K x n`."""
    with torch.no_grad():
        return torch.cat([_of_each(layers, part) for part in candidates.float().split(_ROWS)], dim=1)


def _of_each(layers: Layers, x: Tensor) -> Tensor:
    """Return what each network says of `m x d`, `K x m`."""
    hidden = x.expand(MEMBERS, -1, -1)
    for place in range(0, len(layers), 2):
        if place:
            hidden = silu(hidden)
        hidden = torch.baddbmm(layers[place + 1], hidden, layers[place])
    return hidden[..., 0]
