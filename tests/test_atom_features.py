"""Atom features: columns against hand-worked atoms, and one 1 in each block for every known substance."""

from __future__ import annotations

import pytest
import torch

from surrogates.atom_features import WIDTH, atom_features
from surrogates.chemicals import chemicals
from surrogates.molecules import Component, MoleculeTable

BLOCKS = [(0, 44), (44, 55), (55, 61), (61, 67), (67, 75), (75, 82), (82, 86)]


def features(*smiles: str) -> torch.Tensor:
    return atom_features(MoleculeTable.build([Component.of(one, 100.0) for one in smiles]))


def ones(atom: torch.Tensor) -> list[int]:
    """Return the columns of 0 and 1 that hold a 1."""
    return atom[:94].nonzero()[:, 0].tolist()


def test_the_nitrogen_of_acetonitrile() -> None:
    nitrogen = features("CC#N")[2]
    # Nitrogen, one neighbour, charge 0, no hydrogen, valence 3, sp, no centre.
    assert ones(nitrogen) == [5, 45, 57, 61, 70, 76, 82]
    assert nitrogen[94:].tolist() == pytest.approx([0.14007, 3.04 / 4, 1.55 / 2], rel=1e-3)


def test_a_carbon_in_a_ring_of_five() -> None:
    oxygen, carbon = features("O=C1OCCO1")[2:4]
    assert ones(oxygen) == [6, 46, 57, 61, 69, 77, 82, 87, 90]  # sp2: beside the carbonyl
    assert ones(carbon) == [4, 46, 57, 63, 71, 78, 82, 87, 90]


def test_an_aromatic_carbon() -> None:
    assert ones(features("c1ccccc1")[0]) == [4, 46, 57, 62, 71, 77, 82, 86, 87, 91]


def test_a_lithium_ion() -> None:
    assert ones(features("[Li+]")[0])[:4] == [1, 44, 58, 61]


def test_what_is_not_listed_has_the_last_column() -> None:
    aluminium = features("[Al+3]")[0]
    assert ones(aluminium)[:4] == [10, 44, 60, 61]  # charge +3
    ruthenium = features("[Ru]")[0]
    assert ones(ruthenium)[0] == 43


def test_centres_of_opposite_hand_differ_in_their_hand_alone() -> None:
    one, other = features("C[C@H](F)Cl"), features("C[C@@H](F)Cl")
    differ = (one != other).any(0).nonzero()[:, 0].tolist()
    assert differ == [83, 84]


def test_the_end_of_a_repeat_unit_is_a_carbon_without_hydrogen() -> None:
    unit = features("[Cu]OCC[Au]")
    ends = [row for row in unit if row[61] == 1 and row[4] == 1]
    assert len(ends) == 2
    for end in ends:
        assert end[94].item() == pytest.approx(0.12011)
        assert end[45] == 1


def test_rows_are_the_atoms_in_the_order_of_the_table() -> None:
    table = MoleculeTable.build([Component.of("CC#N"), Component.of("[Li+]"), Component.of("O=C1OCCO1")])
    rows = atom_features(table)
    assert rows.shape == (len(table.atoms), WIDTH)
    assert rows.dtype == torch.float32
    alone = [features(component.smiles) for component in table.components]
    assert torch.equal(rows, torch.cat(alone))


def test_every_atom_of_the_known_substances_has_one_1_in_each_block() -> None:
    rows = features(*(chemical.smiles for chemical in chemicals()))
    for first, end in BLOCKS:
        assert (rows[:, first:end].sum(1) == 1).all()
    assert ((rows[:, :94] == 0) | (rows[:, :94] == 1)).all()
    assert (rows[:, 94:] > 0).all()
    assert (rows[:, 94:] < 2).all()
