"""What is expected of laboratories: covariance against a loop, evidence against SciPy, and its maximum."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from gpytorch.kernels import MaternKernel
from scipy.integrate import quad
from scipy.stats import invgamma, multivariate_normal

from surrogates.laboratories import (
    FAMILIES,
    REPEATABILITY,
    Family,
    Prior,
    covariance,
    default_laboratories,
    estimate_laboratories,
    evidence,
    leave_one_out,
    scaled,
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
def test_the_evidence_is_the_integral_over_variance_factors(family: Family) -> None:
    numbers = default_laboratories().priors[family].numbers()
    some = measured(rows(6), torch.linspace(-0.1, 0.2, 6))
    of, shape = scaled(numbers, some).numpy(), float(numbers[8])

    def density(log: float) -> float:
        whole = math.exp(log) * of + REPEATABILITY**2 * np.eye(6)
        prior = float(invgamma(shape + 1, scale=shape).pdf(math.exp(log))) * math.exp(log)
        return prior * float(multivariate_normal(np.zeros(6), whole).pdf(some.difference.numpy()))

    expected, _ = quad(density, math.log(1e-4), math.log(1e4), limit=200)
    assert float(evidence(numbers, some)) == pytest.approx(math.log(expected), abs=0.02)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_evidence_has_the_slope_of_differences(family: Family) -> None:
    """Rows that repeat a mixture make equal eigenvalues, whose vectors have no derivative."""
    numbers = default_laboratories().priors[family].numbers()
    numbers[8] = 0.5
    some = measured(rows(5), torch.linspace(-0.1, 0.2, 5))[torch.tensor([0, 0, 0, 1, 2, 3, 4, 4])]
    free = numbers.clone().requires_grad_()
    evidence(free, some).backward()
    assert free.grad is not None
    for place in numbers.nonzero()[:, 0].tolist():
        step = 1e-5 * float(numbers[place])
        up, down = numbers.clone(), numbers.clone()
        up[place] += step
        down[place] -= step
        expected = float(evidence(up, some) - evidence(down, some)) / (2 * step)
        assert float(free.grad[place]) == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_the_scatter_grows_with_the_model_and_measuring_is_apart() -> None:
    numbers, some = PRIOR.numbers(), rows(4)
    torch.testing.assert_close(scatter(numbers, torch.tensor([0.0, 0.1])), torch.tensor([0.0, 0.06]) ** 2)
    whole = covariance(numbers, some, some) + scatter(numbers, some.std).diag()
    torch.testing.assert_close(scaled(numbers, some), whole)
    assert pytest.approx(1.03) == 10**REPEATABILITY


def test_odds_are_the_share_of_papers_that_each_family_foretells_best() -> None:
    laboratories = [with_offset(15, offset, seed) for seed, offset in enumerate((0.3, -0.25, 0.2, -0.3, 0.0))]
    found = estimate_laboratories(laboratories)
    best = [
        max(FAMILIES, key=lambda family: float(leave_one_out(found.priors[family].numbers(), one).sum()))
        for one in laboratories
    ]
    assert len(set(best)) > 1
    assert found.odds == {family: pytest.approx((best.count(family) + 0.5) / 7) for family in FAMILIES}
    assert sum(default_laboratories().odds.values()) == pytest.approx(1)


def test_the_numbers_that_made_laboratories_are_found_again() -> None:
    rng = np.random.default_rng(0)
    laboratories = []
    for seed in range(40):
        of, root = rows(15, seed), 1 / math.sqrt(rng.gamma(2.0, 1.0))
        scattered = 0.5 * of.std.numpy() * rng.normal(size=15)
        difference = root * (0.1 * rng.normal() + scattered) + REPEATABILITY * rng.normal(size=15)
        laboratories.append(measured(of, torch.tensor(difference)))
    found = estimate_laboratories(laboratories)
    factor, last = found.priors["factor"], found.priors["residual"]
    assert factor.offset == pytest.approx(0.1, rel=0.3)
    assert factor.scatter == pytest.approx(0.5, rel=0.3)
    assert factor.slope == factor.residual == 0
    assert last.residual < 0.05
    assert found.priors["none"].offset == 0
    assert found.priors["none"].scatter > 1.5 * factor.scatter
    assert found.odds["factor"] == max(found.odds.values())
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
