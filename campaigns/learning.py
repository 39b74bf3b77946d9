"""What strategies learn from a campaign's measurements: a process or networks over what a model says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from campaigns.arenas import Arena
from surrogates.gaussian_process import GaussianProcess
from surrogates.gp_fitting import fit_process
from surrogates.prior_gp import EXPECTED_NOISE, FEWEST_FITTED, expected_process, offset_of, spread_of
from surrogates.prior_networks import PriorNetworks, fit_networks


@dataclass(frozen=True)
class Distances:
    """How far measurements are from what was believed before, as a learner has it.

    Attributes:
        x: `m x d`, what was measured.
        y: `m`, its distance from the shifted prior in `spread` of the prior's standard deviations.
        shift: Added to the prior's mean: what measurements share of their distance from it.
        doubt: Standard deviation beside the prior's own, see `surrogates.prior_gp`.
        spread: Root mean square of that distance, drawn towards 1.
        least_noise: What the variance of a measurement is known not to be below, as `y` has it.
    """

    x: Tensor
    y: Tensor
    shift: float
    doubt: float
    spread: float
    least_noise: float

    @staticmethod
    def of(arena: Arena, places: Tensor, values: Tensor) -> Distances:
        """Return those of measurements.

        Args:
            arena: The candidates.
            places: `m`, which were measured.
            values: `m`, what came out.
        """
        doubt = float(arena.prior_std.median()) if arena.has_prior and len(values) else 0.0
        difference, std = values - arena.prior_mean[places], arena.unsure(doubt)[places]
        if arena.has_prior:
            shift = offset_of(difference, std)
            spread = spread_of((difference - shift) / std)
        else:
            shift = float(values.mean()) if len(values) else 0.0
            spread = max(float((values - shift).square().mean().sqrt()), 1e-6) if len(values) else 1.0
        least = arena.repeatability**2 / float((spread * std).square().median()) if len(values) else 0.0
        y = (difference - shift) / (std * spread)
        return Distances(arena.inputs[places], y, shift, doubt, spread, least)


@dataclass(frozen=True)
class Learnt:
    """A process over what the prior says, with what it says of all candidates.

    Attributes:
        process: Of the distance from the prior in `spread` of its standard deviations.
        spread: See `Distances`.
        shift: Likewise.
        doubt: Likewise.
    """

    process: GaussianProcess
    spread: float
    shift: float
    doubt: float

    @staticmethod
    def of(arena: Arena, places: Tensor, values: Tensor, seed: int, last: Learnt | None = None) -> Learnt:
        """Fit a process to measurements; with an earlier one, lengthscales and noise are taken from it.

        Args:
            arena: The candidates.
            places: `m`, which were measured.
            values: `m`, what came out.
            seed: Of draws.
            last: An earlier one.
        """
        measured = Distances.of(arena, places, values)
        x, y, least = measured.x, measured.y, measured.least_noise
        if last is not None:
            of = last.process
            process = GaussianProcess.exact(x, y, of.lengthscale, of.constant, of.noise)
        elif len(values) >= FEWEST_FITTED:
            process = fit_process(x, y, seed, "exact", least)
        else:
            process = expected_process(x, y, least)
        return Learnt(process, measured.spread, measured.shift, measured.doubt)

    def scale(self, arena: Arena) -> Tensor:
        """Return what the process is multiplied with, `n`, in the target's unit."""
        return self.spread * arena.unsure(self.doubt)

    def mean_and_std(self, arena: Arena) -> tuple[Tensor, Tensor]:
        """Return what is believed of all candidates, `n` each, in the target's unit, without noise."""
        parts = [self.process.mean_and_variance(part) for part in arena.inputs.split(8192)]
        mean, variance = (torch.cat(part) for part in zip(*parts, strict=True))
        scale = self.scale(arena)
        return self.shift + arena.prior_mean + scale * mean, scale * variance.sqrt()

    def joint(self, arena: Arena, places: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and covariance of some candidates, without noise."""
        mean, covariance = self.process.mean_and_covariance(arena.inputs[places])
        scale = self.scale(arena)[places]
        return self.shift + arena.prior_mean[places] + scale * mean, scale[:, None] * scale * covariance


@dataclass(frozen=True)
class LearntNetworks:
    """Networks with random priors over what the prior says.

    Attributes:
        networks: Of the distance from the prior in `spread` of its standard deviations.
        spread: See `Distances`.
        shift: Likewise.
        doubt: Likewise.
    """

    networks: PriorNetworks
    spread: float
    shift: float
    doubt: float

    @staticmethod
    def of(
        arena: Arena, places: Tensor, values: Tensor, seed: int, last: LearntNetworks | None = None
    ) -> LearntNetworks:
        """Train networks on measurements; with earlier ones, these are kept: they can only be trained anew.

        Args:
            arena: The candidates.
            places: `m`, which were measured.
            values: `m`, what came out.
            seed: Of draws.
            last: Earlier ones.
        """
        if last is not None:
            return last
        measured = Distances.of(arena, places, values)
        noise = max(EXPECTED_NOISE, measured.least_noise)
        networks = fit_networks(arena.inputs, places, measured.y, noise, seed)
        return LearntNetworks(networks, measured.spread, measured.shift, measured.doubt)

    def members(self, arena: Arena) -> Tensor:
        """Return what each member says of all candidates, `K x n`, in the target's unit, without noise."""
        said = self.networks.members(arena.inputs)
        return self.shift + arena.prior_mean + self.spread * arena.unsure(self.doubt) * said


Learner = Callable[[Arena, Tensor, Tensor, int, Any], Learnt | LearntNetworks]
"""Takes candidates, places and values of what was measured, a seed, and what it returned before or None."""
