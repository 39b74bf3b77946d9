"""The network against its formulas written out, and what must not matter to it: order and slots."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from surrogates.atom_features import atom_features
from surrogates.encoders.diffmix import DiffMix, DiffMixSettings, GraphSettings, MoleculeGraphs
from surrogates.members import Members
from surrogates.molecule_facts import species_facts
from surrogates.molecules import MoleculeTable
from surrogates.species import Speciation
from tests.synthetic_laws import ENCODER, vft_data
from tests.synthetic_mixtures import SALTS

DATA = vft_data(6)
SPECIATION = Speciation.of(DATA.table.components)
BATCH = SPECIATION.split(DATA.batch)
ATOMS = atom_features(SPECIATION.table).double()
FACTS = species_facts(SPECIATION.table).double()
FLAT = replace(ENCODER, graph=replace(ENCODER.graph, layers=2))


def table_in_double(table: MoleculeTable) -> MoleculeTable:
    return replace(table, bond_orders=table.bond_orders.double())


TABLE = table_in_double(SPECIATION.table)


def network(seed: int = 0, settings: DiffMixSettings = FLAT) -> DiffMix:
    torch.manual_seed(seed)
    made = DiffMix(settings).double().eval()
    made.law.standardise(DATA.batch.temperature_K, DATA.target)
    return made.double()


def test_a_molecule_is_the_mean_of_its_atoms_after_graph_convolutions() -> None:
    graphs = network().graphs
    atoms = list(ATOMS)
    for layer in graphs.convolutions:
        heard = [torch.zeros_like(atom) for atom in atoms]
        edges = zip(*TABLE.edges.tolist(), TABLE.bond_orders.tolist(), strict=True)
        for source, target, order in edges:
            heard[target] = heard[target] + order * atoms[source]
        atoms = [
            torch.relu(layer.lin_rel(around) + layer.lin_root(atom))
            for around, atom in zip(heard, atoms, strict=True)
        ]
    rows = torch.stack(atoms)
    expected = [graphs.readout(rows[TABLE.atom_molecule == u].mean(0)) for u in range(len(TABLE))]
    torch.testing.assert_close(graphs(TABLE, ATOMS), torch.stack(expected))


def test_a_molecule_does_not_see_the_others() -> None:
    one = network().embed(TABLE, ATOMS, FACTS)
    alone = table_in_double(MoleculeTable.build([SPECIATION.table.components[2]]))
    torch.testing.assert_close(
        network().embed(alone, atom_features(alone).double(), species_facts(alone).double())[0], one[2]
    )


def test_dropout_leaves_out_all_channels_when_told_to_and_none_in_prediction() -> None:
    torch.manual_seed(0)
    graphs = MoleculeGraphs(GraphSettings(layers=1, hidden=4, molecule=3, dropout=1.0)).double()
    expected = graphs.readout.bias.expand(len(TABLE), 3)
    torch.testing.assert_close(graphs.train()(TABLE, ATOMS), expected)
    assert not torch.allclose(graphs.eval()(TABLE, ATOMS), expected)
    torch.testing.assert_close(graphs(TABLE, ATOMS), graphs(TABLE, ATOMS), rtol=0, atol=0)


def test_members_leave_out_channels_of_their_own() -> None:
    torch.manual_seed(0)
    one = MoleculeGraphs(GraphSettings(layers=1, hidden=32, molecule=3)).double().train()
    embedded = Members.of([one, one]).each("forward", TABLE, ATOMS)
    assert not torch.allclose(embedded[0], embedded[1])
    one.eval()
    embedded = Members.of([one, one]).each("forward", TABLE, ATOMS)
    assert torch.equal(embedded[0], embedded[1])


def test_a_pair_is_the_same_from_both_sides() -> None:
    made = network()
    embedding = made.embed(TABLE, ATOMS, FACTS)
    pairs = torch.triu_indices(len(TABLE), len(TABLE))
    _, forth = made.parts(embedding, pairs)
    _, back = made.parts(embedding, pairs.flip(0))
    assert torch.equal(forth, back)


def test_mixtures_are_a_loop_over_species_and_ordered_pairs() -> None:
    made = network()
    embedding = made.embed(TABLE, ATOMS, FACTS)
    mean, variance = made(TABLE, ATOMS, FACTS, BATCH)
    for n in range(len(BATCH)):
        x, t = BATCH.x[n], BATCH.temperature_K[n : n + 1]
        alone = sum(x[i] * made.sub_net(embedding[i]) for i in range(len(x)))
        together = 0
        for i, j in product(range(len(x)), repeat=2):
            both = torch.cat([embedding[i] + embedding[j], (embedding[i] - embedding[j]) ** 2])
            together = together + x[i] * x[j] * made.pair_net(both)
        expected = made.law(torch.cat([alone, together, t])[None])
        torch.testing.assert_close((mean[n : n + 1], variance[n : n + 1]), expected)


@given(st.integers(0, 2**31), st.permutations(range(2)), st.floats(0, 1))
def test_neither_order_nor_slots_of_components_matter(seed: int, order: list[int], share: float) -> None:
    made = network(seed, ENCODER)
    batch = DATA.batch[::4]
    first = batch.weights[:, :1]
    other = replace(
        batch,
        solvents=torch.cat([batch.solvents[:, order], batch.solvents[:, :1]], dim=1),
        weights=torch.cat(
            [torch.cat([share * first, batch.weights[:, 1:]], dim=1)[:, order], (1 - share) * first], dim=1
        ),
    )
    said = made(TABLE, ATOMS, FACTS, SPECIATION.split(batch))
    torch.testing.assert_close(
        made(TABLE, ATOMS, FACTS, SPECIATION.split(other)), said, rtol=1e-10, atol=1e-12
    )


@given(st.integers(0, 2**31), st.floats(0, 1))
def test_neither_order_nor_slots_of_salts_matter(seed: int, share: float) -> None:
    made = network(seed, ENCODER)
    index = DATA.table.index()
    salts = torch.tensor([[index[salt] for salt in SALTS]] * 6)
    batch = replace(DATA.batch[::4], salts=salts, molality=torch.rand(6, 2, dtype=torch.float64))
    first = batch.molality[:, :1]
    other = replace(
        batch,
        salts=torch.cat([salts.flip(1), salts[:, :1], batch.solvents[:, :1]], dim=1),
        molality=torch.cat([batch.molality[:, 1:], share * first, (1 - share) * first, 0 * first], dim=1),
    )
    said = made(TABLE, ATOMS, FACTS, SPECIATION.split(batch))
    torch.testing.assert_close(
        made(TABLE, ATOMS, FACTS, SPECIATION.split(other)), said, rtol=1e-10, atol=1e-12
    )


def test_the_order_of_the_molecules_in_the_table_does_not_matter() -> None:
    components = DATA.table.components
    turned = Speciation.of(components[::-1])
    last = len(components) - 1
    batch = replace(DATA.batch, solvents=last - DATA.batch.solvents, salts=last - DATA.batch.salts)
    table = table_in_double(turned.table)
    said = network()(table, atom_features(table).double(), species_facts(table).double(), turned.split(batch))
    torch.testing.assert_close(said, network()(TABLE, ATOMS, FACTS, BATCH))


def test_a_pair_that_no_mixture_holds_changes_nothing() -> None:
    every = replace(BATCH, pairs=torch.triu_indices(len(TABLE), len(TABLE)))
    assert every.pairs.shape[1] > BATCH.pairs.shape[1]
    torch.testing.assert_close(network()(TABLE, ATOMS, FACTS, every), network()(TABLE, ATOMS, FACTS, BATCH))


@pytest.mark.parametrize("law", ["vft", "arrhenius", "log", "none"])
def test_members_are_their_networks_one_by_one(law: str) -> None:
    networks = [network(seed, replace(FLAT, law=law)) for seed in range(3)]
    members = Members.of(networks)
    embedding = members.each("embed", TABLE, ATOMS, FACTS)
    mean, variance = members.each("head", mine=(members.each("mix", BATCH, mine=(embedding,)),))
    alone = [made(TABLE, ATOMS, FACTS, BATCH) for made in networks]
    torch.testing.assert_close(mean, torch.stack([one for one, _ in alone]))
    torch.testing.assert_close(variance, torch.stack([one for _, one in alone]))


def test_all_of_the_network_learns() -> None:
    made = network(settings=DiffMixSettings())
    mean, variance = made(TABLE, ATOMS, FACTS, BATCH)
    (mean.square().sum() + variance.sum()).backward()
    for name, parameter in made.named_parameters():
        assert parameter.grad is not None and bool((parameter.grad != 0).any()), name
