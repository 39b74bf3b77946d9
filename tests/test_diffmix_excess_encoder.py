"""DiffMix for excess properties: what the law promises, whatever the network says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.polynomial.legendre import legval
from torch import Tensor

from surrogates.atom_features import atom_features
from surrogates.blends import BlendBatch
from surrogates.encoders.diffmix import GraphSettings
from surrogates.encoders.diffmix_excess import DiffMixExcess, DiffMixExcessSettings, excess_network
from surrogates.members import Members
from surrogates.molecules import Component, MoleculeTable

SMILES = ("CCO", "O", "CC1COC(=O)O1", "COC(=O)OC")
TABLE = MoleculeTable.build([Component.of(smiles) for smiles in SMILES])
ATOMS = atom_features(TABLE)
ORDERS = (None, 0, 4, 9)


def network(order: int | None) -> DiffMixExcess:
    torch.manual_seed(0)
    sizes = DiffMixExcessSettings(
        order=order, graph=GraphSettings(hidden=8, molecule=4, dropout=0.0), pair=(8,), pooled=4, mix=(8,)
    )
    made = excess_network(sizes).eval()
    made.standardise(TABLE, ATOMS)
    return made  # without a law it has the same methods but pair


NETWORKS = {order: network(order) for order in ORDERS}


def said(order: int | None, molecules: Tensor, x: Tensor, temperature_K: Tensor) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        mean, variance = NETWORKS[order](TABLE, ATOMS, BlendBatch.of(molecules, x, temperature_K))
    return mean, variance


def drawn(seed: int, n: int, k: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return `n` mixtures of `k` components, which may be the same."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(n, k, generator=generator) + 1e-3
    temperature = 260 + 80 * torch.rand(n, generator=generator)
    return torch.randint(4, (n, k), generator=generator), x / x.sum(1, keepdim=True), temperature


@pytest.mark.parametrize("order", ORDERS)
@settings(max_examples=15)
@given(seed=st.integers(0, 2**31), k=st.integers(2, 5))
def test_the_order_of_components_does_not_matter(order: int | None, seed: int, k: int) -> None:
    molecules, x, temperature = drawn(seed, 6, k)
    shuffled = torch.rand(6, k, generator=torch.Generator().manual_seed(seed)).argsort(1)
    one = said(order, molecules, x, temperature)
    other = said(order, molecules.gather(1, shuffled), x.gather(1, shuffled), temperature)
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("order", ORDERS)
@settings(max_examples=15)
@given(seed=st.integers(0, 2**31))
def test_two_components_exchanged_are_bit_for_bit_the_same(order: int | None, seed: int) -> None:
    molecules, x, temperature = drawn(seed, 6, 2)
    one, other = (said(order, m, f, temperature) for m, f in ((molecules, x), (molecules.flip(1), x.flip(1))))
    assert torch.equal(one[0], other[0]) and torch.equal(one[1], other[1])


@pytest.mark.parametrize("order", [0, 4, 9])
@settings(max_examples=15)
@given(seed=st.integers(0, 2**31), k=st.integers(1, 4))
def test_a_component_alone_or_with_itself_has_no_excess(order: int, seed: int, k: int) -> None:
    molecules, x, temperature = drawn(seed, 6, k)
    itself = said(order, molecules[:, :1].expand(6, k), x, temperature)[0]
    assert itself.tolist() == [0.0] * 6
    pure = torch.zeros(6, k).scatter(1, torch.full((6, 1), k - 1), 1.0)
    assert said(order, molecules, pure, temperature)[0].tolist() == [0.0] * 6


@pytest.mark.parametrize("order", ORDERS)
@settings(max_examples=15)
@given(seed=st.integers(0, 2**31))
def test_a_component_in_two_parts_is_one_component(order: int | None, seed: int) -> None:
    molecules, x, temperature = drawn(seed, 6, 2)
    parted = torch.stack([0.25 * x[:, 0], x[:, 1], 0.75 * x[:, 0]], dim=1)
    one = said(order, molecules, x, temperature)
    other = said(order, molecules[:, [0, 1, 0]], parted, temperature)
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("order", [0, 4, 9])
@settings(max_examples=15)
@given(seed=st.integers(0, 2**31), k=st.integers(2, 4))
def test_the_mean_is_a_slow_sum_of_legendre_polynomials(order: int, seed: int, k: int) -> None:
    _, x, temperature = drawn(seed, 3, k)
    molecules = torch.arange(k).expand(3, k)
    net = NETWORKS[order]
    with torch.no_grad():
        mean, _ = said(order, molecules, x, temperature)
        for row in range(3):
            total = 0.0
            for i in range(k):
                for j in range(i + 1, k):
                    coefficients, _ = net.pair(net.embed(TABLE, ATOMS), torch.tensor([[i], [j]]))
                    now = coefficients[0, 0] + (temperature[row] - 298.15) / 50 * coefficients[0, 1]
                    scaled = (now / torch.arange(1, order + 2)).double().numpy()
                    a, b = x[row, i].double().numpy(), x[row, j].double().numpy()
                    total += float(a * b * legval(a - b, scaled))
            assert float(mean[row]) == pytest.approx(total, rel=1e-3, abs=2e-6)


def test_what_two_molecules_do_is_the_same_curve_seen_from_either_side() -> None:
    net = NETWORKS[9]
    with torch.no_grad():
        embedding = net.embed(TABLE, ATOMS)
        (ab, noise), (ba, other) = (
            net.pair(embedding, torch.tensor([[i], [j]])) for i, j in ((0, 2), (2, 0))
        )
    signs = torch.tensor([(-1.0) ** n for n in range(10)])
    torch.testing.assert_close(ab, ba * signs)
    torch.testing.assert_close(noise, other)
    assert float(ab.abs().min()) > 0, "no order is missing"


def test_members_say_what_each_says_alone() -> None:
    molecules, x, temperature = drawn(0, 5, 3)
    batch = BlendBatch.of(molecules, x, temperature)
    pair = [NETWORKS[4], network(4)]
    torch.manual_seed(1)
    for tensor in pair[1].parameters():
        torch.nn.init.normal_(tensor, std=0.3)
    together = Members.of(pair).each("forward", TABLE, ATOMS, batch)
    for part in (0, 1):
        alone = torch.stack([one(TABLE, ATOMS, batch)[part] for one in pair])
        torch.testing.assert_close(together[part], alone, rtol=1e-4, atol=1e-6)


def test_embeddings_start_with_mean_0_and_deviation_1() -> None:
    with torch.no_grad():
        embedding = NETWORKS[0].embed(TABLE, ATOMS).numpy()
    np.testing.assert_allclose(embedding.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(embedding.std(0), 1, atol=1e-4)


def test_noise_is_the_same_for_all_pure_components_and_more_between() -> None:
    molecules, temperature = torch.tensor([[0, 1]] * 3), torch.full((3,), 300.0)
    x = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    _, variance = said(9, molecules, x, temperature)
    assert variance[0] == variance[1] < variance[2]


def test_roughness_is_that_of_the_worked_sum() -> None:
    net, (_, x, temperature) = NETWORKS[4], drawn(0, 1, 2)
    batch = BlendBatch.of(torch.tensor([[0, 1]]), x, temperature)
    with torch.no_grad():
        embedding = net.embed(TABLE, ATOMS)
        coefficients, _ = net.pair(embedding, batch.pairs)
        rough = net.mix(embedding, batch)[2]
    worked = sum(k**2 / (k + 1) * float(abs(coefficients[0, t, k])) for t in (0, 1) for k in range(5))
    assert float(rough) == pytest.approx(worked, rel=1e-5)
