"""Mixtures as species: hand-worked fractions, any order of components, any number of salts and ions."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from surrogates.batches import MixtureBatch
from surrogates.molecules import Component
from surrogates.species import Speciation

LIGHT, HEAVY = Component.of("COC(=O)OC", 80.0), Component.of("O=C1OCCO1", 120.0)
LIPF6, LIBF4 = Component.of("F[P-](F)(F)(F)(F)F.[Li+]"), Component.of("F[B-](F)(F)F.[Li+]")
LI2SO4 = Component.of("[Li+].[Li+].[O-]S(=O)(=O)[O-]")
LIQUID = Component.of("CC[n+]1ccn(C)c1.F[B-](F)(F)F", 100.0)
COMPONENTS = (LIGHT, HEAVY, Component.of("CC#N"), LIPF6, LIBF4, LI2SO4)
SPECIATION = Speciation.of(COMPONENTS)

seeds = st.integers(0, 2**31)


def mixture(
    components: tuple[Component, ...],
    shares: dict[Component, float],
    salts: dict[Component, float],
) -> MixtureBatch:
    place = {component: index for index, component in enumerate(components)}
    return MixtureBatch(
        torch.tensor([[place[one] for one in shares]]),
        torch.tensor([list(shares.values())], dtype=torch.float64),
        torch.tensor([[place[one] for one in salts]]),
        torch.tensor([list(salts.values())], dtype=torch.float64),
        torch.tensor([298.15], dtype=torch.float64),
    )


def fractions(components: tuple[Component, ...], batch: MixtureBatch) -> dict[str, float]:
    speciation = Speciation.of(components)
    found = speciation.split(batch)
    names = (component.smiles for component in speciation.table.components)
    return {name: x for name, x in zip(names, found.x[0].tolist(), strict=True) if x > 0}


def random_batch(seed: int, n: int = 4, k: int = 3, s: int = 1) -> MixtureBatch:
    generator = torch.Generator().manual_seed(seed)
    weights = 0.1 + torch.rand(n, k, generator=generator, dtype=torch.float64)
    return MixtureBatch(
        torch.stack([torch.randperm(3, generator=generator)[:k] for _ in range(n)]),
        weights / weights.sum(1, keepdim=True),
        torch.randint(3, 6, (n, s), generator=generator),
        3 * torch.rand(n, s, generator=generator, dtype=torch.float64),
        250 + 100 * torch.rand(n, generator=generator, dtype=torch.float64),
    )


def test_a_salt_is_counted_as_its_ions() -> None:
    # 0.4 kg of 80 and 0.6 kg of 120 g/mol: 5 mol each; 1.25 mol of LiPF6, 12.5 mol of species.
    found = fractions(
        (LIGHT, HEAVY, LIPF6), mixture((LIGHT, HEAVY, LIPF6), {LIGHT: 0.4, HEAVY: 0.6}, {LIPF6: 1.25})
    )
    assert found == pytest.approx(
        {LIGHT.smiles: 0.4, HEAVY.smiles: 0.4, "[Li+]": 0.1, "F[P-](F)(F)(F)(F)F": 0.1}
    )


def test_two_cations_of_one_salt_count_twice() -> None:
    # 10 mol of 100 g/mol, 1 mol of Li2SO4: 10, 2 and 1 of 13.
    solvent = Component.of("CC#N", 100.0)
    found = fractions((solvent, LI2SO4), mixture((solvent, LI2SO4), {solvent: 1.0}, {LI2SO4: 1.0}))
    assert found == pytest.approx({"CC#N": 10 / 13, "[Li+]": 2 / 13, "O=S(=O)([O-])[O-]": 1 / 13})


def test_two_salts_in_two_solvents() -> None:
    # 0.4 kg of 80 and 0.6 kg of 120 g/mol, 5 mol each; 1 mol of LiPF6 and 0.5 mol of Li2SO4 are 2 mol of
    # lithium, 1 and 0.5 mol of anions: 13.5 mol of species.
    salts = {LIPF6: 1.0, LI2SO4: 0.5}
    found = fractions(COMPONENTS, mixture(COMPONENTS, {LIGHT: 0.4, HEAVY: 0.6}, salts))
    assert found == pytest.approx(
        {
            LIGHT.smiles: 5 / 13.5,
            HEAVY.smiles: 5 / 13.5,
            "[Li+]": 2 / 13.5,
            "F[P-](F)(F)(F)(F)F": 1 / 13.5,
            "O=S(=O)([O-])[O-]": 0.5 / 13.5,
        }
    )


def test_without_salt_the_solvents_are_all() -> None:
    components = (LIGHT, LIPF6)
    assert fractions(components, mixture(components, {LIGHT: 1.0}, {LIPF6: 0.0})) == {LIGHT.smiles: 1.0}


def test_an_ionic_liquid_among_the_solvents_falls_into_ions() -> None:
    # 5 mol of liquid at 100 g/mol and 0.5 kg at 80 g/mol, 6.25 mol; 0.5 mol of LiBF4.
    components = (LIQUID, LIGHT, LIBF4)
    found = fractions(components, mixture(components, {LIQUID: 0.5, LIGHT: 0.5}, {LIBF4: 0.5}))
    total = 2 * 5 + 6.25 + 2 * 0.5
    assert found == pytest.approx(
        {
            LIGHT.smiles: 6.25 / total,
            "CC[n+]1ccn(C)c1": 5 / total,
            "F[B-](F)(F)F": 5.5 / total,
            "[Li+]": 0.5 / total,
        }
    )


def test_a_salt_of_three_ions_and_one_that_is_a_molecule_are_counted() -> None:
    double, molecule = Component.of("[F-].[F-].[Li+].[Na+]"), Component.of("[Li]Br")
    components = (Component.of("CC#N", 100.0), double, molecule)
    three = fractions(components, mixture(components, {components[0]: 1.0}, {double: 1.0}))
    assert three == pytest.approx({"CC#N": 10 / 14, "[F-]": 2 / 14, "[Li+]": 1 / 14, "[Na+]": 1 / 14})
    one = fractions(components, mixture(components, {components[0]: 1.0}, {molecule: 1.0}))
    assert one == pytest.approx({"CC#N": 10 / 11, molecule.smiles: 1 / 11})


def test_species_are_whole_components_then_ions_each_once() -> None:
    names = [component.smiles for component in SPECIATION.table.components]
    assert names == [
        *(component.smiles for component in COMPONENTS[:3]),
        *("[Li+]", "F[P-](F)(F)(F)(F)F", "F[B-](F)(F)F", "O=S(=O)([O-])[O-]"),
    ]
    assert SPECIATION.counts.tolist() == [[1, 0]] * 3 + [[1, 1], [1, 1], [2, 1]]


def test_slots_stand_in_the_order_of_components_cations_before_anions() -> None:
    batch = mixture(COMPONENTS, {HEAVY: 0.6, LIGHT: 0.4}, {LIBF4: 1.25})
    species, x = SPECIATION.slots(batch)
    assert species.tolist() == [[1, 1, 0, 0, 3, 5]]
    assert x[0].tolist() == pytest.approx([0.4, 0, 0.4, 0, 0.1, 0.1])


def test_slots_of_several_salts_follow_each_other() -> None:
    batch = mixture(COMPONENTS, {LIGHT: 1.0}, {LIBF4: 0.0, LI2SO4: 1.25})
    species, x = SPECIATION.slots(batch)
    assert species.tolist() == [[0, 0, 3, 5, 3, 6]]
    total = 12.5 + 3 * 1.25  # mol in a kg
    assert x[0].tolist() == pytest.approx([12.5 / total, 0, 0, 0, 2.5 / total, 1.25 / total])


def test_chains_of_two_lengths_are_two_species() -> None:
    short, long = Component("[Cu]OCC[Au]", 1e3), Component("[Cu]OCC[Au]", 1e5)
    speciation = Speciation.of((short, long, LIPF6))
    assert speciation.table.components[:2] == (short, long)
    assert speciation.molar_mass[:2].tolist() == [1e3, 1e5]


def test_a_table_of_one_species() -> None:
    speciation = Speciation.of((LIGHT,))
    batch = MixtureBatch(
        torch.tensor([[0]]),
        torch.ones(1, 1),
        torch.tensor([[0]]),
        torch.zeros(1, 1),
        torch.full((1,), 298.15),
    )
    found = speciation.split(batch)
    assert found.x.tolist() == [[1.0]]
    assert found.pairs.tolist() == [[0], [0]]


@given(seeds, st.integers(1, 3))
def test_fractions_are_a_loop_over_the_ions_of_a_kilogram(seed: int, s: int) -> None:
    batch = random_batch(seed, s=s)
    found = SPECIATION.split(batch).x
    names = [component.smiles for component in SPECIATION.table.components]
    for n in range(4):
        moles = dict.fromkeys(names, 0.0)
        for place, weight in zip(batch.solvents[n].tolist(), batch.weights[n].tolist(), strict=True):
            moles[names[place]] += 1000 * weight / COMPONENTS[place].molar_mass
        for place, molality in zip(batch.salts[n].tolist(), batch.molality[n].tolist(), strict=True):
            for ion in COMPONENTS[place].smiles.split("."):
                moles[ion] += molality
        expected = [amount / sum(moles.values()) for amount in moles.values()]
        assert found[n].tolist() == pytest.approx(expected, rel=1e-12)


@given(seeds, st.permutations(range(3)))
def test_the_order_of_salts_changes_nothing(seed: int, order: list[int]) -> None:
    batch = random_batch(seed, s=3)
    swapped = replace(batch, salts=batch.salts[:, order], molality=batch.molality[:, order])
    one, other = SPECIATION.split(batch), SPECIATION.split(swapped)
    torch.testing.assert_close(other.x, one.x, rtol=1e-13, atol=1e-15)
    assert torch.equal(other.pairs, one.pairs)


@given(seeds)
def test_a_salt_at_molality_0_adds_neither_species_nor_pair(seed: int) -> None:
    batch = random_batch(seed, k=1)
    more = replace(
        batch,
        salts=torch.cat(
            [batch.salts, torch.randint(0, 6, (4, 1), generator=torch.Generator().manual_seed(seed))], dim=1
        ),
        molality=torch.cat([batch.molality, torch.zeros(4, 1)], dim=1),
    )
    one, other = SPECIATION.split(batch), SPECIATION.split(more)
    assert torch.equal(other.x, one.x)
    assert torch.equal(other.pairs, one.pairs)


@given(seeds, st.floats(0, 1))
def test_a_salt_in_two_slots_counts_once(seed: int, share: float) -> None:
    batch = random_batch(seed, s=2)
    first = batch.molality[:, :1]
    parted = replace(
        batch,
        salts=torch.cat([batch.salts, batch.salts[:, :1]], dim=1),
        molality=torch.cat([share * first, batch.molality[:, 1:], (1 - share) * first], dim=1),
    )
    torch.testing.assert_close(SPECIATION.split(parted).x, SPECIATION.split(batch).x, rtol=1e-13, atol=1e-15)


@given(seeds, st.permutations(range(3)))
def test_the_order_of_solvents_changes_nothing(seed: int, order: list[int]) -> None:
    batch = random_batch(seed)
    swapped = replace(batch, solvents=batch.solvents[:, order], weights=batch.weights[:, order])
    torch.testing.assert_close(SPECIATION.split(swapped).x, SPECIATION.split(batch).x, rtol=1e-14, atol=1e-15)


@given(seeds, st.floats(0, 1))
def test_a_component_in_two_slots_counts_once(seed: int, share: float) -> None:
    batch = random_batch(seed)
    first = batch.weights[:, :1]
    parted = replace(
        batch,
        solvents=torch.cat([batch.solvents, batch.solvents[:, :1]], dim=1),
        weights=torch.cat([share * first, batch.weights[:, 1:], (1 - share) * first], dim=1),
    )
    torch.testing.assert_close(SPECIATION.split(parted).x, SPECIATION.split(batch).x, rtol=1e-13, atol=1e-15)


@given(seeds)
def test_pairs_are_all_that_stand_in_one_mixture_each_once(seed: int) -> None:
    found = SPECIATION.split(random_batch(seed, k=2))
    pairs = list(map(tuple, found.pairs.T.tolist()))
    assert len(set(pairs)) == len(pairs)
    assert all(a <= b for a, b in pairs)
    together = {
        (a, b)
        for row in found.x.tolist()
        for a, x in enumerate(row)
        for b, y in enumerate(row)
        if a <= b and x > 0 and y > 0
    }
    assert together == set(pairs)


def test_a_pair_with_a_solvent_of_fraction_0_is_kept_for_its_gradient() -> None:
    found = SPECIATION.split(mixture(COMPONENTS, {LIGHT: 1.0, HEAVY: 0.0}, {LIPF6: 1.0}))
    assert [0, 1] in found.pairs.T.tolist()


def test_gradients_reach_weights_and_molality() -> None:
    batch = random_batch(7)

    def x(weights: Tensor, molality: Tensor) -> Tensor:
        return SPECIATION.split(replace(batch, weights=weights, molality=molality)).x

    amounts = (batch.weights.requires_grad_(), batch.molality.requires_grad_())
    assert torch.autograd.gradcheck(x, amounts)


def test_some_rows_are_themselves() -> None:
    batch = random_batch(3)
    found = SPECIATION.split(batch.to(torch.float32))
    assert len(found) == 4
    assert found.x.dtype == torch.float32
    some = found[torch.tensor([2, 0])]
    assert torch.equal(some.x, found.x[[2, 0]])
    assert torch.equal(some.temperature_K, batch.temperature_K[[2, 0]].float())
    assert torch.equal(some.pairs, found.pairs)


def test_cations_and_anions_of_a_formula_unit() -> None:
    found = Speciation.of((LIGHT, LIPF6, LI2SO4, LIQUID, Component.of("[F-].[F-].[Li+].[Na+]")))
    assert found.cations.tolist() == [0, 1, 2, 1, 2]
    assert found.anions.tolist() == [0, 1, 1, 1, 2]


def test_used_slots_are_those_that_a_component_fills_at_any_fraction() -> None:
    batch = mixture(COMPONENTS, {HEAVY: 1.0, LIGHT: 0.0}, {LIBF4: 0.0})
    assert SPECIATION.used_slots(batch).tolist() == [0, 2, 4, 5]
