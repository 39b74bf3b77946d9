"""From a pooled mixture to a transport property: MixNet says coefficients, a law makes the property of them.

No graphs here: the workers of a screen need not wait for what computes them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from surrogates.encoders.molsets_stacked import bounded_variance
from surrogates.laws import arrhenius, arrhenius_coefficients, vft, vft_coefficients
from surrogates.species import SpeciesBatch

LawName = Literal["vft", "arrhenius", "log", "none"]
_LOWEST_SHARE = 0.9
"""Of the lowest training temperature: the VFT law's `c3` stays below this share of it."""
_COLDEST_SHARE = 0.95
"""Likewise: what is colder is told as at this temperature, for the law has no meaning at `c3` and below."""
_LEAST = 1e-30
"""Of a property in units of its spread; float32 rounds the softplus of what is far below 0 to 0."""
_START = (0.0, 3.0, 0.5, -2.0)
"""What MixNet says at the start: the mean; 300 K; 0.6 of the lowest temperature; little noise."""


def perceptron(widths: Sequence[int]) -> nn.Sequential:
    """Return linear layers of these widths, inputs first, with ReLU between them."""
    layers: list[nn.Module] = []
    for a, b in pairwise(widths):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def pool(batch: SpeciesBatch, species: Tensor, pairs: Tensor) -> Tensor:
    """Return `[sum_i x_i s_i, sum_ij x_i x_j p_ij]` and, last, the temperature, `n x (2 p + 1)`.

    Args:
        batch: `n` mixtures of `u` species.
        species: `u x p`, what each species is.
        pairs: The number of `batch.pairs` `x p`, what two species do to each other.
    """
    a, b = batch.pairs
    twice = torch.where(a == b, 1.0, 2.0).to(batch.x)  # the sum over i and j meets a pair in both orders
    together = twice * batch.x.index_select(-1, a) * batch.x.index_select(-1, b)
    return torch.cat([batch.x @ species, together @ pairs, batch.temperature_K[:, None]], dim=-1)


class MixtureLaw(nn.Module):
    """MixNet and the law of log10 of a transport property.

    - `vft`: MixNet says the property at the mean training temperature, and two coefficients above 0. What is
      colder than 95 % of the lowest training temperature [K] is told as at that.
    - `arrhenius`: likewise, with an activation energy above 0, at any temperature.
    - `log`: the temperature enters MixNet, which says the logarithm.
    - `none`: the temperature enters MixNet, which says the property itself, kept above 0 by a softplus.

    Args:
        law: Which.
        inputs: Width of what is pooled, without the temperature.
        hidden: Widths of MixNet's hidden layers.
        variances: That it says; a student's second (`surrogates.student`) is no affair of `forward`.
    """

    def __init__(self, law: LawName, inputs: int, hidden: Sequence[int], variances: int = 1) -> None:
        super().__init__()
        self.law = law
        self.mix_net = perceptron([inputs + (law in ("log", "none")), *hidden, len(_START) - 1 + variances])
        last = self.mix_net[-1]
        assert isinstance(last, nn.Linear)
        with torch.no_grad():
            last.weight *= 0.3
            start = torch.tensor([*_START[:-1], *_START[-1:] * variances])
            start[1:3] *= law == "vft"
            last.bias.copy_(start)
        self.register_buffer("target", torch.tensor([0.0, 1.0]))
        self.register_buffer("temperature", torch.tensor([298.15, 30.0, 200.0]))
        self.register_buffer("property", torch.tensor(1.0))
        self.target: Tensor
        self.temperature: Tensor
        self.property: Tensor

    def standardise(self, temperature_K: Tensor, target: Tensor) -> None:
        """Set the scales from the training rows.

        Args:
            temperature_K: `n`, K.
            target: `n`, log10 of the property.
        """
        self.target = torch.tensor([float(target.mean()), float(target.std())])
        spread = max(float(temperature_K.std()), 1.0)
        lowest = _LOWEST_SHARE * float(temperature_K.min())
        self.temperature = torch.tensor([float(temperature_K.mean()), spread, lowest])
        self.property = (10**target).std().float()

    def forward(self, mixed: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and variance of the standardised log10, each `n`, from what `pool` returns."""
        mean, log_variance = self.outputs(mixed)[:2]
        return mean, bounded_variance(log_variance)

    def outputs(self, mixed: Tensor) -> Tensor:
        """Return mean and unbounded log variances of the standardised log10, `h x n`.

        Args:
            mixed: `n x (inputs + 1)`; the last column is the temperature, K.
        """
        pooled, t = mixed[..., :-1], mixed[..., -1]
        shift, scale = self.target.unbind()
        middle, spread, lowest = self.temperature.unbind()
        if self.law in ("log", "none"):
            pooled = torch.cat([pooled, ((t - middle) / spread).unsqueeze(-1)], dim=-1)
        said = self.mix_net(pooled)
        at_middle = shift + scale * said[..., 0]
        match self.law:
            case "vft":
                _, c2, c3 = vft_coefficients(said[..., :3], lowest)
                warm = torch.maximum(t, lowest * (_COLDEST_SHARE / _LOWEST_SHARE))
                log10 = vft(at_middle - vft(torch.zeros_like(c2), c2, c3, middle), c2, c3, warm)
            case "arrhenius":
                energy = arrhenius_coefficients(said[..., :2])[1]
                nothing = torch.zeros_like(energy)
                rise = arrhenius(nothing, energy, t) - arrhenius(nothing, energy, middle)
                log10 = at_middle + rise / math.log(10)
            case "log":
                log10 = at_middle
            case "none":
                log10 = (self.property * softplus(said[..., 0]).clamp_min(_LEAST)).log10()
        return torch.cat([((log10 - shift) / scale).unsqueeze(-1), said[..., 3:]], dim=-1).movedim(-1, 0)
