"""Pooling against a plain loop, and each law against its formula, its signs and its ends."""

from __future__ import annotations

import math
from itertools import product
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from surrogates.encoders.mixture_law import LawName, MixtureLaw, perceptron, pool
from surrogates.laws import GAS_CONSTANT
from surrogates.species import SpeciesBatch

TARGET = torch.tensor([-5.0, -3.0, -2.0, -2.0], dtype=torch.float64)
TEMPERATURES_K = torch.tensor([240.0, 280.0, 300.0, 340.0], dtype=torch.float64)
SHIFT, SCALE = -3.0, math.sqrt(2.0)  # of TARGET, with n - 1
MIDDLE, LOWEST = 290.0, 0.9 * 240.0
LAWS = get_args(LawName)
WITH_TEMPERATURE = ("log", "none")

raws = st.lists(st.floats(-60, 60), min_size=4, max_size=4)


def says(raw: list[float], law: LawName) -> MixtureLaw:
    """Return a law whose MixNet says `raw` of every mixture."""
    network = MixtureLaw(law, 2, (3,)).double()
    last = network.mix_net[-1]
    assert isinstance(last, nn.Linear)
    nn.init.zeros_(last.weight)
    last.bias.data = torch.tensor(raw, dtype=torch.float64)
    network.standardise(TEMPERATURES_K, TARGET)
    return network.double()


def asked(network: MixtureLaw, temperature_K: list[float]) -> Tensor:
    """Return log10 of the property of a mixture at temperatures."""
    t = torch.tensor(temperature_K, dtype=torch.float64)
    with torch.no_grad():
        mean, _ = network(torch.cat([torch.ones(len(t), 2, dtype=torch.float64), t[:, None]], dim=1))
    return SHIFT + SCALE * mean


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


@given(st.integers(0, 2**31))
def test_pooling_is_a_sum_over_species_and_over_ordered_pairs(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x, s = (torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in ((5, 4), (4, 3)))
    pairs = torch.triu_indices(4, 4)[:, torch.randperm(10, generator=generator)]
    p = torch.randn(10, 3, generator=generator, dtype=torch.float64)
    t = torch.arange(5, dtype=torch.float64)
    place = {pair: row for row, (a, b) in enumerate(pairs.T.tolist()) for pair in ((a, b), (b, a))}

    found = pool(SpeciesBatch(x, pairs, t), s, p)

    for n in range(5):
        alone = sum(x[n, i] * s[i] for i in range(4))
        together = sum(x[n, i] * x[n, j] * p[place[i, j]] for i, j in product(range(4), repeat=2))
        torch.testing.assert_close(found[n], torch.cat([alone, together, t[n : n + 1]]))


def test_a_perceptron_has_no_activation_behind_its_last_layer() -> None:
    network = perceptron([3, 5, 2])
    assert [type(layer) for layer in network] == [nn.Linear, nn.ReLU, nn.Linear]
    assert [tuple(layer.weight.shape) for layer in network[::2]] == [(5, 3), (2, 5)]


def test_vft_is_its_formula() -> None:
    network = says([0.5, 1.0, 0.25, 0.0], "vft")
    c2, c3 = 100 * softplus(1.0), LOWEST / (1 + math.exp(-0.25))
    c1 = SHIFT + 0.5 * SCALE + c2 / (MIDDLE - c3)
    temperatures = [240.0, 290.0, 355.0]
    expected = [c1 - c2 / (t - c3) for t in temperatures]
    assert asked(network, temperatures).tolist() == pytest.approx(expected, rel=1e-6)
    assert expected[1] == pytest.approx(SHIFT + 0.5 * SCALE)


def test_arrhenius_is_its_formula() -> None:
    network = says([0.5, -1.0, 9.0, 0.0], "arrhenius")
    slope = 1e4 * softplus(-1.0) / (GAS_CONSTANT * math.log(10))
    temperatures = [150.0, 290.0, 355.0]
    expected = [SHIFT + 0.5 * SCALE - slope * (1 / t - 1 / MIDDLE) for t in temperatures]
    assert asked(network, temperatures).tolist() == pytest.approx(expected, rel=1e-6)


def test_log_is_what_the_network_says() -> None:
    network = says([0.5, 7.0, 7.0, 0.0], "log")
    assert asked(network, [240.0, 340.0]).tolist() == pytest.approx([SHIFT + 0.5 * SCALE] * 2, rel=1e-6)


def test_none_is_the_logarithm_of_a_softplus_of_what_the_network_says() -> None:
    network = says([0.5, 7.0, 7.0, 0.0], "none")
    values = (10**TARGET).tolist()
    mean = sum(values) / 4
    unit = math.sqrt(sum((value - mean) ** 2 for value in values) / 3)
    expected = math.log10(unit * softplus(0.5))
    assert asked(network, [240.0, 340.0]).tolist() == pytest.approx([expected] * 2, rel=1e-5)


@pytest.mark.parametrize("law", WITH_TEMPERATURE)
def test_the_network_without_a_law_reads_the_standardised_temperature(law: LawName) -> None:
    torch.manual_seed(0)
    network = MixtureLaw(law, 2, (3,))
    network.standardise(TEMPERATURES_K, TARGET)
    mixed = torch.tensor([[0.3, -0.2, 262.0]])
    standard = (262.0 - MIDDLE) / float(TEMPERATURES_K.std())
    said = network.mix_net(torch.tensor([[0.3, -0.2, standard]]))[0, 0].detach()
    expected = said if law == "log" else (((10**TARGET).std() * said.exp().log1p()).log10() - SHIFT) / SCALE
    assert network(mixed)[0].item() == pytest.approx(float(expected), rel=1e-4)


@pytest.mark.parametrize("law", ["vft", "arrhenius"])
def test_the_network_with_a_law_does_not_read_the_temperature(law: LawName) -> None:
    torch.manual_seed(0)
    network = MixtureLaw(law, 2, (3,))
    network.standardise(TEMPERATURES_K, TARGET)
    mean, variance = network(torch.tensor([[0.3, -0.2, 262.0], [0.3, -0.2, 320.0]]))
    assert variance[0] == variance[1]
    assert mean[0] < mean[1]


@given(raws, st.floats(235, 400), st.floats(1, 100))
def test_with_a_law_the_property_never_falls_as_it_gets_warmer(raw: list[float], t: float, dt: float) -> None:
    for law in ("vft", "arrhenius"):
        cold, warm = asked(says(raw, law), [t, t + dt])
        assert warm >= cold


@given(raws, st.floats(1, 600), st.sampled_from(LAWS))
def test_at_any_temperature_every_law_says_a_finite_number(raw: list[float], t: float, law: LawName) -> None:
    network = says([2 * number for number in raw], law).float()
    mean, variance = network(torch.tensor([[1.0, 1.0, t]]))
    assert mean.isfinite().all()
    assert 0 < variance.item() < math.inf


def test_colder_than_95_percent_of_the_lowest_counts_as_that() -> None:
    network = says([0.5, 1.0, 30.0, 0.0], "vft")  # c3 is 216 K
    at = asked(network, [1.0, 200.0, 216.0, 228.0, 228.5])
    assert at[:3].tolist() == pytest.approx([float(at[3])] * 3, rel=1e-6)
    assert at[4] > at[3] + 0.01


def test_below_what_float32_can_hold_there_is_still_a_gradient() -> None:
    network = says([-400.0, 0.0, 0.0, 0.0], "none").float()
    last = network.mix_net[-1]
    mean, _ = network(torch.tensor([[1.0, 1.0, 300.0]]))
    mean.sum().backward()
    assert isinstance(last, nn.Linear)
    assert last.bias.grad is not None
    assert last.bias.grad.isfinite().all()


@pytest.mark.parametrize("law", ["vft", "arrhenius", "log"])
def test_at_the_start_it_says_the_mean_about(law: LawName) -> None:
    torch.manual_seed(1)
    network = MixtureLaw(law, 8, (16,))
    network.standardise(TEMPERATURES_K, TARGET)
    pooled = torch.cat([torch.randn(200, 8), torch.full((200, 1), MIDDLE)], dim=1)
    mean, variance = network(pooled)
    assert mean.abs().max() < 0.5
    assert variance.min() > 0.05
    assert variance.max() < 0.3


def test_rows_at_one_temperature_have_a_scale_all_the_same() -> None:
    network = MixtureLaw("log", 2, (3,))
    network.standardise(torch.full((4,), 298.15), TARGET)
    assert network.temperature.tolist() == pytest.approx([298.15, 1.0, 0.9 * 298.15])


@pytest.mark.parametrize("law", LAWS)
def test_a_students_second_variance_changes_nothing_else(law: LawName) -> None:
    torch.manual_seed(0)
    one, two = MixtureLaw(law, 2, (3,)), MixtureLaw(law, 2, (3,), variances=2)
    for network in (one, two):
        network.standardise(TEMPERATURES_K.float(), TARGET.float())
    state = two.state_dict()
    for name, tensor in one.state_dict().items():
        state[name] = torch.cat([tensor, state[name][4:]]) if name.startswith("mix_net.2") else tensor
    two.load_state_dict(state)
    mixed = torch.tensor([[0.3, -0.2, 260.0], [1.0, 2.0, 330.0]])
    said = two.outputs(mixed)
    assert said.shape == (3, 2)
    torch.testing.assert_close(said[:2], one.outputs(mixed))
    for own, other in zip(two(mixed), one(mixed), strict=True):
        torch.testing.assert_close(own, other)
