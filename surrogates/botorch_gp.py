"""The face that a Gaussian process on an embedding shows to BoTorch: a `Model` that can be conditioned."""

from __future__ import annotations

from typing import Any, Protocol, Self

import torch
from botorch.posteriors.gpytorch import GPyTorchPosterior
from botorch.posteriors.posterior import Posterior
from botorch.sampling.base import MCSampler
from gpytorch.distributions import MultivariateNormal
from torch import Tensor

from surrogates.batches import MixtureBatch
from surrogates.botorch_model import MixtureSurrogate
from surrogates.gaussian_process import LEAST_VARIANCE, GaussianProcess


class ProcessPredictor(Protocol):
    """A process over mixtures, bound to their molecules: the target is a location plus a scale times it."""

    @property
    def process(self) -> GaussianProcess:
        """What is Gaussian."""

    def double(self) -> Self:
        """Return the same predictor in float64."""

    def with_process(self, process: GaussianProcess) -> Self:
        """Return the same predictor with another process."""

    def inputs_of(self, batch: MixtureBatch) -> Tensor:
        """Return the inputs of the process, `n x d`."""

    def location(self, batch: MixtureBatch) -> tuple[Tensor, Tensor]:
        """Return location and scale, `n` each, in the target's unit."""


class GPSurrogate(MixtureSurrogate):
    """A process as a BoTorch model: its joint posterior; all is float64.

    Args:
        predictor: A process bound to the molecule table that the rows point into.
        salts: Slots for salts in a row, `s`.
    """

    takes_noise = True

    def __init__(self, predictor: ProcessPredictor, salts: int = 1) -> None:
        super().__init__(salts)
        self.predictor = predictor.double()

    @property
    def batch_shape(self) -> torch.Size:
        """Empty, but for what `condition_on_observations` was given in batches."""
        return self.predictor.process.weights.shape[:-1]

    def _posterior(self, X: Tensor, observation_noise: bool | Tensor) -> Posterior:
        process, (location, scale) = self.predictor.process, self._location(X)
        mean, covariance = process.mean_and_covariance(self._inputs(X))
        noise = torch.full_like(mean, LEAST_VARIANCE)  # rounding may leave a variance below 0
        if isinstance(observation_noise, Tensor):
            noise = (observation_noise.squeeze(-1) / scale**2).expand_as(mean)
        elif observation_noise:
            noise = process.noise.expand_as(mean)
        covariance = scale.unsqueeze(-1) * scale.unsqueeze(-2) * (covariance + noise.diag_embed())
        return GPyTorchPosterior(MultivariateNormal(location + scale * mean, covariance))

    def condition_on_observations(
        self, X: Tensor, Y: Tensor, noise: Tensor | None = None, **kwargs: Any
    ) -> GPSurrogate:
        """Return the model after more measurements; nothing is fitted again.

        Args:
            X: `b x q x (2 k + 2 s + 1)`.
            Y: `b' x b x q x 1`, in the target's unit.
            noise: Its variance, in the unit squared, broadcast to `b x q x 1`; by default the model's.
            kwargs: BoTorch's other keywords, which have no meaning here.
        """
        location, scale = self._location(X)
        process = self.predictor.process.condition(
            self._inputs(X),
            (Y.squeeze(-1) - location) / scale,
            None if noise is None else noise.squeeze(-1) / scale**2,
        )
        return GPSurrogate(self.predictor.with_process(process), self.salts)

    def fantasize(self, X: Tensor, sampler: MCSampler) -> GPSurrogate:
        """Return the model after measurements that are drawn from its own posterior.

        Args:
            X: `b x q x (2 k + 2 s + 1)`.
            sampler: Draws `f` values at each; they are the first batch dimension of what is returned.
        """
        return self.condition_on_observations(X, sampler(self.posterior(X, observation_noise=True)))

    def _location(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """Return location and scale, each `... q`."""
        location, scale = self.predictor.location(self._mixtures(X))
        return location.reshape(X.shape[:-1]), scale.reshape(X.shape[:-1])

    def _inputs(self, X: Tensor) -> Tensor:
        """Return `... q x d` from `... q x (2 k + 2 s + 1)`."""
        flat = self.predictor.inputs_of(self._mixtures(X))
        return flat.reshape(*X.shape[:-1], -1)
