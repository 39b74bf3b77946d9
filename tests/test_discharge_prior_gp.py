"""Processes over a discharge model: what they say before, at and far from measurements."""

from __future__ import annotations

import pickle
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from activelearn.composition_spaces import CompositionSpace
from surrogates.composition_batches import CompositionBatch, CompositionTable
from surrogates.discharge_models import DISTILLED, discharge_model
from surrogates.discharge_objectives import DischargeObjectives, Objective
from surrogates.discharge_prior_gp import DischargePriorGP, fit_discharge_prior_gp
from surrogates.gaussian_process import matern
from surrogates.prediction import Prediction
from tests.synthetic_discharge_gps import small_data, small_process

SPACE = CompositionSpace(
    metals=("Mn2+", "Mn3+", "Cr3+", "Ti4+", "Nb5+"),
    metals_per_composition=(2, 3),
    lithium=(1.2, 1.25),
    fluorine=(0.0, 0.2),
    step=0.05,
)
"""378 candidates."""
OBJECTIVES = (
    Objective("energy_Wh_kg", "energy_Wh_kg", 20, 1.5, 4.8, 1),
    Objective("average_voltage_V", "average_voltage_V", 20, 1.5, 4.8, 1),
)
TOLD = torch.arange(0, len(SPACE), 29)
"""14 candidates."""
OTHERS = torch.arange(5, len(SPACE), 7)
AROUND = SPACE.table, SPACE.at(torch.arange(0, len(SPACE), 5))


@cache
def _prior() -> DischargeObjectives:
    return DischargeObjectives(discharge_model(DISTILLED), OBJECTIVES)


@cache
def _before() -> Prediction:
    """Return what the model says of all candidates before any measurement."""
    return _prior().bind(SPACE.table).predict(SPACE[0 : len(SPACE)])


def _fit(rows: Tensor, values: Tensor, table: CompositionTable = SPACE.table) -> DischargePriorGP:
    place = {element: row for row, element in enumerate(table.elements)}
    moved = torch.tensor([place[element] for element in SPACE.table.elements])
    batch = SPACE.at(rows)
    batch = CompositionBatch(moved[batch.cations], batch.weights, batch.fluorine)
    return fit_discharge_prior_gp(_prior(), (table, batch), values, AROUND, seed=0)


def _of(gp: DischargePriorGP, rows: Tensor) -> Prediction:
    return gp.bind(SPACE.table).predict(SPACE.at(rows))


def _nothing(rows: int) -> Tensor:
    return torch.full((rows, 2), torch.nan, dtype=torch.float64)


def _away(rows: Tensor, stds: float) -> Tensor:
    """Return measurements that lie so many of the model's standard deviations above its mean, in turns."""
    said = _before()
    sign = torch.where(torch.arange(len(rows)) % 2 == 0, 1.0, -1.0)[:, None]
    return (said.mean[rows] + stds * sign * said.std[rows]).double()


def test_before_any_measurement_it_says_what_the_model_says() -> None:
    said, before = _of(_fit(TOLD[:3], _nothing(3)), OTHERS), _before()
    torch.testing.assert_close(said.mean, before.mean[OTHERS])
    torch.testing.assert_close(said.epistemic, before.epistemic[OTHERS])
    assert torch.equal(said.in_domain, before.in_domain[OTHERS])
    assert torch.equal(said.interval_factor, before.interval_factor[OTHERS])


@pytest.mark.parametrize("n", [1, 3, 14])
def test_near_measurements_it_says_what_was_measured(n: int) -> None:
    rows, before = TOLD[:n], _before()
    values = _away(rows, 1.5)
    said = _of(_fit(rows, values), rows)
    missed, missed_before = (said.mean - values).abs(), (before.mean[rows] - values).abs()
    assert (missed.mean(0) < 0.4 * missed_before.mean(0)).all()
    assert (said.epistemic < before.epistemic[rows]).all()


def test_a_laboratory_that_reads_lower_does_so_everywhere() -> None:
    before = _before()
    said = _of(_fit(TOLD, 0.9 * before.mean[TOLD].double()), OTHERS)
    ratio = said.mean / before.mean[OTHERS]
    assert ratio.min() > 0.75
    assert ratio.max() < 0.97
    assert (ratio.mean(0) - 0.9).abs().max() < 0.02


def test_a_second_measurement_that_is_the_same_narrows_it() -> None:
    once, twice = (
        _of(_fit(TOLD[:2].repeat(times), _away(TOLD[:2], 0.5).repeat(times, 1)), TOLD[:2]) for times in (1, 2)
    )
    assert (twice.epistemic < once.epistemic).all()


@settings(max_examples=3)
@given(order=st.permutations(range(14)), elements=st.permutations(SPACE.table.elements))
def test_neither_the_order_of_rows_nor_that_of_elements_matters(
    order: list[int], elements: list[str]
) -> None:
    values = _away(TOLD, 1.0)
    values[3, 0] = torch.nan
    rows, table = torch.tensor(order), CompositionTable.of(elements)
    first = _of(_fit(TOLD, values), OTHERS[:9])
    other = _of(_fit(TOLD[rows], values[rows], table), OTHERS[:9])
    torch.testing.assert_close(other.mean, first.mean, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(other.epistemic, first.epistemic, rtol=1e-3, atol=1e-6)


def test_what_lacks_one_objective_is_left_out_of_that_alone() -> None:
    values = _away(TOLD, 1.0)
    lacking = values.clone()
    lacking[5:, 1] = torch.nan
    whole, part, fewer = _fit(TOLD, values), _fit(TOLD, lacking), _fit(TOLD[:5], values[:5])
    assert [len(one.process) for one in part.processes] == [14, 5]
    assert part.processes[0].offset == whole.processes[0].offset
    assert part.processes[1].offset == pytest.approx(fewer.processes[1].offset, rel=1e-4)
    torch.testing.assert_close(_of(part, OTHERS).mean[:, 0], _of(whole, OTHERS).mean[:, 0])


def test_where_members_agree_by_chance_measurements_are_believed_nonetheless() -> None:
    std = _before().std[:, 0]
    surest = std.argsort()[:1]
    assert std[surest] < 0.5 * std.median()
    values = _before().mean[surest].double() + 3 * std.median().double()
    said, before = _of(_fit(surest, values), surest), _before().mean[surest]
    assert ((said.mean - before)[:, 0] > 2.5 * std.median()).all()
    # Of members, 4 degrees of freedom beside 8; of a process's variance, which is no sample's, all.
    assert _fit(surest, values).processes[0].own == pytest.approx(1 / 3)


def test_the_posterior_is_that_of_rasmussen_and_williams() -> None:
    gp = _fit(TOLD, _away(TOLD, 1.0))
    one, bound = gp.processes[0], gp.bind(SPACE.table)
    batch, told, before = SPACE.at(OTHERS[:6]), SPACE.at(TOLD), _before()
    x, z = bound.inputs_of(bound.prior.embed(told), told), bound.inputs_of(bound.prior.embed(batch), batch)
    scale = {
        name: one.spread * (before.std[rows, 0].double() ** 2 / 3 + one.usual * 2 / 3).sqrt()
        for name, rows in (("told", TOLD), ("new", OTHERS[:6]))
    }
    y = (_away(TOLD, 1.0)[:, 0] - one.offset - before.mean[TOLD, 0]) / scale["told"]
    kernel, length = one.process, one.process.lengthscale
    noisy = matern(x, x, length) + kernel.noise * torch.eye(len(x), dtype=x.dtype)
    gain = matern(z, x, length) @ noisy.inverse()
    mean = (
        before.mean[OTHERS[:6], 0]
        + one.offset
        + scale["new"] * (kernel.constant + gain @ (y - kernel.constant))
    )
    covariance = matern(z, z, length) - gain @ matern(x, z, length)
    covariance = scale["new"][:, None] * covariance * scale["new"]
    said, joint = bound.predict(batch), bound.jointly(batch)
    torch.testing.assert_close(said.mean[:, 0].double(), mean, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(said.epistemic[:, 0].double(), covariance.diagonal(), rtol=1e-3, atol=1e-3)
    noise = (scale["new"] ** 2 * kernel.noise).float()
    torch.testing.assert_close(said.aleatoric[:, 0], noise, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(
        joint.covariance(0), covariance, rtol=1e-3, atol=1e-3 * float(scale["new"].max() ** 2)
    )


def test_together_each_is_as_alone_and_objectives_are_independent() -> None:
    bound, batch = _fit(TOLD, _away(TOLD, 1.0)).bind(SPACE.table), SPACE.at(OTHERS)
    said, joint = bound.predict(batch), bound.jointly(batch)
    torch.testing.assert_close(joint.mean.float(), said.mean, rtol=1e-5, atol=1e-4)
    for place in range(2):
        variance = joint.covariance(place).diagonal()
        torch.testing.assert_close(variance.float(), said.epistemic[:, place], rtol=1e-3, atol=1e-3)
    across = torch.einsum("fi,fj->ij", joint.apart[..., 0], joint.apart[..., 1])
    assert across.abs().max() == 0


def test_an_element_that_nobody_measured_is_told_by_the_embedding() -> None:
    gp = _fit(TOLD, _away(TOLD, 1.0))
    table = CompositionTable.of([*SPACE.table.elements, "Zr"])
    batch = CompositionBatch(
        torch.tensor([[0, 1, len(table) - 1]]), torch.tensor([[0.6, 0.3, 0.1]]), torch.zeros(1)
    )
    assert gp.bind(table).predict(batch).mean.isfinite().all()
    assert torch.equal(gp.bind(table).predict(SPACE.at(OTHERS)).mean, _of(gp, OTHERS).mean)


def test_it_can_be_sent_to_workers() -> None:
    bound = _fit(TOLD[:3], _away(TOLD[:3], 1.0)).bind(SPACE.table)
    there = pickle.loads(pickle.dumps(bound))
    torch.testing.assert_close(there.predict(SPACE[0:9]).mean, bound.predict(SPACE[0:9]).mean)


def test_variances_of_a_process_are_its_own() -> None:
    """They are not those of few networks, and are not drawn together."""
    data = small_data()
    capacity = (Objective("capacity_mAh_g", "capacity", 20, 1.5, 4.8, 1),)
    prior = DischargeObjectives(small_process(data), capacity)
    before = prior.bind(data.table).predict(data.batch)
    values = before.mean.double() - 20
    gp = fit_discharge_prior_gp(
        prior, (data.table, data.batch[:2]), values[:2], (data.table, data.batch), seed=0
    )
    after = gp.bind(data.table).predict(data.batch)
    assert gp.processes[0].own == 1
    assert (after.aleatoric > 0).all()
    assert (after.mean[:2] - values[:2]).abs().max() < 8
    torch.testing.assert_close(
        gp.processes[0].scale(before, 0), gp.processes[0].spread * before.std[:, 0].double()
    )
