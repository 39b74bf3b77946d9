"""The cathodes' encoder: symmetries, derivative, members, and the switch that keeps profiles monotonic."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from surrogates.composition_batches import CompositionBatch, Conditions
from surrogates.encoders.drxnet import PUBLISHED, DRXNet, DRXNetSettings
from surrogates.members import Members
from tests.synthetic_compositions import CONDITIONS, TABLE, compositions, network

OURS = DRXNetSettings()
BOTH = pytest.mark.parametrize("settings", [OURS, PUBLISHED], ids=["monotonic", "published"])
EXACT = {"rtol": 1e-12, "atol": 1e-12}
WINDOW = CONDITIONS.window().double()
VOLTAGE = torch.lerp(WINDOW[:, :1], WINDOW[:, 1:], torch.linspace(0, 1, 40, dtype=torch.float64))


def _profiles(network: DRXNet, batch: CompositionBatch) -> Tensor:
    """Return the profiles of all compositions under all conditions, `n x c x v`."""
    embedding = network.embed(TABLE, batch)[:, None]
    _, state = network.states(embedding, network.condition(CONDITIONS))
    return network.discharge(state, WINDOW, VOLTAGE)


@given(st.permutations(range(5)), st.integers(0, 2**31))
def test_the_order_of_cations_does_not_matter(order: list[int], seed: int) -> None:
    model, batch = network(OURS, 0), compositions(3, 5, seed)
    shuffled = CompositionBatch(batch.cations[:, order], batch.weights[:, order], batch.fluorine)
    torch.testing.assert_close(model.embed(TABLE, shuffled), model.embed(TABLE, batch), **EXACT)


@given(st.integers(1, 5), st.integers(1, 4), st.integers(0, 6), st.integers(0, 2**31))
def test_a_padded_row_equals_the_unpadded_one(cations: int, more: int, points_to: int, seed: int) -> None:
    model, batch = network(OURS, 1), compositions(3, cations, seed)
    padding = torch.full((3, more), points_to)
    padded = CompositionBatch(
        torch.cat([batch.cations, padding], dim=1),
        torch.cat([batch.weights, torch.zeros(3, more, dtype=torch.float64)], dim=1),
        batch.fluorine,
    )
    torch.testing.assert_close(model.embed(TABLE, padded), model.embed(TABLE, batch), **EXACT)


def test_padding_has_no_gradient_problem() -> None:
    batch = compositions(2, 3, seed=0)
    weights = torch.cat([batch.weights, torch.zeros(2, 2, dtype=torch.float64)], dim=1).requires_grad_()
    cations = torch.cat([batch.cations, torch.zeros(2, 2, dtype=torch.int64)], dim=1)
    network(OURS, 0).embed(TABLE, CompositionBatch(cations, weights, batch.fluorine)).sum().backward()
    assert weights.grad is not None
    assert weights.grad.isfinite().all()


def test_compositions_do_not_see_each_other() -> None:
    model, batch = network(OURS, 2), compositions(6, 4, seed=3)
    alone = torch.cat([model.embed(TABLE, batch[row : row + 1]) for row in range(6)])
    torch.testing.assert_close(model.embed(TABLE, batch), alone, **EXACT)


@BOTH
def test_amounts_fluorine_and_each_condition_count(settings: DRXNetSettings) -> None:
    model, batch = network(settings, 3), compositions(1, 4, seed=4)
    base = Conditions.of([20], [10], [1.5], [4.8])

    def at_3_V(batch: CompositionBatch, conditions: Conditions) -> float:
        _, state = model.states(model.embed(TABLE, batch), model.condition(conditions))
        voltage = torch.full((1, 1), 3.0, dtype=torch.float64)
        return model.discharge(state, conditions.window().double(), voltage).item()

    seen = {
        at_3_V(batch, base),
        at_3_V(replace(batch, weights=1.1 * batch.weights), base),
        at_3_V(replace(batch, fluorine=batch.fluorine + 0.1), base),
        *(
            at_3_V(batch, Conditions.of(*changed))
            for changed in (
                ([40], [10], [1.5], [4.8]),
                ([20], [20], [1.5], [4.8]),
                ([20], [10], [1.6], [4.8]),
                ([20], [10], [1.5], [4.7]),
            )
        ),
    }
    assert len(seen) == 7


@BOTH
def test_pairs_of_compositions_and_conditions_are_rows(settings: DRXNetSettings) -> None:
    model, batch = network(settings, 4), compositions(3, 4, seed=5)
    _, state = model.states(model.embed(TABLE, batch), model.condition(CONDITIONS))
    rows = model.discharge(state, WINDOW, VOLTAGE)
    pairs = _profiles(model, batch)
    torch.testing.assert_close(rows, pairs[torch.arange(3), torch.arange(3)], **EXACT)


def test_in_the_first_cycle_both_states_are_one() -> None:
    model, batch = network(OURS, 5), compositions(2, 4, seed=6)
    first, now = model.states(model.embed(TABLE, batch)[:, None], model.condition(CONDITIONS))
    assert torch.equal(first[:, 0], now[:, 0])  # the cycles are 1, 30 and 10
    assert not torch.isclose(first[:, 1:], now[:, 1:]).all(-1).any()


def test_the_cycle_term_is_linear_behind_its_gate() -> None:
    model, batch = network(OURS, 6), compositions(1, 4, seed=7)
    embedding, condition = model.embed(TABLE, batch), model.condition(CONDITIONS[1:2]).clone()
    first, now = model.states(embedding, condition)
    condition[:, -1] *= 2
    torch.testing.assert_close(model.states(embedding, condition)[1] - first, 2 * (now - first))


@BOTH
def test_the_slope_is_the_derivative(settings: DRXNetSettings) -> None:
    model, batch = network(settings, 7), compositions(4, 4, seed=8)
    _, state = model.states(model.embed(TABLE, batch)[:, None], model.condition(CONDITIONS))
    charge, slope = model.discharge_slope(state, WINDOW, VOLTAGE)
    up, down = (model.discharge(state, WINDOW, VOLTAGE + step) for step in (1e-5, -1e-5))
    torch.testing.assert_close(charge, model.discharge(state, WINDOW, VOLTAGE), **EXACT)
    torch.testing.assert_close(slope, (up - down) / 2e-5, rtol=1e-6, atol=1e-6)


@given(st.integers(0, 2**31), st.floats(0.1, 10), st.sampled_from([torch.float32, torch.float64]))
def test_whatever_the_weights_charge_is_zero_at_the_top_and_never_falls_on_the_way_down(
    seed: int, wild: float, dtype: torch.dtype
) -> None:
    model = network(OURS, seed)
    with torch.no_grad():
        for parameter in model.charge.parameters():
            parameter.mul_(wild)
    model = model.to(dtype)
    _, state = model.states(
        model.embed(TABLE, compositions(3, 4, seed))[:, None], model.condition(CONDITIONS)
    )
    charge, slope = model.discharge_slope(state, WINDOW.to(dtype), VOLTAGE.to(dtype))
    top = model.discharge(state, WINDOW.to(dtype), WINDOW.to(dtype)[:, 1:])
    assert (top == 0).all()
    assert (charge >= 0).all()
    assert (slope <= 0).all()
    rounding = 4 * torch.finfo(dtype).eps * charge[..., :1]
    assert (charge[..., :-1] - charge[..., 1:] >= -rounding).all()


def test_without_the_switch_there_is_charge_at_the_top() -> None:
    model, batch = network(DRXNetSettings(monotonic=False), 0), compositions(3, 4, seed=9)
    assert (_profiles(model, batch)[..., -1] > 1).all()


@BOTH
def test_members_are_a_loop(settings: DRXNetSettings) -> None:
    networks = [network(settings, seed) for seed in (10, 11, 12)]
    members, batch = Members.of(networks), compositions(4, 4, seed=10)
    embedding = members.each("embed", TABLE, batch)
    condition = members.each("condition", CONDITIONS)
    _, state = members.each("states", mine=(embedding[:, :, None], condition[:, None]))
    charge, slope = members.each("discharge_slope", WINDOW, VOLTAGE, mine=(state,))
    for member, single in enumerate(networks):
        torch.testing.assert_close(charge[member], _profiles(single, batch), **EXACT)
    assert slope.shape == charge.shape == (3, 4, 3, 40)
    assert not torch.isclose(charge[0], charge[1]).all()


@BOTH
def test_a_loss_with_the_slope_reaches_every_parameter_of_every_member(settings: DRXNetSettings) -> None:
    members, batch = Members.of([network(settings, seed) for seed in (1, 2)]), compositions(3, 4, seed=11)
    embedding, condition = members.each("embed", TABLE, batch), members.each("condition", CONDITIONS)
    first, now = members.each("states", mine=(embedding, condition))
    charge, slope = members.each("discharge_slope", WINDOW, VOLTAGE, mine=(now,))
    first_charge = members.each("discharge", WINDOW, VOLTAGE, mine=(first,))
    sum(tensor.square().sum() for tensor in (first_charge, charge, slope)).backward()
    for name, parameter in members.parameters.items():
        assert parameter.grad is not None, name
        gradient = parameter.grad.flatten(1)
        assert gradient.isfinite().all(), name
        # Softmax does not see what all its scores share.
        assert (gradient.abs().amax(1) > 0).all() or name.endswith("gate_bias"), name


def test_slope_gradients_are_right() -> None:
    model, batch = network(OURS, 8), compositions(1, 3, seed=12)
    condition = model.condition(CONDITIONS[1:2]).detach()

    def slope(weights: Tensor) -> Tensor:
        embedding = model.embed(TABLE, replace(batch, weights=weights))
        _, state = model.states(embedding, condition)
        return model.discharge_slope(state, WINDOW[1:2], VOLTAGE[1:2, ::8])[1]

    assert torch.autograd.gradcheck(slope, (batch.weights.requires_grad_(),))


def test_the_published_size() -> None:
    # 128,778 without the 260 scales and shifts of batch norms, and one of two biases of 64 that add up.
    assert sum(parameter.numel() for parameter in DRXNet(PUBLISHED).parameters()) == 128_778 - 260 - 64
