"""Fits of a process: what it learns, from which rows, in which form, and how wide its interval is."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from surrogates import gp_fitting
from surrogates.calibration import conformal_factor
from surrogates.gaussian_process import GaussianProcess
from surrogates.gp_fitting import fit_gp, fit_inputs, fit_process, interval, posterior_of, repeat_variance
from surrogates.gp_predictor import columns_of
from surrogates.judged_ensemble import Unseen
from surrogates.prediction import Prediction
from tests.synthetic_gps import judged_ensemble, small_gp
from tests.synthetic_mixtures import synthetic_data


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gp_fitting, "_STEPS", 15)


def _wave(n: int = 120) -> tuple[Tensor, Tensor]:
    """One input that matters and one that does not, noise 0.1."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, 2, generator=generator, dtype=torch.float64)
    y = (2 * x[:, 0]).sin() + 0.1 * torch.randn(n, generator=generator, dtype=torch.float64)
    return x, (y - y.mean()) / y.std()


def test_the_law_behind_the_data_is_learnt() -> None:
    data = synthetic_data(40, seed=1)  # it has seen those of seed 0
    said = small_gp().bind(data.table).predict(data.batch)
    error = (said.mean - data.target).abs()
    assert error.mean() < 0.5 * (data.target - synthetic_data().target.mean()).abs().mean()
    covered = (error <= small_gp().calibration.interval_factor * said.std).double().mean()
    assert covered >= 0.7


def test_what_matters_gets_the_shorter_lengthscale_and_noise_is_found() -> None:
    x, y = _wave()
    process = fit_process(x[:100], y[:100], seed=0)
    assert process.lengthscale[0] < 0.5 * process.lengthscale[1]
    assert 0.05 <= float(process.noise.sqrt()) <= 0.3
    mean, _ = process.mean_and_variance(x[100:])
    assert float((mean - y[100:]).abs().mean()) < 0.3


def test_lengthscales_come_from_some_rows_and_the_posterior_from_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gp_fitting, "_LEARNT_FROM", 30)
    x, y = _wave()
    process = fit_process(x, y, seed=3)
    drawn = torch.randperm(120, generator=torch.Generator().manual_seed(3))[:30]
    changed = y.clone()
    changed[torch.isin(torch.arange(120), drawn, invert=True)] += 1
    other = fit_process(x, changed, seed=3)
    torch.testing.assert_close(other.lengthscale, process.lengthscale)
    assert len(process) == 120
    assert not torch.allclose(other.weights, process.weights)


def test_the_number_of_rows_chooses_the_form_unless_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gp_fitting, "EXACT_UP_TO", 100)
    monkeypatch.setattr(gp_fitting, "_INDUCING", 60)
    x, y = _wave()
    hyper = tuple(torch.tensor(v, dtype=torch.float64) for v in ([1.0, 1.0], 0.0, 0.1))
    few, many = posterior_of(x[:100], y[:100], *hyper), posterior_of(x, y, *hyper)
    assert (few.inducing, many.inducing, len(many)) == (0, 60, 60)
    assert posterior_of(x, y, *hyper, "exact").inducing == 0
    assert posterior_of(x[:90], y[:90], *hyper, "variational").inducing == 60
    exact = GaussianProcess.exact(x, y, *hyper)
    for got, expected in zip(many.mean_and_variance(x), exact.mean_and_variance(x), strict=True):
        assert float((got - expected).abs().mean()) < 0.05
    assert {tuple(row) for row in many.centres.tolist()} <= {tuple(row) for row in x.tolist()}


def test_rows_that_calibrate_set_the_interval_and_nothing_else() -> None:
    pair = judged_ensemble()
    changed = replace(pair.data, target=pair.data.target.clone())
    changed.target[pair.calibrates.any(0)] += 5
    wide = fit_gp(replace(pair, data=changed), seed=0)
    assert wide.calibration.interval_factor > small_gp().calibration.interval_factor
    assert (wide.calibration.epistemic_scale, wide.calibration.power) == (1.0, 1.0)


def _unseen(error: torch.Tensor, zone: torch.Tensor) -> Unseen:
    one = torch.ones_like(error)
    return Unseen(error, Prediction(0 * one, 0.5 * one, 0.5 * one, zone < 2, one), zone)


def test_an_interval_is_the_conformal_one_or_the_gaussians() -> None:
    error, zone = torch.linspace(0, 3, 40).double(), torch.arange(40, dtype=torch.int8) // 20
    said = interval(_unseen(error, zone))
    assert said.interval_factor == conformal_factor(error.numpy())
    near, far = (conformal_factor(error[zone == one].numpy()) for one in (0, 1))
    assert said.zone_factors == (near, far, far)
    assert said.note == ""
    few = interval(_unseen(error[:9], zone[:9]))
    assert few.interval_factor == pytest.approx(1.645, abs=1e-3)
    assert few.note == (
        "9 rows to calibrate on, fewer than 10: intervals of 1.645 standard deviations as of a Gaussian."
    )


def test_rows_that_are_all_one_have_inputs_of_zero() -> None:
    inputs = fit_inputs(torch.ones(2, 6, 3), torch.arange(6.0).double()[:, None])
    assert not inputs.of(torch.ones(2, 6, 3), torch.zeros(6, 1).double())[:, :-1].any()
    assert inputs.directions.isfinite().all()


def test_repeats_worked_by_hand() -> None:
    x = torch.tensor([[0.0, 1.0]] * 12 + [[2.0, 1.0]] * 10 + [[float(i), 0.0] for i in range(5)])
    y = torch.cat([torch.tensor([1.0, 3.0] * 6 + [5.0, 7.0] * 5), torch.arange(5.0)]).double()
    assert repeat_variance(x.double(), y) == pytest.approx((12 + 10) / (11 + 9))
    assert repeat_variance(x[1:].double(), y[1:]) == 0.0  # 19 degrees of freedom are too few


def test_noise_is_not_below_what_repeats_show() -> None:
    x, y = _wave(100)
    x, y = torch.cat([x, x[:30]]), torch.cat([y, y[:30] + 2])
    process = fit_process(x, y, seed=0)
    assert float(process.noise) >= 0.999 * repeat_variance(x, y) > 1.9


def test_inputs_are_principal_directions_of_all_members() -> None:
    data, encoder = judged_ensemble().data, judged_ensemble().model
    with torch.no_grad():
        mixed = encoder.bind(data.table).mixed(data.batch)
    inputs = fit_inputs(mixed, columns_of(encoder.features.of(data.table), data.batch))
    assert inputs.shift.shape == (2 * 16,)
    assert inputs.directions.shape == (32, 16)
    flat = torch.cat([mixed[0], mixed[1]], dim=1).double()
    covariance = torch.cov(((flat - inputs.shift) @ inputs.directions).T, correction=0)
    torch.testing.assert_close(covariance, covariance.diagonal().diag(), rtol=0, atol=1e-6)
    whitened = (flat - flat.mean(0)) / flat.std(0, correction=0).clamp_min(1e-6)
    values = torch.linalg.eigvalsh(whitened.T @ whitened).flip(0)[:16]
    torch.testing.assert_close(covariance.diagonal(), values / values[0], rtol=1e-4, atol=1e-6)
