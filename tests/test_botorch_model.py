"""The ensemble before BoTorch: the numbers of `predict`, and acquisition functions that can be optimised."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from botorch.acquisition import AcquisitionFunction, LogExpectedImprovement, UpperConfidenceBound
from botorch.acquisition.logei import qLogExpectedImprovement
from botorch.acquisition.monte_carlo import qUpperConfidenceBound
from botorch.acquisition.objective import ScalarizedPosteriorTransform
from botorch.exceptions.errors import UnsupportedError
from botorch.optim import optimize_acqf
from botorch.posteriors.gpytorch import GPyTorchPosterior
from botorch.sampling.get_sampler import get_sampler
from torch import Tensor

from surrogates.botorch_model import EnsembleSurrogate, MemberPosterior, StudentSurrogate
from tests.synthetic_laws import small_law_ensemble, vft_data
from tests.synthetic_mixtures import CALIBRATION, SALTS, small_ensemble, synthetic_data
from tests.synthetic_students import ENSEMBLES, SPACE, small_student

DATA = synthetic_data()


@pytest.fixture
def model() -> EnsembleSurrogate:
    return EnsembleSurrogate(replace(small_ensemble(), calibration=CALIBRATION).bind(DATA.table))


def _rows(*shape: int) -> Tensor:
    return DATA.batch.to_rows()[: torch.Size(shape).numel()].reshape(*shape, -1)


@pytest.mark.parametrize("shape", [(12,), (3, 4), (2, 3, 2)])
def test_the_numbers_are_those_of_predict(model: EnsembleSurrogate, shape: tuple[int, ...]) -> None:
    said = model.predictor.predict(DATA.batch[:12])
    posterior = model.posterior(_rows(*shape))
    assert isinstance(posterior, MemberPosterior)
    measured = model.posterior(_rows(*shape), observation_noise=True)
    for got, expected in (
        (posterior.mean, said.mean),
        (posterior.variance, said.epistemic),
        (posterior.epistemic_variance, said.epistemic),
        (posterior.aleatoric_variance, said.aleatoric),
        (measured.mean, said.mean),
        (measured.variance, said.epistemic + said.aleatoric),
    ):
        assert got.dtype == torch.float64
        torch.testing.assert_close(got, expected.double().reshape(*shape, 1), rtol=1e-5, atol=1e-5)


def test_a_measurement_varies_with_the_members_and_by_itself(model: EnsembleSurrogate) -> None:
    posterior, measured = (model.posterior(_rows(5), observation_noise=noise) for noise in (False, True))
    assert isinstance(posterior, MemberPosterior)
    assert isinstance(measured, GPyTorchPosterior)
    between = torch.cov(posterior.values[..., 0].T)
    noise = posterior.aleatoric_variance[:, 0].diag()
    torch.testing.assert_close(measured.distribution.covariance_matrix, between + noise)


def test_a_sample_is_one_members_word_on_all_points(model: EnsembleSurrogate) -> None:
    posterior = model.posterior(_rows(4))
    assert isinstance(posterior, MemberPosterior)
    samples = get_sampler(posterior, torch.Size([16]), seed=0)(posterior)
    agrees = (samples.unsqueeze(1) == posterior.values).all(-1).all(-1)  # sample x member
    assert (agrees.sum(1) == 1).all()
    assert agrees.any(0).all()


def test_one_output_and_no_batch(model: EnsembleSurrogate) -> None:
    assert model.num_outputs == 1
    assert model.batch_shape == torch.Size()
    torch.testing.assert_close(model.posterior(_rows(2), [0]).mean, model.posterior(_rows(2)).mean)
    with pytest.raises(UnsupportedError, match=r"output_indices is \[1\]; the model has one output, 0"):
        model.posterior(_rows(2), [1])


def test_noise_as_a_tensor_is_refused(model: EnsembleSurrogate) -> None:
    with pytest.raises(
        UnsupportedError, match=r"observation_noise is a tensor; the model infers it, so give True"
    ):
        model.posterior(_rows(2), observation_noise=torch.ones(2, 1))


def test_a_transform_is_applied(model: EnsembleSurrogate) -> None:
    transform = ScalarizedPosteriorTransform(torch.tensor([-2.0], dtype=torch.float64))
    negated = model.posterior(_rows(3), observation_noise=True, posterior_transform=transform)
    plain = model.posterior(_rows(3), observation_noise=True)
    torch.testing.assert_close(negated.mean, -2 * plain.mean)
    torch.testing.assert_close(negated.variance, 4 * plain.variance)


def _acquisition(name: str, model: EnsembleSurrogate) -> AcquisitionFunction:
    sampler = get_sampler(model.posterior(_rows(1, 1)), torch.Size([32]), seed=0)
    return {
        "LogEI": lambda: LogExpectedImprovement(model, best_f=-0.5),
        "UCB": lambda: UpperConfidenceBound(model, beta=1.0),
        "qLogEI": lambda: qLogExpectedImprovement(model, best_f=-0.5, sampler=sampler),
        "qUCB": lambda: qUpperConfidenceBound(model, beta=1.0, sampler=sampler),
    }[name]()


@pytest.mark.parametrize(("name", "q"), [("LogEI", 1), ("UCB", 1), ("qLogEI", 2), ("qUCB", 2)])
def test_an_acquisition_is_optimised_over_amounts(model: EnsembleSurrogate, name: str, q: int) -> None:
    acquisition = _acquisition(name, model)
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
    assert (best >= bounds[0]).all()
    assert (best <= bounds[1]).all()


def test_gradients_reach_weights_and_molality_but_no_index(model: EnsembleSurrogate) -> None:
    rows = _rows(1, 1).requires_grad_()
    (gradient,) = torch.autograd.grad(UpperConfidenceBound(model, beta=1.0)(rows).sum(), rows)
    assert (gradient[..., [0, 1, 4]] == 0).all()
    assert (gradient[..., [2, 3, 5]] != 0).all()


def test_rows_of_several_salts_are_read_and_have_gradients() -> None:
    data = vft_data()
    index = data.table.index()
    salts = torch.tensor([[index[salt] for salt in SALTS]] * 60)
    batch = replace(data.batch, salts=salts, molality=torch.cat([data.batch.molality] * 2, dim=1) / 2)
    predictor = small_law_ensemble().bind(data.table)
    model, rows = EnsembleSurrogate(predictor, salts=2), batch.to_rows().requires_grad_()
    posterior = model.posterior(rows[:6].reshape(3, 2, -1))
    said = predictor.predict(batch[:6])
    torch.testing.assert_close(posterior.mean.flatten(), said.mean.double(), rtol=1e-5, atol=1e-5)
    (gradient,) = torch.autograd.grad(posterior.mean.sum(), rows)
    assert (gradient[:6, [6, 7]] != 0).all()  # molalities
    assert (gradient[:6, [0, 1, 4, 5]] == 0).all()


@pytest.fixture(params=ENSEMBLES)
def student(request: pytest.FixtureRequest) -> StudentSurrogate:
    return StudentSurrogate(small_student(request.param).bind(SPACE.table))


@pytest.mark.parametrize("shape", [(12,), (3, 4), (2, 3, 2)])
def test_the_students_numbers_are_those_of_predict(student: StudentSurrogate, shape: tuple[int, ...]) -> None:
    batch = SPACE.at(torch.arange(0, 600, 50))
    said = student.predictor.predict(batch)
    rows = batch.to_rows().reshape(*shape, -1)
    plain, measured = (student.posterior(rows, observation_noise=noise) for noise in (False, True))
    for got, expected in (
        (plain.mean, said.mean),
        (plain.variance, said.epistemic),
        (measured.mean, said.mean),
        (measured.variance, said.epistemic + said.aleatoric),
    ):
        assert got.dtype == torch.float64
        torch.testing.assert_close(got, expected.double().reshape(*shape, 1), rtol=1e-5, atol=1e-5)
    assert student.num_outputs == 1
    assert student.batch_shape == torch.Size()


def test_to_a_student_the_points_of_a_batch_are_independent(student: StudentSurrogate) -> None:
    rows = SPACE.at(torch.tensor([0, 0, 700])).to_rows()
    posterior = student.posterior(rows)
    assert isinstance(posterior, GPyTorchPosterior)
    covariance = posterior.distribution.covariance_matrix
    torch.testing.assert_close(covariance, posterior.variance[:, 0].diag())


def test_a_student_refuses_what_an_ensemble_refuses(student: StudentSurrogate) -> None:
    rows = SPACE.at(torch.arange(2)).to_rows()
    with pytest.raises(UnsupportedError, match=r"output_indices is \[1\]; the model has one output, 0"):
        student.posterior(rows, [1])
    with pytest.raises(UnsupportedError, match="observation_noise is a tensor"):
        student.posterior(rows, observation_noise=torch.ones(2, 1))
    transform = ScalarizedPosteriorTransform(torch.tensor([-2.0], dtype=torch.float64))
    negated = student.posterior(rows, posterior_transform=transform)
    torch.testing.assert_close(negated.mean, -2 * student.posterior(rows).mean)


@pytest.mark.parametrize("name", ["LogEI", "UCB"])
def test_an_acquisition_is_optimised_over_a_student(student: StudentSurrogate, name: str) -> None:
    acquisition = {
        "LogEI": lambda: LogExpectedImprovement(student, best_f=-0.5),
        "UCB": lambda: UpperConfidenceBound(student, beta=1.0),
    }[name]()
    row = SPACE.at(torch.tensor([700])).to_rows()[0]
    bounds = torch.stack([row, row])
    bounds[:, [2, 3]] = torch.tensor([[0.05], [0.95]], dtype=torch.float64)
    bounds[:, 5] = torch.tensor([0.2, 2.0], dtype=torch.float64)
    best, value = optimize_acqf(
        acquisition,
        bounds,
        q=1,
        num_restarts=1,
        fixed_features={column: float(row[column]) for column in (0, 1, 4, 6)},
        batch_initial_conditions=row.reshape(1, 1, -1).clone(),
        options={"maxiter": 5},
    )
    assert value > acquisition(row.reshape(1, 1, -1))
    assert (best >= bounds[0]).all()
    assert (best <= bounds[1]).all()
