"""The process against that of BoTorch, dense formulas, and itself with rows added and taken away."""

from __future__ import annotations

import pytest
import torch
from botorch import settings
from botorch.models import SingleTaskGP
from botorch.models.utils.gpytorch_modules import get_covar_module_with_dim_scaled_prior
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from surrogates.gaussian_process import GaussianProcess, matern

LENGTHSCALE = torch.tensor([0.7, 1.5, 3.0], dtype=torch.float64)
CONSTANT = torch.tensor(0.3, dtype=torch.float64)
NOISE = torch.tensor(0.04, dtype=torch.float64)
HYPER = (LENGTHSCALE, CONSTANT, NOISE)


def _rows(n: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 3, generator=generator, dtype=torch.float64)
    return x, x.sin().sum(1) + 0.2 * torch.randn(n, generator=generator, dtype=torch.float64)


X, Y = _rows(25, 0)
ASKED, _ = _rows(9, 1)


def _close(one: GaussianProcess, other: GaussianProcess, atol: float) -> None:
    for got, expected in zip(one.mean_and_covariance(ASKED), other.mean_and_covariance(ASKED), strict=True):
        torch.testing.assert_close(got, expected, rtol=0, atol=atol)


def test_an_exact_process_is_botorchs() -> None:
    kernel = get_covar_module_with_dim_scaled_prior(3, use_rbf_kernel=False)
    with settings.validate_input_scaling(False):
        model = SingleTaskGP(X, Y[:, None], covar_module=kernel, outcome_transform=None)
    model.covar_module.lengthscale = LENGTHSCALE
    model.mean_module.constant.data.copy_(CONSTANT)
    model.likelihood.noise = NOISE
    with torch.no_grad():
        posterior = model.posterior(ASKED)
    process = GaussianProcess.exact(X, Y, *HYPER)
    mean, covariance = process.mean_and_covariance(ASKED)
    torch.testing.assert_close(mean, posterior.mean[:, 0], rtol=0, atol=1e-9)
    torch.testing.assert_close(covariance, posterior.distribution.covariance_matrix, rtol=0, atol=1e-9)
    torch.testing.assert_close(process.mean_and_variance(ASKED)[1], covariance.diagonal(), rtol=0, atol=1e-12)


def test_one_measurement_worked_by_hand() -> None:
    """f(a) and f(b) are jointly Gaussian; of f(a) a noisy value is seen: a linear-Gaussian case."""
    a, b = X[:1], X[1:2]
    correlation = float(matern(a, b, LENGTHSCALE))
    nothing = GaussianProcess.exact(X[:0], Y[:0], *HYPER)
    process = nothing.condition(a, torch.tensor([1.5], dtype=torch.float64))
    gain = correlation / (1 + 0.04)
    mean, variance = process.mean_and_variance(b)
    assert float(mean) == pytest.approx(0.3 + gain * (1.5 - 0.3))
    assert float(variance) == pytest.approx(1 - gain * correlation)


@given(st.integers(1, 6), st.integers(0, 99))
def test_rows_added_are_rows_fitted(q: int, seed: int) -> None:
    x, y = _rows(q, 100 + seed)
    start = GaussianProcess.exact(X, Y, *HYPER)
    at_once = start.condition(x, y)
    _close(at_once, GaussianProcess.exact(torch.cat([X, x]), torch.cat([Y, y]), *HYPER), 1e-8)
    one_by_one = start
    for row in range(q):
        one_by_one = one_by_one.condition(x[row : row + 1], y[row : row + 1])
    _close(one_by_one, at_once, 1e-8)


@pytest.mark.parametrize("variational", [False, True])
@given(q=st.integers(1, 6), seed=st.integers(0, 99))
def test_rows_added_and_removed_leave_the_old_posterior(variational: bool, q: int, seed: int) -> None:
    x, y = _rows(q, 100 + seed)
    start = (
        GaussianProcess.variational(X, Y, X[:8], *HYPER)
        if variational
        else GaussianProcess.exact(X, Y, *HYPER)
    )
    after = start.condition(x, y)
    assert float((after.mean_and_variance(ASKED)[0] - start.mean_and_variance(ASKED)[0]).abs().max()) > 1e-6
    last = torch.arange(len(start), len(start) + q)
    _close(after.without(last), start, 1e-6)


def test_any_row_of_an_exact_process_can_be_removed() -> None:
    stays = torch.ones(25, dtype=torch.bool)
    stays[[3, 17]] = False
    without = GaussianProcess.exact(X, Y, *HYPER).without(torch.tensor([17, 3]))
    _close(without, GaussianProcess.exact(X[stays], Y[stays], *HYPER), 1e-9)


@pytest.mark.parametrize("rows", [[7], [11], [-1], [8, 11]])
def test_an_inducing_point_cannot_be_removed(rows: list[int]) -> None:
    process = GaussianProcess.variational(X, Y, X[:8], *HYPER).condition(*_rows(3, 5))
    with pytest.raises(ValueError) as refused:
        process.without(torch.tensor(rows))
    assert str(refused.value) == f"rows 8 to 10 can be removed, not {rows}"


def test_a_variational_process_with_all_rows_is_exact() -> None:
    _close(GaussianProcess.variational(X, Y, X, *HYPER), GaussianProcess.exact(X, Y, *HYPER), 1e-4)


def test_a_variational_process_is_the_dense_formula() -> None:
    z = X[:8] + 0.1
    process = GaussianProcess.variational(X, Y, z, *HYPER)

    def k(one: Tensor, other: Tensor) -> Tensor:
        return matern(one, other, LENGTHSCALE)

    prior = k(z, z) + 1e-6 * torch.eye(8, dtype=torch.float64)
    inner = torch.linalg.inv(prior + k(z, X) @ k(X, z) / NOISE)
    mean = CONSTANT + k(ASKED, z) @ inner @ k(z, X) @ (Y - CONSTANT) / NOISE
    covariance = k(ASKED, ASKED) - k(ASKED, z) @ (torch.linalg.inv(prior) - inner) @ k(z, ASKED)
    got = process.mean_and_covariance(ASKED)
    torch.testing.assert_close(got[0], mean, rtol=0, atol=1e-7)
    torch.testing.assert_close(got[1], covariance, rtol=0, atol=1e-7)


def test_a_new_row_updates_a_variational_process_by_bayes_rule() -> None:
    start = GaussianProcess.variational(X, Y, X[:8], *HYPER)
    x, y = _rows(2, 7)
    noise = torch.tensor([0.01, 0.5], dtype=torch.float64)
    mean, covariance = start.mean_and_covariance(torch.cat([ASKED, x]))
    across = covariance[:9, 9:] @ torch.linalg.inv(covariance[9:, 9:] + noise.diag())
    got = start.condition(x, y, noise).mean_and_covariance(ASKED)
    torch.testing.assert_close(got[0], mean[:9] + across @ (y - mean[9:]), rtol=0, atol=1e-9)
    torch.testing.assert_close(got[1], covariance[:9, :9] - across @ covariance[9:, :9], rtol=0, atol=1e-9)


def test_batches_are_their_members_one_by_one() -> None:
    start = GaussianProcess.exact(X, Y, *HYPER)
    x = torch.stack([_rows(2, 20)[0], _rows(2, 21)[0]])  # b x q x d
    y = torch.stack([torch.stack([_rows(2, s + t)[1] for s in (30, 40)]) for t in (0, 1, 2)])  # f x b x q
    mean, covariance = start.condition(x, y).mean_and_covariance(ASKED)
    assert mean.shape == (3, 2, 9)
    for f in range(3):
        for b in range(2):
            one = start.condition(x[b], y[f, b]).mean_and_covariance(ASKED)
            torch.testing.assert_close(mean[f, b], one[0])
            torch.testing.assert_close(covariance[b], one[1])


def test_a_gradient_where_points_meet_is_a_number() -> None:
    x = X.clone().requires_grad_()
    process = GaussianProcess.exact(X, Y, *HYPER)
    mean, variance = process.mean_and_variance(x)
    (gradient,) = torch.autograd.grad((mean + variance).sum(), x)
    step = 1e-6 * torch.eye(3, dtype=torch.float64)
    for column in range(3):
        ahead, behind = (sum(process.mean_and_variance(X + sign * step[column])) for sign in (1, -1))
        torch.testing.assert_close(gradient[:, column], (ahead - behind) / 2e-6, rtol=1e-4, atol=1e-5)


def test_each_row_may_have_its_noise() -> None:
    noise = torch.rand(25, generator=torch.Generator().manual_seed(5), dtype=torch.float64) + 0.01
    near = matern(ASKED, X, LENGTHSCALE)
    inverse = torch.linalg.inv(matern(X, X, LENGTHSCALE) + noise.diag())
    exact = GaussianProcess.exact(X, Y, LENGTHSCALE, CONSTANT, noise)
    mean, covariance = exact.mean_and_covariance(ASKED)
    torch.testing.assert_close(mean, CONSTANT + near @ inverse @ (Y - CONSTANT))
    torch.testing.assert_close(covariance, matern(ASKED, ASKED, LENGTHSCALE) - near @ inverse @ near.T)
    _close(GaussianProcess.variational(X, Y, X, LENGTHSCALE, CONSTANT, noise), exact, 1e-4)
