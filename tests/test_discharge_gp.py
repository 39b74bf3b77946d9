"""The process of the capacity: against a dense solve, told of new profiles and made to forget them."""

from __future__ import annotations

import pickle
from functools import cache

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from surrogates.composition_batches import Conditions, read_formulas
from surrogates.discharge import embed_compositions
from surrogates.discharge_gp import DischargeGP, capacities_of, condition_columns
from surrogates.discharge_objectives import Objective
from surrogates.discharge_profiles import ProfileData
from surrogates.prediction import Prediction
from tests.synthetic_discharge_gps import small_data, small_gp
from tests.synthetic_profiles import FORMULAS


@cache
def _data() -> ProfileData:
    return small_data()


@cache
def _fitted() -> DischargeGP:
    return small_gp(_data())


def _says(gp: DischargeGP, data: ProfileData) -> Prediction:
    return gp.predict(data.table, data.batch[data.composition], data.conditions)


def _matern(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    r = 5**0.5 * cdist(a, b)
    return (1 + r + r**2 / 3) * np.exp(-r)


def _x(gp: DischargeGP, data: ProfileData) -> np.ndarray:
    embedding = embed_compositions(gp.members, data.table, data.batch)[:, data.composition]
    return (gp.inputs.of(embedding, condition_columns(data.conditions)) / gp.process.lengthscale).numpy()


def test_what_is_said_together_has_the_covariance_of_the_process() -> None:
    gp, data = _fitted(), _data()
    asked = tuple(Objective(f"c{cycle}", "capacity", 20, 1.5, 4.8, cycle) for cycle in (1, 3))
    predictor = gp.bind(data.table, asked)
    together, alone = predictor.jointly(data.batch), predictor.predict(data.batch)
    torch.testing.assert_close(together.mean, alone.mean.double(), rtol=1e-5, atol=1e-3)
    n, embedding = len(data.batch), embed_compositions(gp.members, data.table, data.batch)
    x = [
        gp.inputs.of(
            embedding, condition_columns(Conditions.of([20.0] * n, [cycle] * n, [1.5] * n, [4.8] * n))
        )
        for cycle in (1, 3)
    ]
    covariance = gp.scale**2 * gp.process.mean_and_covariance(torch.cat(x))[1]
    jitter = 1e-6 * gp.scale**2 * torch.eye(2 * n, dtype=torch.float64)
    found = torch.einsum("knp,kmr->pnrm", together.apart, together.apart).reshape(2 * n, 2 * n)
    torch.testing.assert_close(found, covariance + jitter, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(together.covariance(1), found[n:, n:])


def test_the_posterior_is_that_of_a_dense_solve() -> None:
    gp, data, new = _fitted(), _data(), small_data(FORMULAS[1:], cycles=2)
    x, asked, noise = _x(gp, data), _x(gp, new), float(gp.process.noise)
    y = (capacities_of(data).numpy() - gp.shift) / gp.scale - float(gp.process.constant)
    covariance, near = _matern(x, x) + noise * np.eye(len(x)), _matern(asked, x)
    mean = gp.shift + gp.scale * (float(gp.process.constant) + near @ np.linalg.solve(covariance, y))
    variance = gp.scale**2 * (1 - (near * np.linalg.solve(covariance, near.T).T).sum(1))
    said = _says(gp, new)
    np.testing.assert_allclose(said.mean.numpy(), mean, rtol=1e-4)
    np.testing.assert_allclose(said.epistemic.numpy(), variance, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(said.aleatoric.numpy(), gp.scale**2 * noise, rtol=1e-5)
    assert said.mean.dtype == torch.float32
    assert gp.process.centres.dtype == torch.float64


def test_a_condition_is_the_logarithm_of_the_rate_both_voltages_and_that_of_the_cycle() -> None:
    columns = condition_columns(Conditions.of([1000, 10], [100, 1], [1.5, 2.0], [4.5, 4.0]))
    assert columns.tolist() == [[3, 1.5, 4.5, 2], [1, 2.0, 4.0, 0]]


def test_a_capacity_is_the_charge_at_the_lowest_voltage() -> None:
    data = _data()
    assert torch.equal(capacities_of(data).float(), data.charge.amax(1))


def test_new_profiles_move_the_posterior_to_them_and_are_forgotten_again() -> None:
    gp, data, new = _fitted(), _data(), small_data(FORMULAS, cycles=5)
    new.charge[:] = new.charge + 30
    told = gp.condition_on(new)
    assert (told.rows_added, len(told.process)) == (20, 32)
    missed, misses = ((_says(one, new).mean - capacities_of(new)).abs().mean() for one in (gp, told))
    assert misses < missed
    assert (_says(told, new).epistemic < _says(gp, new).epistemic).all()
    again = told.without_last(20)
    assert again.rows_added == 0
    for part in ("mean", "epistemic", "aleatoric"):
        torch.testing.assert_close(
            getattr(_says(again, data), part), getattr(_says(gp, data), part), rtol=1e-4, atol=1e-3
        )


def test_told_of_more_profiles_it_is_as_if_all_had_been_there() -> None:
    gp, new = _fitted(), small_data(FORMULAS[:1], cycles=4)
    told = gp.condition_on(new)
    x, added = _x(gp, _data()), _x(gp, new)
    every = np.concatenate([x, added])
    y = np.concatenate([capacities_of(_data()).numpy(), capacities_of(new).numpy()])
    y = (y - gp.shift) / gp.scale - float(gp.process.constant)
    weights = np.linalg.solve(_matern(every, every) + float(gp.process.noise) * np.eye(len(every)), y)
    np.testing.assert_allclose(told.process.weights.numpy(), weights, rtol=1e-5, atol=1e-6)


def test_only_profiles_that_were_added_are_the_last() -> None:
    told = _fitted().condition_on(small_data(FORMULAS[:1], cycles=2))
    with pytest.raises(ValueError, match=r"^2 profiles were added; 3 cannot be removed$"):
        told.without_last(3)


def test_an_objective_of_a_screen_is_the_capacity_under_its_condition() -> None:
    gp, data = _fitted(), _data()
    objectives = (
        Objective("first", "capacity", 20, 1.5, 4.8, 1),
        Objective("third", "capacity", 20, 1.5, 4.8, 3),
    )
    predictor = pickle.loads(pickle.dumps(gp.bind(data.table, objectives)))
    assert predictor.target == "first, third"
    said = predictor.predict(data.batch)
    assert said.mean.shape == (4, 2)
    for column, one in enumerate(objectives):
        conditions = Conditions.of(*([value] * 4 for value in one.condition))
        alone = gp.predict(data.table, data.batch, conditions)
        for part in ("mean", "epistemic", "aleatoric"):
            assert torch.equal(getattr(said, part)[:, column], getattr(alone, part))
        assert torch.equal(said.in_domain, alone.in_domain)
    known = gp.domain.holds(
        gp.members, data.table, data.batch, embed_compositions(gp.members, data.table, data.batch)
    )
    assert torch.equal(said.in_domain, known)
    assert (said.mean[:, 0] > said.mean[:, 1]).all()
    assert said.interval_factor.tolist() == pytest.approx([gp.calibration.interval_factor] * 4)


def test_what_the_training_never_held_is_not_in_the_domain() -> None:
    table, batch = read_formulas(["Li1.2Nb0.2Mn0.6O2", "Li1.35Mn0.65O2"])
    conditions = Conditions.of([20, 20], [1, 1], [1.5, 1.5], [4.8, 4.8])
    assert _fitted().predict(table, batch, conditions).in_domain.tolist() == [False, False]


def test_tensors_give_the_model_back() -> None:
    gp, data = _fitted().condition_on(small_data(FORMULAS[:1], cycles=2)), _data()
    back = DischargeGP.of_tensors(gp.tensors(), gp.members, gp.domain, gp.calibration)
    assert (back.shift, back.scale, back.rows_added) == (gp.shift, gp.scale, 2)
    for part in ("mean", "epistemic", "aleatoric"):
        torch.testing.assert_close(
            getattr(_says(back, data), part), getattr(_says(gp, data), part), rtol=1e-4, atol=1e-3
        )


def test_a_unit_that_is_none_is_refused() -> None:
    gp = _fitted()
    tensors = gp.tensors() | {"gp.unit": torch.tensor([200.0, 0.0])}
    with pytest.raises(ValueError) as error:
        DischargeGP.of_tensors(tensors, gp.members, gp.domain, gp.calibration)
    assert str(error.value) == "gp.unit is [200.0, 0.0], not a mean and a standard deviation above 0"
