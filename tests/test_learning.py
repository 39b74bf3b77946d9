"""What is learnt from a campaign's measurements: posteriors over the prior, checked by their formulas."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from campaigns.arenas import Arena, truth_of_space
from campaigns.learning import Learnt, LearntNetworks
from surrogates.gaussian_process import matern
from tests.synthetic_arenas import arena, mixtures_of


def _unsure(pool: Arena) -> torch.Tensor:
    """Return the prior's standard deviation, its median over the pool beside it."""
    doubt = pool.prior_std.median() if pool.has_prior else 0.0
    return (pool.prior_std.square() + doubt**2).sqrt()


@pytest.mark.parametrize("has_model", [True, False])
def test_what_is_learnt_is_the_posterior_over_the_prior(has_model: bool) -> None:
    pool = arena(has_model)
    places = torch.tensor(np.random.default_rng(0).choice(len(pool), 10, replace=False))
    values = truth_of_space(mixtures_of(pool))[places]
    learnt = Learnt.of(pool, places, values, 0)
    process, scale = learnt.process, learnt.spread * _unsure(pool)
    y = (values - learnt.shift - pool.prior_mean[places]) / scale[places]
    x = pool.inputs[places]
    gram = matern(x, x, process.lengthscale) + process.noise * torch.eye(10, dtype=torch.float64)
    across = matern(pool.inputs, x, process.lengthscale)
    mean = process.constant + across @ torch.linalg.solve(gram, y - process.constant)
    got, std = learnt.mean_and_std(pool)
    torch.testing.assert_close(got, learnt.shift + pool.prior_mean + scale * mean, rtol=1e-6, atol=1e-8)
    some = torch.tensor([3, 5, 11])
    both_mean, covariance = learnt.joint(pool, some)
    torch.testing.assert_close(both_mean, got[some])
    torch.testing.assert_close(covariance.diagonal().sqrt(), std[some], rtol=1e-5, atol=1e-8)


def test_between_fits_lengthscales_stay() -> None:
    pool = arena()
    truth = truth_of_space(mixtures_of(pool))
    first = Learnt.of(pool, torch.arange(8), truth[:8], 0)
    later = Learnt.of(pool, torch.arange(12), truth[:12], 0, first)
    assert torch.equal(later.process.lengthscale, first.process.lengthscale)
    assert len(later.process) == 12


@pytest.mark.parametrize("has_model", [True, False])
def test_networks_go_through_what_was_measured_and_differ_elsewhere(has_model: bool) -> None:
    pool = arena(has_model)
    places = torch.tensor(np.random.default_rng(1).choice(len(pool), 12, replace=False))
    values = truth_of_space(mixtures_of(pool))[places]
    learnt = LearntNetworks.of(pool, places, values, 0)
    said = learnt.members(pool)
    error = (said.mean(0)[places] - values).abs() / (learnt.spread * _unsure(pool)[places])
    assert error.mean() < 0.2
    std = said.std(0) / (learnt.spread * _unsure(pool))
    assert float(std[places].mean()) < 0.5 * float(std.mean())


def test_networks_between_trainings_are_the_earlier_ones() -> None:
    pool = arena()
    truth = truth_of_space(mixtures_of(pool))
    first = LearntNetworks.of(pool, torch.arange(8), truth[:8], 0)
    assert LearntNetworks.of(pool, torch.arange(12), truth[:12], 0, first) is first


def test_without_measurements_networks_say_what_the_prior_says() -> None:
    pool = arena()
    nothing = torch.zeros(0, dtype=torch.int64)
    said = LearntNetworks.of(pool, nothing, nothing.double(), 0).members(pool)
    distance = (said - pool.prior_mean) / pool.prior_std
    assert distance.mean(1).abs().max() < 1e-4
    assert (distance.std(1) - 1).abs().max() < 1e-3


def test_noise_is_not_below_what_laboratories_repeat_to() -> None:
    pool = arena()
    places = torch.arange(12)
    smooth = truth_of_space(mixtures_of(pool))[places]
    free, known = (Learnt.of(one, places, smooth, 0) for one in (pool, replace(pool, repeatability=0.05)))
    scale = known.spread * _unsure(pool)[places].square().median().sqrt()
    assert float(known.process.noise.sqrt() * scale) >= 0.05 * 0.999
    assert float(free.process.noise) < float(known.process.noise)
