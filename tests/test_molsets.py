"""The MolSets encoder: what must not matter does not, and its parts add up."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from random import Random
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from surrogates.batches import MixtureBatch
from surrogates.encoders.convolutions import ConvolutionName
from surrogates.encoders.molsets import MoleculeNorm, MolSets, MolSetsSettings
from surrogates.features import MoleculeFeatures
from surrogates.members import Members
from surrogates.molecules import MoleculeTable
from tests.synthetic_mixtures import ENCODER, synthetic_data

DATA = synthetic_data()
FEATURES = MoleculeFeatures.fit(DATA.table, ENCODER.descriptors)
GIVEN = FEATURES.of(DATA.table)
CONVOLUTIONS = get_args(ConvolutionName)
BATCH = DATA.batch.to(torch.float32)


def _network(settings: MolSetsSettings = ENCODER, seed: int = 0) -> MolSets:
    torch.manual_seed(seed)
    network = MolSets(settings, FEATURES.width)
    network.standardise(GIVEN, DATA.batch)
    return network


NETWORK = _network()
EMBEDDING = NETWORK.embed(DATA.table, GIVEN).detach()


def _close(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


mixtures = st.lists(
    st.tuples(st.integers(0, len(DATA.table) - 1), st.floats(0.05, 1)),
    min_size=1,
    max_size=4,
    unique_by=lambda p: p[0],
)


EXACT = deepcopy(NETWORK).double()


def _mixed(parts: list[tuple[int, float]]) -> Tensor:
    """In float64: in float32 the order of a sum shows where a salt, far from all solvents, stands as one."""
    solvents, weights = zip(*parts, strict=True)
    amounts = torch.tensor([weights], dtype=torch.float64)
    return EXACT.mix_solvents(EMBEDDING.double(), torch.tensor([solvents]), amounts).detach()


@given(mixtures, st.randoms(use_true_random=False), st.floats(0.1, 3), st.integers(0, 3))
def test_neither_order_nor_scale_nor_empty_slots_matter(
    parts: list[tuple[int, float]], random: Random, factor: float, empty: int
) -> None:
    shuffled = random.sample(parts, len(parts))
    scaled = [(solvent, factor * weight) for solvent, weight in shuffled]
    torch.testing.assert_close(_mixed(scaled + [(0, 0.0)] * empty), _mixed(parts), rtol=1e-9, atol=1e-9)


@given(mixtures)
def test_more_of_one_solvent_matters(parts: list[tuple[int, float]]) -> None:
    if len(parts) > 1:
        more = [(parts[0][0], 3 * parts[0][1]), *parts[1:]]
        assert (_mixed(more) - _mixed(parts)).abs().max() > 1e-4


@given(st.lists(st.integers(1, 6), min_size=1, max_size=5), st.integers(1, 4), st.integers(0, 2**31))
def test_a_molecule_is_normalised_by_itself(atoms_of: list[int], width: int, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    molecule = torch.repeat_interleave(torch.arange(len(atoms_of)), torch.tensor(atoms_of))
    molecule = molecule[torch.randperm(len(molecule), generator=draw)]
    x = 5 + 3 * torch.randn(len(molecule), width, generator=draw)
    norm = MoleculeNorm(width)
    with torch.no_grad():
        norm.weight.uniform_(0.5, 2, generator=draw)
        norm.bias.uniform_(-1, 1, generator=draw)
        got = norm(x, molecule, torch.tensor(atoms_of, dtype=torch.float32))
        for number in range(len(atoms_of)):
            mine = x[molecule == number]
            normal = (mine - mine.mean()) / (mine.var(correction=0) + 1e-5).sqrt()
            torch.testing.assert_close(
                got[molecule == number], normal * norm.weight + norm.bias, rtol=1e-4, atol=1e-4
            )


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_a_molecule_is_embedded_alike_in_any_company(name: ConvolutionName) -> None:
    network = _network(replace(ENCODER, convolution=name))
    together = network.embed(DATA.table, GIVEN)
    assert together.shape == (len(DATA.table), ENCODER.graph + FEATURES.width)
    assert torch.equal(together[:, ENCODER.graph :], GIVEN)
    for row, component in enumerate(DATA.table.components):
        alone = MoleculeTable.build([component])
        _close(network.embed(alone, FEATURES.of(alone))[0], together[row])


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_members_of_any_convolution_are_a_loop_over_networks(name: ConvolutionName) -> None:
    networks = [_network(replace(ENCODER, convolution=name), seed) for seed in (1, 2)]
    mean, variance = Members.of(networks).each("forward", DATA.table, GIVEN, BATCH)
    for member, network in enumerate(networks):
        one_mean, one_variance = network(DATA.table, GIVEN, BATCH)
        _close(mean[member], one_mean)
        _close(variance[member], one_variance)
    assert (mean[0] - mean[1]).abs().max() > 1e-2


def test_a_mixture_is_the_sum_of_solvents_and_conditions() -> None:
    mixed = NETWORK.mix(EMBEDDING, BATCH)
    conditions = NETWORK.mix_conditions(
        EMBEDDING, BATCH.salts[:, 0], BATCH.molality[:, 0], BATCH.temperature_K
    )
    _close(mixed, NETWORK.mix_solvents(EMBEDDING, BATCH.solvents, BATCH.weights) + conditions)
    mean, variance = NETWORK.head(mixed)
    whole = NETWORK(DATA.table, GIVEN, BATCH)
    _close(mean, whole[0])
    _close(variance, whole[1])


def _mean(batch: MixtureBatch, network: MolSets = NETWORK) -> Tensor:
    return network.head(network.mix(EMBEDDING, batch))[0].detach()


def test_a_temperature_that_never_varied_is_switched_off() -> None:
    hotter = replace(BATCH, temperature_K=BATCH.temperature_K + 50)
    assert torch.equal(_mean(hotter), _mean(BATCH))
    network = _network()
    varied = replace(DATA.batch, temperature_K=DATA.batch.temperature_K + torch.arange(60.0))
    network.standardise(GIVEN, varied)
    assert (_mean(hotter, network) - _mean(BATCH, network)).abs().max() > 1e-3


def test_molality_and_salt_matter() -> None:
    assert (_mean(replace(BATCH, molality=2 * BATCH.molality)) - _mean(BATCH)).abs().max() > 1e-3
    assert (_mean(replace(BATCH, salts=BATCH.salts.flip(0))) - _mean(BATCH)).abs().max() > 1e-3


def test_a_mixture_without_salt_has_a_value() -> None:
    assert _mean(replace(BATCH, molality=torch.zeros(60, 1))).isfinite().all()


def test_inputs_are_standardised_on_the_training_mixtures() -> None:
    fractions = BATCH.fractions().unsqueeze(-1)
    known = (fractions * GIVEN[BATCH.solvents]).sum(1)
    scaled = (known - NETWORK.solvent_shift) * NETWORK.solvent_scale
    torch.testing.assert_close(scaled.mean(0), torch.zeros(FEATURES.width), rtol=0, atol=1e-4)
    emphasis = ENCODER.emphasis
    expected = torch.tensor([1.0] * (FEATURES.width - 2) + [emphasis, 0.0])  # no polymer: never varies
    torch.testing.assert_close(scaled.std(0, correction=0), expected, rtol=1e-3, atol=1e-4)


@given(st.floats(-200, 200))
def test_the_variance_keeps_its_bounds(log_variance: float) -> None:
    network = _network()
    with torch.no_grad():
        network.out.weight.zero_()
        network.out.bias.fill_(log_variance)
        _, variance = network.head(torch.zeros(1, ENCODER.head[0]))
    assert -7.01 <= variance.log().item() <= 3.01
