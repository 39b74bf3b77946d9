"""The grid of variance factors: densities against SciPy, rows left out against the density of the others."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import invgamma, multivariate_normal
from torch import Tensor

from surrogates.variance_factors import FACTORS, Spectrum, log_prior

NOISE = 0.05


def _problem(n: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return a covariance, of rank `n - 1`, and differences."""
    rng = np.random.default_rng(seed)
    root = torch.tensor(rng.normal(size=(n, max(n - 1, 1)))) / 5
    return root @ root.T, torch.tensor(rng.normal(size=n)) / 5


def _densities(scaled: Tensor, difference: Tensor) -> list[float]:
    n = len(difference)
    return [
        float(
            multivariate_normal(np.zeros(n), g * scaled.numpy() + NOISE**2 * np.eye(n)).logpdf(
                difference.numpy()
            )
        )
        for g in FACTORS.tolist()
    ]


@given(st.integers(1, 8), st.integers(0, 1000))
def test_the_density_under_each_factor_is_what_scipy_says(n: int, seed: int) -> None:
    scaled, difference = _problem(n, seed)
    found = Spectrum.of(scaled, difference, NOISE).log_densities()
    np.testing.assert_allclose(found, _densities(scaled, difference), rtol=1e-7, atol=1e-7)


@given(st.integers(2, 7), st.integers(0, 1000))
def test_a_row_left_out_is_what_the_density_of_the_others_lacks(n: int, seed: int) -> None:
    scaled, difference = _problem(n, seed)
    found = Spectrum.of(scaled, difference, NOISE).left_out()
    for row in range(n):
        others = torch.arange(n) != row
        lacks = np.subtract(
            _densities(scaled, difference), _densities(scaled[others][:, others], difference[others])
        )
        np.testing.assert_allclose(found[:, row], lacks, rtol=1e-6, atol=1e-6)


def test_inverse_and_weights_are_those_of_each_covariance() -> None:
    scaled, difference = _problem(6)
    spectrum = Spectrum.of(scaled, difference, NOISE)
    share = torch.softmax(torch.arange(len(FACTORS)).double() / 9, 0)
    inverses = torch.stack([torch.linalg.inv(g * scaled + NOISE**2 * torch.eye(6)) for g in FACTORS])
    torch.testing.assert_close(spectrum.inverse(share), torch.einsum("g,gij->ij", share, inverses))
    torch.testing.assert_close(spectrum.weights, inverses @ difference)


def test_the_slope_is_that_of_autograd_under_each_factor() -> None:
    scaled, difference = _problem(5)
    share = torch.softmax(-torch.arange(len(FACTORS)).double() / 5, 0)
    free = scaled.clone().requires_grad_()
    whole = FACTORS[:, None, None] * free + NOISE**2 * torch.eye(5)
    normal = torch.distributions.MultivariateNormal(torch.zeros(5).double(), whole)
    (share @ normal.log_prob(difference)).backward()
    torch.testing.assert_close(Spectrum.of(scaled, difference, NOISE).slope(share), free.grad)


@pytest.mark.parametrize("shape", [0.1, 0.32, 3.0])
def test_the_prior_is_inverse_gamma_on_the_grid(shape: float) -> None:
    rate = torch.tensor(shape, dtype=torch.float64)
    found = log_prior(rate + 1, rate).exp()
    density = invgamma(shape + 1, scale=shape).pdf(FACTORS.numpy()) * FACTORS.numpy()
    np.testing.assert_allclose(found, density / density.sum(), rtol=1e-9)
    assert (float(FACTORS[0]), float(FACTORS[-1])) == pytest.approx((0.01, 100))
