"""What is expected of laboratories: covariance against a loop, evidence against SciPy, and its maximum."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from gpytorch.kernels import MaternKernel
from scipy.stats import multivariate_t

from surrogates.laboratories import (
    FAMILIES,
    REPEATABILITY,
    Prior,
    covariance,
    default_laboratories,
    estimate_laboratories,
    evidence,
    scatter,
    variance,
)
from tests.synthetic_laboratories import measured, rows, with_offset

PRIOR = Prior(0.1, 0.2, 0.3, 0.5, 0.7, 0.4, 0.9, 0.6, 1.5)


def test_the_covariance_is_that_of_a_loop_over_pairs() -> None:
    one, other = rows(4), rows(3, seed=1)
    found = covariance(PRIOR.numbers(), one, other)
    kernel = MaternKernel(nu=2.5).double()
    kernel.lengthscale = 1.0
    reach = torch.tensor([0.5, 0.5, 0.7, 0.7, 0.4, 0.9], dtype=torch.float64)
    for i in range(4):
        for j in range(3):
            near = float(kernel(one.points[[i]] / reach, other.points[[j]] / reach).to_dense().detach())
            std = math.sqrt(float(one.std[i] * other.std[j]))
            expected = 0.1**2 + 0.2**2 * float(one.z[i] * other.z[j]) + 0.3**2 * std / 0.1 * near
            assert float(found[i, j]) == pytest.approx(expected, rel=1e-9)


def test_the_variance_is_the_diagonal_of_the_covariance() -> None:
    some = rows(5)
    whole = covariance(PRIOR.numbers(), some, some)
    torch.testing.assert_close(variance(PRIOR.numbers(), some), whole.diagonal())
    assert float(torch.linalg.eigvalsh(whole).min()) > 0


@pytest.mark.parametrize("family", FAMILIES)
def test_the_evidence_is_the_density_of_a_student_t(family: str) -> None:
    numbers = default_laboratories().priors[family].numbers()
    some = measured(rows(6), torch.linspace(-0.1, 0.2, 6))
    whole = covariance(numbers, some, some) + scatter(numbers, some.std).diag()
    rate = float(numbers[8])
    shape = whole.numpy() * rate / (rate + 1)
    expected = multivariate_t(np.zeros(6), shape, df=2 * (rate + 1)).logpdf(some.difference.numpy())
    assert float(evidence(numbers, some)) == pytest.approx(expected, rel=1e-9)


def test_a_measurement_never_repeats_better_than_three_percent() -> None:
    numbers = PRIOR.numbers()
    said = scatter(numbers, torch.tensor([0.0, 0.1], dtype=torch.float64))
    torch.testing.assert_close(said, torch.tensor([0.0, 0.06]).double() ** 2 + REPEATABILITY**2)
    assert pytest.approx(1.03) == 10**REPEATABILITY


def test_the_spread_of_offsets_is_found_again() -> None:
    rng = np.random.default_rng(0)
    offsets = 0.1 * rng.normal(size=40)
    found = estimate_laboratories([with_offset(15, offset, seed) for seed, offset in enumerate(offsets)])
    factor = found.priors["factor"]
    assert factor.offset == pytest.approx(offsets.std(), rel=0.35)
    assert factor.slope == factor.residual == 0
    assert found.priors["none"].offset == 0
    assert found.priors["none"].scatter > 2 * factor.scatter
    assert found.papers == 40
    assert found.source == "40 papers that the model had not seen"


def test_the_estimate_is_more_probable_than_its_neighbours() -> None:
    laboratories = [with_offset(12, offset, seed) for seed, offset in enumerate((0.1, -0.05, 0.02, -0.12))]
    prior = estimate_laboratories(laboratories).priors["factor"]

    def unlikely(numbers: torch.Tensor) -> float:
        expected = torch.tensor([0.08, 0.5, 1.0]).double()
        strange = ((numbers[[0, 7, 8]].log() - expected.log()) / 1.5).square().sum() / 2
        return float(strange - sum(evidence(numbers, each) for each in laboratories))

    best = unlikely(prior.numbers())
    for place in (0, 7):
        for factor in (0.7, 1.4):
            other = prior.numbers()
            other[place] *= factor
            assert unlikely(other) > best


def test_of_a_large_laboratory_sixty_rows_are_asked() -> None:
    small = [with_offset(12, offset, seed) for seed, offset in enumerate((0.1, -0.1, 0.05))]
    large = with_offset(500, 0.1, 9)
    drawn = large[torch.randperm(500, generator=torch.Generator().manual_seed(0))[:60]]
    found, expected = (estimate_laboratories([*small, last]).priors["factor"] for last in (large, drawn))
    torch.testing.assert_close(found.numbers(), expected.numbers(), rtol=1e-3, atol=0)
