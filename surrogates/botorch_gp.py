"""The face that a Gaussian process on an embedding shows to BoTorch: a `Model` that can be conditioned."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from botorch.posteriors.gpytorch import GPyTorchPosterior
from botorch.posteriors.posterior import Posterior
from botorch.sampling.base import MCSampler
from gpytorch.distributions import MultivariateNormal
from torch import Tensor

from surrogates.botorch_model import MixtureSurrogate
from surrogates.gaussian_process import LEAST_VARIANCE
from surrogates.gp_predictor import GPPredictor


class GPSurrogate(MixtureSurrogate):
    """A process as a BoTorch model: its joint posterior; all is float64.

    Args:
        predictor: A process bound to the molecule table that the rows point into.
        salts: Slots for salts in a row, `s`.
    """

    takes_noise = True

    def __init__(self, predictor: GPPredictor, salts: int = 1) -> None:
        super().__init__(salts)
        self.predictor = predictor.double()

    @property
    def batch_shape(self) -> torch.Size:
        """Empty, but for what `condition_on_observations` was given in batches."""
        return self.predictor.process.weights.shape[:-1]

    def _posterior(self, X: Tensor, observation_noise: bool | Tensor) -> Posterior:
        encoder, process = self.predictor.encoder, self.predictor.process
        mean, covariance = process.mean_and_covariance(self._inputs(X))
        noise = torch.full_like(mean, LEAST_VARIANCE)  # rounding may leave a variance below 0
        if isinstance(observation_noise, Tensor):
            noise = (observation_noise.squeeze(-1) / encoder.scale**2).expand_as(mean)
        elif observation_noise:
            noise = process.noise.expand_as(mean)
        covariance = encoder.scale**2 * (covariance + noise.diag_embed())
        return GPyTorchPosterior(MultivariateNormal(encoder.shift + encoder.scale * mean, covariance))

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
        scale = self.predictor.encoder.scale
        process = self.predictor.process.condition(
            self._inputs(X),
            self.predictor.standardised(Y.squeeze(-1)),
            None if noise is None else noise.squeeze(-1) / scale**2,
        )
        return GPSurrogate(replace(self.predictor, process=process), self.salts)

    def fantasize(self, X: Tensor, sampler: MCSampler) -> GPSurrogate:
        """Return the model after measurements that are drawn from its own posterior.

        Args:
            X: `b x q x (2 k + 2 s + 1)`.
            sampler: Draws `f` values at each; they are the first batch dimension of what is returned.
        """
        return self.condition_on_observations(X, sampler(self.posterior(X, observation_noise=True)))

    def _inputs(self, X: Tensor) -> Tensor:
        """Return `... q x d` from `... q x (2 k + 2 s + 1)`."""
        flat = self.predictor.inputs_of(self._mixtures(X))
        return flat.reshape(*X.shape[:-1], -1)
