"""Learning from profiles: the loss, what each member sees, and what the fitted ensemble keeps to."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from surrogates import discharge_training
from surrogates.discharge import discharge, embed_compositions, profiles
from surrogates.discharge_profiles import ProfileData, read_profiles
from surrogates.discharge_training import (
    ProfileSettings,
    fit_profiles,
    profile_domain,
    score_profiles,
)
from surrogates.encoders.drxnet import DRXNet, DRXNetSettings
from surrogates.errors import InputError
from surrogates.members import Members
from tests.synthetic_profiles import table, write

SMALL = DRXNetSettings(layers=1, heads=1, hidden=8, voltage=16, steps=8)
SETTINGS = ProfileSettings(members=2, steps=80, learning_rate=1e-2, network=SMALL)
ALL = torch.arange(12)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ProfileData:
    return read_profiles(write(tmp_path_factory.mktemp("profiles"), table()))


@pytest.fixture(scope="module")
def fitted(data: ProfileData) -> Members:
    return fit_profiles(data, ALL, SETTINGS, seed=0)


def test_profiles_are_learnt(data: ProfileData, fitted: Members) -> None:
    torch.manual_seed(0)
    before = score_profiles(Members.of([DRXNet(SMALL) for _ in range(2)])[:], data, ALL)
    after = score_profiles(fitted, data, ALL)
    assert after.charge_mae_mAh_g < 15 < before.charge_mae_mAh_g
    assert after.slope_mae_mAh_g_V < before.slope_mae_mAh_g_V
    assert after.capacity_std_mAh_g > 0


def test_what_is_fitted_is_zero_at_the_top_and_never_falls(data: ProfileData, fitted: Members) -> None:
    scores = score_profiles(fitted, data, ALL)
    assert scores.top_charge_mAh_g == 0
    assert scores.rising == 0
    said = profiles(fitted, embed_compositions(fitted, data.table, data.batch), data.conditions)
    assert (said.charge_mAh_g[..., -1] == 0).all()
    assert (said.slope_mAh_g_V <= 0).all()


def test_without_the_switch_there_is_charge_at_the_top(data: ProfileData) -> None:
    free = replace(SETTINGS, steps=20, network=replace(SMALL, monotonic=False))
    assert score_profiles(fit_profiles(data, ALL, free, seed=0), data, ALL).top_charge_mAh_g > 0


def test_the_same_seed_gives_the_same_members(data: ProfileData) -> None:
    brief = replace(SETTINGS, steps=10)
    first, again, other = (fit_profiles(data, ALL, brief, seed) for seed in (1, 1, 2))
    assert all(torch.equal(tensor, again.parameters[name]) for name, tensor in first.parameters.items())
    weight = first.parameters["charge.out.weight"]
    assert not torch.equal(weight, other.parameters["charge.out.weight"])
    assert not torch.equal(weight[0], weight[1])


def test_no_other_profile_is_looked_at(data: ProfileData) -> None:
    rows, brief = ALL[:8], replace(SETTINGS, steps=10)
    spoilt = replace(data, charge=data.charge.clone(), slope=data.slope.clone())
    spoilt.charge[8:], spoilt.slope[8:] = torch.nan, torch.nan
    first, second = (fit_profiles(some, rows, brief, seed=0) for some in (data, spoilt))
    assert all(torch.equal(tensor, second.parameters[name]) for name, tensor in first.parameters.items())


def test_the_loss_is_that_of_a_loop(data: ProfileData) -> None:
    torch.manual_seed(3)
    networks = [DRXNet(SMALL) for _ in range(2)]
    rows = torch.tensor([1, 4, 5])  # the last two are of one composition
    each, rough = discharge_training._misses(Members.of(networks), data, rows)
    for member, one in enumerate(networks):
        means: dict[int, list[torch.Tensor]] = {}
        weights = {int(k): data.batch.weights[k : k + 1].clone().requires_grad_() for k in (0, 1, 2, 3)}
        for place, row in enumerate(rows.tolist()):
            kind = int(data.composition[row])
            batch = replace(data.batch[kind : kind + 1], weights=weights[kind])
            condition = data.conditions[torch.tensor([row])]
            first, now = one.states(one.embed(data.table, batch), one.condition(condition))
            volts = data.voltage[row : row + 1].clone().requires_grad_()
            charge = one.discharge(now, condition.window(), volts)
            (slope,) = torch.autograd.grad(charge.sum(), volts, retain_graph=True)
            first_charge = one.discharge(first, condition.window(), volts)
            loss = (
                (charge - data.charge[row]).square().mean()
                + (slope - data.slope[row]).square().mean()
                + 5 * (first_charge - data.first_charge[row]).abs().mean()
            )
            torch.testing.assert_close(each[member, place], loss, rtol=1e-4, atol=1e-4)
            means.setdefault(kind, []).append(charge.mean())
        norms = [torch.autograd.grad(sum(some), weights[kind])[0].norm() for kind, some in means.items()]
        torch.testing.assert_close(rough[member], sum(norms) / 3, rtol=1e-4, atol=1e-4)


def test_an_unknown_first_cycle_counts_for_nothing(data: ProfileData) -> None:
    torch.manual_seed(4)
    members = Members.of([DRXNet(SMALL) for _ in range(2)])
    lone = replace(data, first_charge=torch.full_like(data.first_charge, torch.nan))
    each, rough = discharge_training._misses(members, lone, ALL)
    (each.sum() + rough.sum()).backward()
    assert each.isfinite().all()
    for name, tensor in members.parameters.items():
        assert tensor.grad is None or tensor.grad.isfinite().all(), name
    known, _ = discharge_training._misses(members, data, ALL)
    assert (known > each).all()


def test_scores_are_those_of_the_mean(data: ProfileData, fitted: Members) -> None:
    rows = torch.tensor([2, 9])
    scores = score_profiles(fitted, data, rows)
    embedding = embed_compositions(fitted, data.table, data.batch)
    capacities = []
    for row in rows.tolist():
        condition, kind = data.conditions[torch.tensor([row])], int(data.composition[row])
        mine = (embedding[:, kind : kind + 1], fitted.each("condition", condition))
        _, now = fitted.each("states", mine=mine)
        capacities.append(
            fitted.each("discharge", condition.window(), data.voltage[row : row + 1, :1], mine=(now,))
        )
    found = torch.cat(capacities, dim=1)[..., 0].detach()
    miss = (found.mean(0) - data.charge[rows, 0]).abs().mean()
    assert scores.profiles == 2
    assert scores.capacity_mae_mAh_g == pytest.approx(miss.item(), rel=1e-4)
    assert scores.capacity_std_mAh_g == pytest.approx(found.std(0).mean().item(), rel=1e-4)


def test_the_domain_is_that_of_the_profiles(data: ProfileData, fitted: Members) -> None:
    domain = profile_domain(fitted, data)
    assert domain.cations == ("Li", "Mn", "Ti", "Cr")
    assert domain.lithium == pytest.approx((1.2, 1.25))
    assert domain.fluorine == pytest.approx((0, 0.3))
    assert domain.ranges == {
        "rate_mA_g": (20, 20),
        "V_low": (1.5, 1.5),
        "V_high": (4.8, 4.8),
        "cycle": (1, 3),
    }
    assert domain.condition == (20, 1.5, 4.8, 1)
    embedding = embed_compositions(fitted, data.table, data.batch)
    spread = discharge(fitted, embedding, data.conditions[:1]).capacity_mAh_g[..., 0].std(0)
    assert domain.spread_mAh_g == pytest.approx(torch.quantile(spread, 0.95).item(), rel=1e-4)
    held = domain.holds(fitted, data.table, data.batch, embedding)
    assert held.sum() == 3  # 95 % of four, and the quantile lies below the largest


def test_too_little_is_refused(data: ProfileData) -> None:
    with pytest.raises(InputError) as error:
        fit_profiles(data, ALL[:3], replace(SETTINGS, members=1), seed=0)
    assert str(error.value).splitlines() == [
        "members: 1 given; one member cannot differ from itself, so 2 or more are needed. "
        "Use 5, the default.",
        "profiles.csv: 3 profiles to train on; at least 4 are needed. Add profiles.",
    ]
