"""Distillation: what is sampled, what is taught and what is not, and how errors are counted."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from surrogates import distillation
from surrogates.compositions import charges_of
from surrogates.discharge_domain import METALS
from surrogates.distillation import (
    MOST_CHARGE,
    RANGES,
    STUDENT,
    DistillationSettings,
    compare,
    distil,
    sample,
)
from surrogates.encoders.drxnet import PUBLISHED, DRXNet
from surrogates.errors import InputError
from surrogates.members import Members
from surrogates.training import TrainingSettings

SHORT = DistillationSettings(
    conditions=300, training=TrainingSettings(epochs=8, batch_size=64, learning_rate=5e-3)
)


@pytest.fixture(scope="module")
def teachers() -> Members:
    torch.manual_seed(0)
    networks = [DRXNet(PUBLISHED) for _ in range(2)]
    with torch.no_grad():
        for network in networks:
            network.rate.hidden.weight.mul_(0.01)  # untrained, raw rates would saturate them
    return Members.of(networks)[:]


@pytest.fixture(scope="module")
def students(teachers: Members) -> Members:
    return distil(teachers, SHORT, seed=0)


@given(st.integers(0, 2**31))
def test_every_sampled_composition_balances(seed: int) -> None:
    some = sample(50, seed)
    amounts = 2 * some.batch.weights.double()
    assert len(some) == len(some.conditions) == 50
    torch.testing.assert_close(amounts.sum(-1), torch.full((50,), 2.0, dtype=torch.float64))
    elements = some.table.elements
    lowest, highest = (
        (amounts * torch.tensor([float(charges_of(e)[end]) for e in elements])[some.batch.cations]).sum(-1)
        for end in (0, 1)
    )
    anions = 4 - 2 * some.batch.fluorine.double()
    assert ((lowest <= anions + 1e-5) & (anions <= highest + 1e-5)).all()
    assert ((some.batch.cations[:, 0] == 0) & (amounts[:, 0] >= 1) & (amounts[:, 0] <= 1.35)).all()
    metals = (amounts[:, 1:] > 0).sum(-1)
    assert ((metals >= 1) & (metals <= 6)).all()
    for name, (low, high) in RANGES.items():
        values = getattr(some.conditions, name)
        assert ((values >= low - 1e-4) & (values <= high + 1e-4)).all(), name


def test_a_sample_covers_what_it_should_and_is_its_seeds() -> None:
    some, again, other = sample(2000, 1), sample(2000, 1), sample(2000, 2)
    metals = (some.batch.weights[:, 1:] > 0).sum(-1)
    assert set(metals.tolist()) == {1, 2, 3, 4, 5, 6}
    assert set(some.batch.cations[some.batch.weights > 0].tolist()) == set(range(len(METALS) + 1))
    manganese = METALS.index("Mn") + 1
    assert ((metals == 1) & (some.batch.cations[:, 1] == manganese)).float().mean() > 0.1
    assert 0.3 < (some.conditions.cycle == 1).float().mean() < 0.45
    assert torch.equal(some.batch.weights, again.batch.weights)
    assert not torch.equal(some.batch.fluorine, other.batch.fluorine)


def test_only_the_state_network_is_taught(teachers: Members, students: Members) -> None:
    untaught = distillation._untaught(teachers, 0).parameters
    assert students.network.log_conditions is STUDENT.log_conditions is False
    for name, tensor in students.parameters.items():
        assert not tensor.requires_grad
        if name.startswith("charge."):
            assert not torch.equal(tensor, untaught[name]), name
        else:
            assert torch.equal(tensor, teachers.parameters[name]), name


def test_students_come_nearer_to_their_teachers(teachers: Members, students: Members) -> None:
    before = compare(distillation._untaught(teachers, 0), teachers, 200, seed=1)
    after = compare(students, teachers, 200, seed=1)
    for member in range(2):
        assert after.capacity_mae_mAh_g[member] < 0.5 * before.capacity_mae_mAh_g[member]
        assert after.charge_mae_mAh_g[member] < before.charge_mae_mAh_g[member]


def test_the_same_seed_gives_the_same_students(teachers: Members, students: Members) -> None:
    brief = replace(SHORT, training=replace(SHORT.training, epochs=2))
    first, second = distil(teachers, brief, seed=3), distil(teachers, brief, seed=3)
    other = distil(teachers, brief, seed=4)
    assert all(torch.equal(tensor, second.parameters[name]) for name, tensor in first.parameters.items())
    assert not torch.equal(first.parameters["charge.out.weight"], other.parameters["charge.out.weight"])


def test_after_teaching_charge_is_zero_at_the_top_and_never_falls(students: Members) -> None:
    some = sample(40, 5)
    window = some.conditions.window()
    voltage = torch.lerp(window[:, :1], window[:, 1:], torch.linspace(0, 1, 50))
    charge, slope = distillation._profiles(students, distillation._states(students, some), window, voltage)
    assert (charge[..., -1] <= 1e-4).all()  # the last voltage is V_high up to rounding
    assert (slope <= 0).all()
    assert (charge[..., 0] > 0).all()


def test_errors_are_those_of_a_loop(teachers: Members, students: Members) -> None:
    found = compare(students, teachers, 60, seed=7)
    some = sample(60, 7)
    said = []
    for members in (students, teachers):
        each = []
        for member in range(2):
            one = Members.of([members.network])[:]
            one = Members(
                one.network, {n: t[member : member + 1] for n, t in members.parameters.items()}, one.buffers
            )
            capacities = []
            for row in range(60):
                batch, condition = some.batch[row : row + 1], some.conditions[torch.tensor([row])]
                embedding = one.each("embed", some.table, batch)
                _, now = one.each("states", mine=(embedding, one.each("condition", condition)))
                window = condition.window()
                capacities.append(one.each("discharge", window, window[:, :1], mine=(now,)).item())
            each.append(capacities)
        said.append(torch.tensor(each))
    own, theirs = said
    assert found.conditions == 60 and found.left_out == 0
    torch.testing.assert_close(
        torch.tensor(found.capacity_mae_mAh_g), (own - theirs).abs().mean(1), rtol=1e-4, atol=1e-3
    )
    mean = (own.mean(0) - theirs.mean(0)).abs().mean()
    assert found.mean_capacity_mae_mAh_g == pytest.approx(mean.item(), rel=1e-4)
    rank = spearmanr(own.std(0), theirs.std(0)).statistic
    assert found.spread_spearman == pytest.approx(rank, abs=1e-2)


def test_teachers_do_not_differ_from_themselves(teachers: Members) -> None:
    errors = compare(teachers, teachers, 100, seed=2)
    assert errors.capacity_mae_mAh_g == errors.charge_mae_mAh_g == errors.slope_mae_mAh_g_V == (0, 0)
    assert errors.mean_capacity_mae_mAh_g == 0
    assert errors.spread_spearman == pytest.approx(1)


def test_what_no_cathode_can_hold_is_neither_taught_nor_compared(teachers: Members) -> None:
    loud = dict(teachers.parameters)
    loud["charge.out.bias"] = loud["charge.out.bias"] + torch.tensor([[0.0], [2 * MOST_CHARGE]])
    boasters = Members(teachers.network, loud, teachers.buffers)
    possible = distillation._possible(torch.tensor([[[1.0, 900.0]], [[MOST_CHARGE + 1, 0.0]]]))
    assert possible.tolist() == [False]
    with pytest.raises(InputError) as error:
        distil(boasters, SHORT, seed=0)
    assert str(error.value) == (
        "teachers: of every sampled cathode one of them says more than 500 mAh/g. Give the published weights."
    )
