"""Pools that strategies are compared on: all feasible candidates, and what a model says of each."""

from __future__ import annotations

import pytest
import torch

from activelearn.chemical_constraints import MixtureVariables
from campaigns.arenas import arena_of_replay, truth_of_space
from campaigns.replay import Replay
from campaigns.virtual_conductivity import VirtualConductivity
from surrogates.gp_predictor import columns_of
from tests.synthetic_arenas import arena, mixtures_of
from tests.synthetic_laws import small_law_ensemble, vft_data


def test_all_feasible_candidates_and_no_other() -> None:
    pool, of = arena(), mixtures_of(arena())
    every = of.space.at(torch.arange(len(of.space))).to(torch.float64)
    x = MixtureVariables(of.space.solvents, of.space.salts).rows(every, of.space.table)
    feasible = of.constraints.is_feasible(x).nonzero()[:, 0]
    assert 0 < len(feasible) < len(of.space)
    assert torch.equal(pool.candidate, feasible)


def test_the_prior_is_what_the_model_says() -> None:
    pool = arena()
    of = mixtures_of(pool)
    said = small_law_ensemble().bind(of.table).predict(of.batch.to(torch.float32))
    torch.testing.assert_close(pool.prior_mean, said.mean.double())
    torch.testing.assert_close(pool.prior_std, said.std.double())
    nothing = arena(has_model=False)
    assert nothing.prior_mean.abs().max() == 0
    assert (nothing.prior_std == 1).all()
    assert mixtures_of(nothing).model is None


def test_without_a_model_a_component_is_a_component_however_rare() -> None:
    pool = arena(has_model=False)
    of = mixtures_of(pool)
    shares = torch.zeros(len(pool), len(of.table), dtype=torch.float64)
    shares.scatter_add_(1, of.batch.solvents, of.batch.fractions())
    solvents = shares[:, :3]
    told = torch.cdist(pool.inputs, pool.inputs)[0]
    alike = (of.batch.molality[0] == of.batch.molality)[:, 0] & (of.batch.salts[0] == of.batch.salts)[:, 0]
    expected = 2 * (solvents - solvents[0]).norm(dim=1)
    torch.testing.assert_close(told[alike], expected[alike])


def test_what_is_told_of_the_pool_can_be_told_of_any_mixture() -> None:
    pool = arena()
    model, of = small_law_ensemble(), mixtures_of(pool)
    predictor = model.bind(of.table)
    with torch.no_grad():
        again = of.told.of(
            predictor.mixed(of.batch[:7].to(torch.float32)),
            columns_of(model.features.of(of.table), of.batch[:7]),
        )
    torch.testing.assert_close(again, pool.inputs[:7], rtol=1e-4, atol=1e-5)


def test_the_truth_is_the_law_s() -> None:
    of = mixtures_of(arena())
    law = VirtualConductivity.bind(of.table).conductivity(of.batch)
    torch.testing.assert_close(truth_of_space(of), (law / 1000).log10())


def test_positions_fill_the_unit_cube_and_frames_are_read_again() -> None:
    pool = arena()
    assert pool.positions.amin(0).tolist() == [0.0] * pool.positions.shape[1]
    assert pool.positions.amax(0).tolist() == pytest.approx([1.0] * pool.positions.shape[1])
    frame = mixtures_of(pool).frame([3, 0])
    assert len(frame) == 2
    assert frame["salt"].notna().all()


def test_a_replay_is_a_pool_of_its_mixtures() -> None:
    data = vft_data()
    replay = Replay.of_data(data)
    pool = arena_of_replay(replay)
    assert len(pool) == len(replay.pool) == len(replay.means)
    assert pool.candidate.tolist() == replay.first
    assert pool.mixtures is None
