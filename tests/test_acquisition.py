"""Acquisition functions: scores of a screen against closed forms, and BoTorch's functions on our models."""

from __future__ import annotations

import math
import pickle
from statistics import NormalDist

import pytest
import torch
from torch import Tensor

from activelearn.acquisition import FOR_GOAL, KINDS, WORDS, Acquisition, Gaussian, Kind, Known, joint
from surrogates.botorch_gp import GPSurrogate
from surrogates.botorch_model import EnsembleSurrogate
from surrogates.prediction import Prediction
from tests.synthetic_gps import small_gp
from tests.synthetic_mixtures import small_ensemble, synthetic_data

DATA = synthetic_data()
NORMAL = NormalDist()
SAID = Prediction(
    mean=torch.tensor([0.0, 1.0, -2.0, 0.5]),
    epistemic=torch.tensor([1.0, 0.25, 4.0, 0.01]),
    aleatoric=torch.tensor([9.0, 9.0, 9.0, 9.0]),
    in_domain=torch.tensor([True, True, False, True]),
    interval_factor=torch.full((4,), 1.645),
)


def _rows(*shape: int) -> Tensor:
    return DATA.batch.to_rows()[: torch.Size(shape).numel()].reshape(*shape, -1)


def _expected(kind: Kind, mean: float, std: float, best: float, kappa: float) -> float:
    u = (mean - best) / std
    if kind in ("log-ei", "log-nei"):
        return math.log(std * (NORMAL.pdf(u) + u * NORMAL.cdf(u)))
    bound = mean + kappa * std
    return {
        "ucb": bound,
        "thompson": bound,
        "pi": math.log(NORMAL.cdf(u)),
        "mean": mean,
        "exploration": std,
    }[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_the_closed_forms_of_what_is_not_noise(kind: Kind) -> None:
    score = pickle.loads(pickle.dumps(Acquisition(kind, kappa=1.5).score(best=0.8)))(SAID)
    stds = SAID.epistemic.sqrt().tolist()
    expected = [_expected(kind, m, s, 0.8, 1.5) for m, s in zip(SAID.mean.tolist(), stds, strict=True)]
    assert score.dtype == torch.float64
    assert score.tolist() == pytest.approx(expected, rel=1e-5)


def test_each_goal_and_each_kind_has_words() -> None:
    assert {**FOR_GOAL} == {"best": "log-nei", "top": "ucb"}
    assert set(WORDS) == set(KINDS)


def test_an_ensemble_keeps_its_moments_as_a_gaussian() -> None:
    ensemble = EnsembleSurrogate(small_ensemble().bind(DATA.table))
    members, gaussian = ensemble.posterior(_rows(3, 4)), Gaussian(ensemble).posterior(_rows(3, 4))
    torch.testing.assert_close(gaussian.mean, members.mean)
    torch.testing.assert_close(gaussian.variance, members.variance, rtol=1e-4, atol=1e-12)
    values = members.values[..., 0]
    apart = values - values.mean(-2, keepdim=True)
    mean, covariance = joint(ensemble, _rows(4))
    torch.testing.assert_close(covariance, (apart.mT @ apart)[0] / (values.shape[-2] - 1))
    torch.testing.assert_close(mean, members.mean[0, :, 0])


def test_believing_shrinks_what_a_process_does_not_know_and_moves_nothing() -> None:
    gp = Gaussian(GPSurrogate(small_gp().bind(DATA.table)))
    told = gp.believing(_rows(5))
    for before, after in zip(joint(gp, _rows(20)), joint(told, _rows(20)), strict=True):
        if before.dim() == 1:
            torch.testing.assert_close(after, before)
        else:
            assert (after.diagonal() <= before.diagonal() + 1e-9).all()
            assert (after.diagonal()[:5] < before.diagonal()[:5]).all()
    ensemble = Gaussian(EnsembleSurrogate(small_ensemble().bind(DATA.table)))
    assert ensemble.believing(_rows(5)) is ensemble


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "thompson"])
@pytest.mark.parametrize("pending", [False, True])
@pytest.mark.parametrize("of", ["gp", "ensemble"])
def test_functions_have_values_and_gradients(kind: Kind, pending: bool, of: str) -> None:
    surrogate = (
        GPSurrogate(small_gp().bind(DATA.table))
        if of == "gp"
        else EnsembleSurrogate(small_ensemble().bind(DATA.table))
    )
    waiting = _rows(2) if pending else None
    function = Acquisition(kind).function(Gaussian(surrogate), 0.5, _rows(8), waiting, seed=3)
    X = _rows(30).unsqueeze(1).clone().requires_grad_()
    value = function(X)
    (slope,) = torch.autograd.grad(value.sum(), X)
    assert value.shape == (30,)
    assert value.isfinite().all()
    assert slope.isfinite().all()
    assert slope.abs().sum() > 0
    again = Acquisition(kind).function(Gaussian(surrogate), 0.5, _rows(8), waiting, seed=3)
    assert torch.equal(again(X), value)


def test_pending_experiments_are_worth_less_than_before() -> None:
    gp = Gaussian(GPSurrogate(small_gp().bind(DATA.table)))
    for kind in ("log-nei", "log-ei", "ucb", "exploration"):
        alone, beside = (
            Acquisition(kind).function(gp, 0.5, _rows(4), pending, seed=0)
            for pending in (None, _rows(60)[30:32])
        )
        X = _rows(60)[30:32].unsqueeze(1)
        assert (beside(X) < alone(X)).all(), kind


def test_thompson_has_no_function() -> None:
    with pytest.raises(ValueError, match="thompson draws a function over a pool; it has no value of its own"):
        Acquisition("thompson").function(
            Gaussian(GPSurrogate(small_gp().bind(DATA.table))), 0.5, _rows(4), None, seed=0
        )


def test_what_is_known_is_told_by_place() -> None:
    root = torch.randn(4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mean, covariance = torch.arange(4.0, dtype=torch.float64), root @ root.T + torch.eye(4)
    places = torch.tensor([[[2.0], [0.0]], [[3.0], [1.0]]], dtype=torch.float64)
    posterior = Known(mean, covariance).posterior(places)
    assert posterior.mean[..., 0].tolist() == [[2.0, 0.0], [3.0, 1.0]]
    torch.testing.assert_close(posterior.distribution.covariance_matrix[0], covariance[[2, 0]][:, [2, 0]])
    alone = Known(mean, covariance.diagonal()).posterior(places[:, :1])
    torch.testing.assert_close(alone.variance.flatten(), covariance.diagonal()[[2, 3]])
