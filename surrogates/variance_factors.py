"""Gaussian differences whose covariance is known but for one factor, which is summed over a grid.

With `g` the unknown factor, differences have the covariance `g scaled + noise**2`: the noise of a measurement
does not grow with the factor. The factor is inverse gamma distributed beforehand. No closed form holds the
integral over it, a sum over a fixed grid does; one eigendecomposition serves all of its points.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

FACTORS = torch.logspace(-2, 2, 17, dtype=torch.float64)
"""Variance factors that are summed over, `g`, evenly spaced in their logarithm."""


def log_prior(shape: Tensor, rate: Tensor) -> Tensor:
    """Return the log probability of each of `FACTORS`, inverse gamma, `g`; gradients pass."""
    return torch.log_softmax(-shape * FACTORS.log() - rate / FACTORS, 0)


@dataclass(frozen=True)
class Spectrum:
    """Differences of `n` rows, in the eigenvectors of the part of their covariance that is scaled.

    Attributes:
        values: `n`, eigenvalues.
        vectors: `n x n`, eigenvectors, in columns.
        turned: `n`, the differences in them.
        noise: Standard deviation of a measurement, which is not scaled.
    """

    values: Tensor
    vectors: Tensor
    turned: Tensor
    noise: float

    @staticmethod
    def of(scaled: Tensor, difference: Tensor, noise: float) -> Spectrum:
        """Return it of a covariance, `n x n`, and `n` differences. No gradients pass."""
        values, vectors = torch.linalg.eigh(scaled.detach())
        return Spectrum(values.clamp_min(0), vectors, vectors.T @ difference, noise)

    @cached_property
    def variances(self) -> Tensor:
        """Eigenvalues of the covariance under each factor, `g x n`."""
        return FACTORS[:, None] * self.values + self.noise**2

    @cached_property
    def weights(self) -> Tensor:
        """The inverse covariance times the differences under each factor, `g x n`."""
        return (self.turned / self.variances) @ self.vectors.T

    def log_densities(self) -> Tensor:
        """Return the log density of the differences under each factor, `g`, in nats."""
        each = self.turned**2 / self.variances + self.variances.log() + math.log(2 * math.pi)
        return -each.sum(1) / 2

    def left_out(self) -> Tensor:
        """Return the log density of each difference given the others under each factor, `g x n`, in nats.

        Source: Rasmussen and Williams (2006), section 5.4.2.
        """
        spread = 1 / ((1 / self.variances) @ self.vectors.T**2)
        return -(self.weights**2 * spread + spread.log() + math.log(2 * math.pi)) / 2

    def inverse(self, share: Tensor) -> Tensor:
        """Return the sum of the inverse covariances, each times its share, `n x n`."""
        return (self.vectors * (share @ (1 / self.variances))) @ self.vectors.T

    def slope(self, probability: Tensor) -> Tensor:
        """Return the derivative of the log density of the differences by `scaled`, `n x n`.

        Closed form: eigenvectors of equal eigenvalues, which repeated rows bring, have no derivative.

        Args:
            probability: Of each factor, `g`, given the differences.
        """
        share = probability * FACTORS
        outer = self.weights.T @ (share[:, None] * self.weights)
        return (outer - self.inverse(share)) / 2
