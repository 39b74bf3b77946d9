"""Capacity, energy, voltage and retention, worked by hand and against dense rules."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from surrogates import discharge as module
from surrogates.composition_batches import Conditions
from surrogates.discharge import Discharge, discharge, embed_compositions, profiles
from surrogates.encoders.drxnet import PUBLISHED, DRXNetSettings
from surrogates.members import Members
from tests.synthetic_compositions import CONDITIONS, TABLE, compositions, network


class Line(nn.Module):
    """A charge that falls evenly from `slope` (V_high - V); each cycle after the first takes a tenth."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(slope))

    def condition(self, conditions: Conditions) -> Tensor:
        return (conditions.cycle[:, None] - 1) * torch.ones_like(self.slope)

    def states(self, embedding: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        return embedding + 0 * condition, embedding * (1 - 0.1 * condition)

    def discharge(self, state: Tensor, window: Tensor, voltage: Tensor) -> Tensor:
        return self.slope * state * (window[..., 1:] - voltage)


def test_an_even_profile_worked_by_hand() -> None:
    members = Members.of([Line(50.0), Line(100.0)])
    conditions = Conditions.of([20, 20], [1, 3], [2.0, 2.0], [4.0, 4.0])
    result = discharge(members, torch.ones(2, 1, 1), conditions, nodes=4)
    # Two volts at 50 or 100 mAh/g/V; the mean voltage is the window's middle; two cycles take a fifth.
    capacity = torch.tensor([[[100.0, 80.0]], [[200.0, 160.0]]])
    torch.testing.assert_close(result.capacity_mAh_g, capacity)
    torch.testing.assert_close(result.energy_Wh_kg, 3 * capacity)
    torch.testing.assert_close(result.average_voltage_V(), torch.full((2, 1, 2), 3.0))
    torch.testing.assert_close(result.retention(), torch.tensor([[[1.0, 0.8]]] * 2))


def test_a_member_counts_by_its_denominator() -> None:
    capacity = torch.tensor([100.0, 300.0, 0.0]).reshape(3, 1, 1)
    energy = torch.tensor([250.0, 900.0, 0.0]).reshape(3, 1, 1)
    result = Discharge(capacity, energy, 2 * capacity)
    each = result.average_voltage_V().flatten()
    torch.testing.assert_close(each[:2], torch.tensor([2.5, 3.0]))
    assert each[2].isnan()
    mean, variance = result.voltage_statistics()
    # 1150 / 400; shares 1/4 and 3/4 of squared distances 0.375 and 0.125, over 1 - (1/16 + 9/16).
    assert mean.item() == pytest.approx(2.875)
    assert variance.item() == pytest.approx((0.25 * 0.375**2 + 0.75 * 0.125**2) / 0.375)
    retention, spread = result.retention_statistics()
    assert [retention.item(), spread.item()] == pytest.approx([0.5, 0.0])


def test_equal_members_have_the_usual_variance() -> None:
    capacity = torch.full((4, 3, 2), 200.0)
    energy = 200 * torch.tensor([2.8, 3.0, 3.1, 2.9])[:, None, None].expand(-1, 3, 2)
    result = Discharge(capacity, energy, capacity)
    mean, variance = result.voltage_statistics()
    voltage = result.average_voltage_V()
    torch.testing.assert_close(mean, voltage.mean(0))
    torch.testing.assert_close(variance, voltage.var(0), rtol=1e-4, atol=1e-6)


def test_no_member_with_capacity_is_no_voltage_and_no_nan() -> None:
    nothing = torch.zeros(5, 1, 1)
    mean, variance = Discharge(nothing, nothing, nothing).voltage_statistics()
    assert [mean.item(), variance.item()] == [0.0, 0.0]


@pytest.mark.parametrize("monotonic", [True, False])
def test_energy_is_the_integral_of_the_profile(monotonic: bool) -> None:
    settings = DRXNetSettings(monotonic=monotonic)
    members = Members.of([network(settings, seed) for seed in (0, 1)])
    embedding = embed_compositions(members, TABLE, compositions(3, 4, seed=0))
    result = discharge(members, embedding, CONDITIONS)
    curves = profiles(members, embedding, CONDITIONS, points=4001)
    charge, voltage = curves.charge_mAh_g, curves.voltage
    by_parts = (charge[..., :-1] - charge[..., 1:]) * (voltage[:, :-1] + voltage[:, 1:]) / 2
    torch.testing.assert_close(result.capacity_mAh_g, charge[..., 0], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(result.energy_Wh_kg, by_parts.sum(-1), rtol=1e-5, atol=1e-5)


def test_profiles_span_the_window_and_carry_their_slope() -> None:
    members = Members.of([network(DRXNetSettings(), 0)])
    embedding = embed_compositions(members, TABLE, compositions(2, 4, seed=1))
    curves = profiles(members, embedding, CONDITIONS, points=2001)
    window = CONDITIONS.window().double()
    assert torch.equal(curves.voltage[:, [0, -1]], window)
    assert curves.charge_mAh_g.shape == (1, 2, 3, 2001)
    step = curves.voltage[:, 1:] - curves.voltage[:, :-1]
    middle = (curves.slope_mAh_g_V[..., 1:] + curves.slope_mAh_g_V[..., :-1]) / 2
    change = curves.charge_mAh_g.diff(dim=-1)
    torch.testing.assert_close(change, middle * step, rtol=1e-3, atol=1e-5)


def test_the_first_capacity_is_that_of_cycle_1() -> None:
    members = Members.of([network(DRXNetSettings(), seed) for seed in (0, 1)])
    embedding = embed_compositions(members, TABLE, compositions(3, 4, seed=2))
    result = discharge(members, embedding, CONDITIONS)
    ones = Conditions(
        CONDITIONS.rate_mA_g, torch.ones_like(CONDITIONS.cycle), CONDITIONS.V_low, CONDITIONS.V_high
    )
    first = discharge(members, embedding, ones)
    torch.testing.assert_close(result.first_capacity_mAh_g, first.capacity_mAh_g)
    assert torch.equal(first.first_capacity_mAh_g, first.capacity_mAh_g)


@pytest.mark.parametrize("settings", [DRXNetSettings(), PUBLISHED], ids=["monotonic", "published"])
def test_blocks_do_not_show(settings: DRXNetSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    members, batch = Members.of([network(settings, seed) for seed in (0, 1)]), compositions(7, 4, seed=3)

    def everything() -> tuple[Tensor, ...]:
        embedding = embed_compositions(members, TABLE, batch)
        result, curves = discharge(members, embedding, CONDITIONS), profiles(members, embedding, CONDITIONS)
        return embedding, result.capacity_mAh_g, result.energy_Wh_kg, curves.charge_mAh_g

    whole = everything()
    monkeypatch.setattr(module, "_EMBED_AT_ONCE", 2)
    monkeypatch.setattr(module, "_POINTS_AT_ONCE", 1)
    for one, other in zip(whole, everything(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
        assert one.shape[1] == 7
