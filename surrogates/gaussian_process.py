"""A Gaussian process that has been fitted, as tensors: mean, covariance, and what one more row changes.

Exact and variational posteriors have one form: with `c` centres `z` (the training rows, or the inducing
points), the mean at `x` is `m + k(x, z) a` and the covariance `k(x, x') - k(x, z) B k(z, x')`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

LEAST_VARIANCE = 1e-10
"""Of the latent function, of a prior variance of 1: rounding errors stay below it."""
_JITTER = 1e-6
"""Added to the prior variance of inducing points, of which two may lie close together."""


@dataclass(frozen=True)
class GaussianProcess:
    """Posterior of a standardised target over `d` inputs: Matern-5/2, prior variance 1. All in float64.

    Leading dimensions of `centres`, `weights` and `reduction` are those of a batch; they broadcast.

    Attributes:
        centres: `... c x d`.
        weights: `... c`, `a` above.
        reduction: `... c x c`, `B` above, symmetric.
        lengthscale: `d`.
        constant: Prior mean, a number.
        noise: Variance of a measurement, a number; or one of each row that was given, of which `condition`
            and a saved model then know nothing.
        inducing: How many of the centres, the first, are no rows and cannot be removed.
    """

    centres: Tensor
    weights: Tensor
    reduction: Tensor
    lengthscale: Tensor
    constant: Tensor
    noise: Tensor
    inducing: int = 0

    def __len__(self) -> int:
        return int(self.centres.shape[-2])

    @staticmethod
    def exact(x: Tensor, y: Tensor, lengthscale: Tensor, constant: Tensor, noise: Tensor) -> GaussianProcess:
        """Return the posterior of `n` rows, whose cost grows with the cube of their number.

        Args:
            x: `n x d`.
            y: `n`, standardised.
            lengthscale: `d`.
            constant: Prior mean.
            noise: Variance of a measurement, above 0; a number, or one a row.

        Source: Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), chapter 2.
        """
        inverse = _inverse_covariance(x, lengthscale, noise)
        return GaussianProcess(x, inverse @ (y - constant), inverse, lengthscale, constant, noise)

    @staticmethod
    def exact_of(
        centres: Tensor, weights: Tensor, lengthscale: Tensor, constant: Tensor, noise: Tensor
    ) -> GaussianProcess:
        """Return an exact posterior from all but its reduction, which the centres give."""
        inverse = _inverse_covariance(centres, lengthscale, noise)
        return GaussianProcess(centres, weights, inverse, lengthscale, constant, noise)

    @staticmethod
    def variational(
        x: Tensor, y: Tensor, centres: Tensor, lengthscale: Tensor, constant: Tensor, noise: Tensor
    ) -> GaussianProcess:
        """Return the best posterior of `n` rows that `c` inducing points can tell, at the cost of `n c^2`.

        Under Gaussian noise the variational distribution of least divergence is known in closed form.

        Args:
            x: `n x d`.
            y: `n`, standardised.
            centres: `c x d`, the inducing points.
            lengthscale: `d`.
            constant: Prior mean.
            noise: Variance of a measurement, above 0; a number, or one a row.

        Source: Titsias, AISTATS 2009.
        """
        prior = matern(centres, centres, lengthscale)
        prior = prior + _JITTER * torch.eye(len(centres), dtype=x.dtype)
        # In the basis that whitens the prior nothing is worse conditioned than the ratio of rows to noise.
        root = torch.linalg.cholesky(prior)
        seen = torch.linalg.solve_triangular(root, matern(centres, x, lengthscale), upper=False)
        inner = torch.linalg.cholesky(seen / noise @ seen.T + torch.eye(len(centres), dtype=x.dtype))
        inverse = torch.linalg.inv(root)
        half = torch.linalg.solve_triangular(inner, inverse, upper=False)
        return GaussianProcess(
            centres=centres,
            weights=half.T @ (half @ (matern(centres, x, lengthscale) @ ((y - constant) / noise))),
            reduction=inverse.T @ inverse - half.T @ half,
            lengthscale=lengthscale,
            constant=constant,
            noise=noise,
            inducing=len(centres),
        )

    def mean_and_variance(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and variance of the latent function, each `... n`, at `... n x d`."""
        near = matern(x, self.centres, self.lengthscale)
        variance = 1 - ((near @ self.reduction) * near).sum(-1)
        return self._mean(near), variance.clamp_min(LEAST_VARIANCE)

    def mean_and_covariance(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean, `... n`, and covariance of the latent function, `... n x n`, at `... n x d`."""
        near = matern(x, self.centres, self.lengthscale)
        return self._mean(near), matern(x, x, self.lengthscale) - near @ self.reduction @ near.mT

    def _mean(self, near: Tensor) -> Tensor:
        mean: Tensor = self.constant + (near @ self.weights.unsqueeze(-1)).squeeze(-1)
        return mean

    def condition(self, x: Tensor, y: Tensor, noise: Tensor | None = None) -> GaussianProcess:
        """Return the posterior after more measurements; lengthscales and noise stay.

        What it says is what Bayes' rule makes of this posterior, exactly: of an exact process the same as
        fitted to all rows, of a variational one with the new rows beside its inducing points.

        Args:
            x: `... q x d`.
            y: `... q`, standardised; may have more leading dimensions than `x`.
            noise: Variance of these measurements, broadcast to `... q`; by default the process's.
        """
        mean, covariance = self.mean_and_covariance(x)
        noise = self.noise if noise is None else noise
        covariance = covariance + noise.expand(covariance.shape[:-1]).diag_embed()
        gain = torch.cholesky_inverse(torch.linalg.cholesky(covariance))
        own = torch.eye(x.shape[-2], dtype=x.dtype).expand(covariance.shape)
        reach = torch.cat([-self.reduction @ matern(self.centres, x, self.lengthscale), own], dim=-2)
        learnt = (reach @ gain @ (y - mean).unsqueeze(-1)).squeeze(-1)
        batch = reach.shape[:-2]
        return replace(
            self,
            centres=torch.cat([self.centres.expand(*batch, *self.centres.shape[-2:]), x], dim=-2),
            weights=_padded(self.weights, x.shape[-2], 1) + learnt,
            reduction=_padded(self.reduction, x.shape[-2], 2) + reach @ gain @ reach.mT,
        )

    def without(self, rows: Tensor) -> GaussianProcess:
        """Return the posterior as if some rows had never been measured; `condition` backwards.

        Args:
            rows: Positions among the centres, int64, all different.

        Raises:
            ValueError: If one is an inducing point, or there is no such row.
        """
        if len(rows) and not (self.inducing <= int(rows.min()) and int(rows.max()) < len(self)):
            raise ValueError(f"rows {self.inducing} to {len(self) - 1} can be removed, not {rows.tolist()}")
        stays = torch.ones(len(self), dtype=torch.bool)
        stays[rows] = False
        across = self.reduction[..., stays, :][..., rows]
        gain = torch.linalg.solve(self.reduction[..., rows, :][..., rows], across, left=False)
        return replace(
            self,
            centres=self.centres[..., stays, :],
            weights=self.weights[..., stays] - (gain @ self.weights[..., rows].unsqueeze(-1)).squeeze(-1),
            reduction=self.reduction[..., stays, :][..., stays] - gain @ across.mT,
        )


def matern(x: Tensor, z: Tensor, lengthscale: Tensor) -> Tensor:
    """Return the Matern-5/2 covariance of `... n x d` with `... c x d`, `... n x c`, variance 1.

    Source: Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), equation 4.17.
    """
    r = 5**0.5 * torch.cdist(x / lengthscale, z / lengthscale)
    covariance: Tensor = (1 + r + r.square() / 3) * torch.exp(-r)
    return covariance


def _inverse_covariance(x: Tensor, lengthscale: Tensor, noise: Tensor) -> Tensor:
    """Return the inverse of the covariance of measurements at `n x d`, `n x n`."""
    covariance = matern(x, x, lengthscale) + noise * torch.eye(len(x), dtype=x.dtype)
    inverse: Tensor = torch.cholesky_inverse(torch.linalg.cholesky(covariance))
    return inverse


def _padded(tensor: Tensor, by: int, dimensions: int) -> Tensor:
    """Return a tensor with zeros behind its last dimensions."""
    return torch.nn.functional.pad(tensor, (0, by) * dimensions)
