"""The process before BoTorch: the numbers of `predict`, joint posteriors, fantasies and acquisitions."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from botorch.acquisition import LogExpectedImprovement
from botorch.acquisition.active_learning import qNegIntegratedPosteriorVariance
from botorch.acquisition.knowledge_gradient import qKnowledgeGradient
from botorch.acquisition.logei import qLogExpectedImprovement
from botorch.acquisition.objective import ScalarizedPosteriorTransform
from botorch.exceptions.errors import UnsupportedError
from botorch.optim import optimize_acqf
from botorch.posteriors.gpytorch import GPyTorchPosterior
from botorch.sampling.normal import SobolQMCNormalSampler
from torch import Tensor

from surrogates.botorch_gp import GPSurrogate
from tests.synthetic_gps import judged, small_gp
from tests.synthetic_mixtures import synthetic_data

DATA = synthetic_data()


@pytest.fixture
def model() -> GPSurrogate:
    return GPSurrogate(small_gp().bind(DATA.table))


def _rows(*shape: int) -> Tensor:
    return DATA.batch.to_rows()[: torch.Size(shape).numel()].reshape(*shape, -1)


@pytest.mark.parametrize("shape", [(12,), (3, 4), (2, 3, 2)])
def test_the_numbers_are_those_of_predict(model: GPSurrogate, shape: tuple[int, ...]) -> None:
    said = model.predictor.predict(DATA.batch[:12])
    posterior, measured = (model.posterior(_rows(*shape), observation_noise=noise) for noise in (False, True))
    for got, expected in (
        (posterior.mean, said.mean),
        (posterior.variance, said.epistemic),
        (measured.mean, said.mean),
        (measured.variance, said.epistemic + said.aleatoric),
    ):
        assert got.dtype == torch.float64
        torch.testing.assert_close(got, expected.double().reshape(*shape, 1), rtol=1e-5, atol=1e-6)


def test_one_output_and_no_batch(model: GPSurrogate) -> None:
    assert (model.num_outputs, model.batch_shape) == (1, torch.Size())
    torch.testing.assert_close(model.posterior(_rows(2), [0]).mean, model.posterior(_rows(2)).mean)
    with pytest.raises(UnsupportedError, match=r"output_indices is \[1\]; the model has one output, 0"):
        model.posterior(_rows(2), [1])


def test_noise_that_is_given_is_added(model: GPSurrogate) -> None:
    noise = torch.tensor([[0.1], [0.2]], dtype=torch.float64)
    plain, noisy = model.posterior(_rows(2)), model.posterior(_rows(2), observation_noise=noise)
    torch.testing.assert_close(noisy.variance - plain.variance, noise, rtol=1e-6, atol=1e-8)


def test_a_transform_is_applied(model: GPSurrogate) -> None:
    transform = ScalarizedPosteriorTransform(torch.tensor([-2.0], dtype=torch.float64))
    negated = model.posterior(_rows(3), posterior_transform=transform)
    torch.testing.assert_close(negated.mean, -2 * model.posterior(_rows(3)).mean)


def test_points_are_joined_by_their_covariance(model: GPSurrogate) -> None:
    batch = replace(DATA.batch[:4], molality=DATA.batch.molality[:4] + 5)
    posterior = model.posterior(batch.to_rows())
    assert isinstance(posterior, GPyTorchPosterior)
    covariance = posterior.distribution.covariance_matrix
    x = model.predictor.inputs_of(batch)
    _, expected = model.predictor.process.mean_and_covariance(x)
    scale = model.predictor.encoder.scale
    torch.testing.assert_close(covariance, scale**2 * expected, rtol=1e-6, atol=1e-8)
    assert float(covariance[0, 1].abs()) > 1e-6


def test_observations_condition_it_as_they_do_the_model(model: GPSurrogate) -> None:
    new = judged("molsets").data.take(torch.arange(3))
    new.target.add_(1)
    told = small_gp().condition_on(new).bind(DATA.table).predict(DATA.batch)
    after = model.condition_on_observations(_rows(3), new.target[:, None])
    said = after.posterior(_rows(60))
    torch.testing.assert_close(said.mean[:, 0].float(), told.mean, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(said.variance[:, 0].float(), told.epistemic, rtol=1e-4, atol=1e-6)


def test_surer_observations_weigh_more(model: GPSurrogate) -> None:
    y = model.posterior(_rows(1)).mean + 1
    sure, unsure = (
        model.condition_on_observations(_rows(1), y, noise=torch.full_like(y, v)).posterior(_rows(1)).mean
        for v in (1e-4, 10.0)
    )
    assert float(y - sure) < 0.1 < 0.8 < float(y - unsure)


def test_fantasies_come_one_a_sample_and_leave_no_more_variance(model: GPSurrogate) -> None:
    sampler = SobolQMCNormalSampler(torch.Size([4]), seed=0)
    fantasy = model.fantasize(_rows(2, 3), sampler)
    assert fantasy.batch_shape == torch.Size([4, 2])
    posterior = fantasy.posterior(_rows(5))
    assert posterior.mean.shape == (4, 2, 5, 1)
    assert (posterior.variance <= model.posterior(_rows(5)).variance + 1e-8).all()
    assert float(posterior.mean.std(0).min()) > 0


def test_acquisitions_that_need_fantasies_work(model: GPSurrogate) -> None:
    variance = qNegIntegratedPosteriorVariance(model, mc_points=_rows(6))
    values = variance(_rows(2, 1))
    assert (values > -float(model.posterior(_rows(6)).variance.mean())).all()
    gradient = qKnowledgeGradient(model, num_fantasies=3)
    assert gradient(_rows(1, 4)).isfinite().all()


@pytest.mark.parametrize("q", [1, 2])
def test_an_acquisition_is_optimised_over_amounts(model: GPSurrogate, q: int) -> None:
    acquisition = (
        LogExpectedImprovement(model, best_f=-0.5)
        if q == 1
        else qLogExpectedImprovement(
            model, best_f=-0.5, sampler=SobolQMCNormalSampler(torch.Size([16]), seed=0)
        )
    )
    row = _rows(1, 1)[0, 0]
    kept = {column: float(row[column]) for column in (0, 1, 4, 6)}  # molecules and temperature
    bounds = torch.stack([row, row])
    bounds[:, [2, 3]] = torch.tensor([[0.05], [0.95]], dtype=torch.float64)
    bounds[:, 5] = torch.tensor([0.2, 2.0], dtype=torch.float64)
    start = row.expand(1, q, -1)
    best, value = optimize_acqf(
        acquisition,
        bounds,
        q=q,
        num_restarts=1,
        fixed_features=kept,
        batch_initial_conditions=start.clone(),
        options={"maxiter": 5},
    )
    assert value > acquisition(start)
    torch.testing.assert_close(best[:, list(kept)], start[0][:, list(kept)])


def test_gradients_reach_weights_and_molality_but_no_index(model: GPSurrogate) -> None:
    rows = _rows(1, 1).requires_grad_()
    posterior = model.posterior(rows)
    (gradient,) = torch.autograd.grad((posterior.mean + posterior.variance).sum(), rows)
    assert (gradient[..., [0, 1, 4]] == 0).all()
    assert (gradient[..., [2, 3, 5]] != 0).all()
