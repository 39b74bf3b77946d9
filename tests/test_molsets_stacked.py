"""Stacked networks against the networks themselves, and a product against its rows."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from surrogates.batches import MixtureBatch, MixtureProduct
from surrogates.encoders import molsets_stacked as stacked
from surrogates.encoders.molsets import MolSets
from surrogates.features import MoleculeFeatures
from surrogates.members import Members
from tests.synthetic_mixtures import ENCODER, synthetic_data

DATA = synthetic_data()
GIVEN = MoleculeFeatures.fit(DATA.table, ENCODER.descriptors).of(DATA.table)
MOLECULES = len(DATA.table)


def _members() -> Members:
    torch.manual_seed(0)
    networks = [MolSets(ENCODER, GIVEN.shape[1]) for _ in range(3)]
    for network in networks:
        network.standardise(GIVEN, DATA.batch)
    return Members.of(networks)[:]


MEMBERS = _members()
STATE = MEMBERS.state()
EMBEDDING: Tensor = MEMBERS.each("embed", DATA.table, GIVEN)


def _batch(n: int, slots: int = 3, seed: int = 0) -> MixtureBatch:
    """Return mixtures that hold a molecule twice, leave slots unused, hold traces and do not sum to 1."""
    generator = torch.Generator().manual_seed(seed)
    weights = torch.rand(n, slots, generator=generator)
    weights[::3, 1:], weights[1::3, 1:] = 0, 1e-9
    return MixtureBatch(
        solvents=torch.randint(MOLECULES, (n, slots), generator=generator),
        weights=weights,
        salts=torch.randint(MOLECULES, (n, 1), generator=generator),
        molality=3 * torch.rand(n, 1, generator=generator),
        temperature_K=250 + 100 * torch.rand(n, generator=generator),
    )


def _product(mixtures: int, conditions: int, start: int, stop: int) -> MixtureProduct:
    above, below = _batch(mixtures), _batch(conditions, seed=1)
    return MixtureProduct(
        above.solvents,
        above.weights,
        below.salts[:, 0],
        below.molality[:, 0],
        below.temperature_K,
        start,
        stop,
    )


@pytest.mark.parametrize("slots", [1, 3])
def test_the_numbers_are_those_of_the_networks(slots: int) -> None:
    batch = _batch(50, slots)
    mixed = stacked.mix(STATE, EMBEDDING, batch)
    torch.testing.assert_close(mixed, MEMBERS.each("mix", batch, mine=(EMBEDDING,)), rtol=1e-5, atol=1e-4)
    mean, variance = MEMBERS.each("head", mine=(mixed,))
    outputs = stacked.head(STATE, mixed)
    torch.testing.assert_close(outputs[:, 0], mean, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(stacked.bounded_variance(outputs[:, 1]), variance, rtol=1e-5, atol=1e-5)


def test_so_are_the_gradients() -> None:
    batch = _batch(50)
    amounts = {
        "weights": batch.weights.clamp_min(1e-3).requires_grad_(),
        "molality": batch.molality.requires_grad_(),
        "temperature_K": batch.temperature_K.requires_grad_(),
    }
    batch = replace(batch, **amounts)
    got, expected = (
        torch.autograd.grad(mixed.square().sum(), list(amounts.values()))
        for mixed in (stacked.mix(STATE, EMBEDDING, batch), MEMBERS.each("mix", batch, mine=(EMBEDDING,)))
    )
    for one, other in zip(got, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4 * float(other.abs().max()))


@given(st.integers(1, 9), st.integers(1, 30), st.integers(1, 12), st.integers(1, 12), st.data())
def test_a_product_gives_what_its_rows_give(
    mixtures: int, conditions: int, rows: int, held: int, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, mixtures * conditions))
    stop = data.draw(st.integers(start, mixtures * conditions))
    product = _product(mixtures, conditions, start, stop)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stacked, "_TILE", rows * STATE["from_solvents.bias"].numel())
        patch.setattr(stacked, "_CONDITIONS", held)
        outputs = stacked.product_outputs(STATE, EMBEDDING, product)
    assert outputs.shape == (3, 2, stop - start)
    expected = stacked.head(STATE, stacked.mix(STATE, EMBEDDING, product.expand()))
    torch.testing.assert_close(outputs, expected, rtol=1e-5, atol=1e-5)


def test_of_many_conditions_a_part_is_held_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []
    real = stacked.mix_conditions

    def recording(state: stacked.Stacked, embedding: Tensor, salt: Tensor, *others: Tensor) -> Tensor:
        held.append(len(salt))
        return real(state, embedding, salt, *others)

    product = _product(2, 5000, 1234, 8765)
    expected = stacked.head(STATE, stacked.mix(STATE, EMBEDDING, product.expand()))
    monkeypatch.setattr(stacked, "mix_conditions", recording)
    outputs = stacked.product_outputs(STATE, EMBEDDING, product)
    assert held == [2048, 2048, 904]
    torch.testing.assert_close(outputs, expected, rtol=1e-5, atol=1e-5)
