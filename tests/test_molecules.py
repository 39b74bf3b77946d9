"""One molecule has one name and stands in the table once, with the published features."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rdkit import Chem

from surrogates.molecules import (
    ATOM_FEATURES,
    Component,
    InvalidMolecule,
    MoleculeTable,
    canonical_smiles,
    is_polymer,
    lookup,
    molar_mass,
)

EC, DMC, TOLUENE = "O=C1OCCO1", "COC(=O)OC", "Cc1ccccc1"
LIPF6, LICLO4 = "[Li+].F[P-](F)(F)(F)(F)F", "[Li+].[O-]Cl(=O)(=O)=O"
PEO = "[Cu]OCC[Au]"
MOLECULES = (EC, DMC, TOLUENE, LIPF6, LICLO4, PEO)


@given(st.sampled_from(MOLECULES), st.integers(0, 2**31 - 1))
def test_every_spelling_gives_one_name(smiles: str, seed: int) -> None:
    (spelling,) = Chem.MolToRandomSmilesVect(Chem.MolFromSmiles(smiles), 1, seed)
    assert canonical_smiles(spelling) == canonical_smiles(smiles)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("C1COC(=O)O1", EC),
        ("[O-][Cl+3]([O-])([O-])[O-].[Li+]", LICLO4),
        ("C1=CC=CC=C1C", TOLUENE),
    ],
)
def test_known_double_spellings_are_one_molecule(one: str, other: str) -> None:
    assert canonical_smiles(one) == canonical_smiles(other)


@pytest.mark.parametrize("text", ["", "C1CC", "LiPF6", "not a molecule", "C(C)(C)(C)(C)C"])
def test_what_rdkit_cannot_read_is_refused(text: str) -> None:
    with pytest.raises(InvalidMolecule) as caught:
        canonical_smiles(text)
    assert str(caught.value) == f"{text!r} is not a SMILES that RDKit can read"


def test_an_element_without_facts_is_refused() -> None:
    with pytest.raises(InvalidMolecule) as caught:
        MoleculeTable.build([Component.of("[He]")])
    assert str(caught.value) == "'[He]' holds He, an element without electronegativity or radius here"


def test_a_table_needs_a_component() -> None:
    with pytest.raises(ValueError, match="at least one component"):
        MoleculeTable.build([])


def test_molar_mass_is_the_formula_s_and_leaves_caps_out() -> None:
    assert molar_mass(EC) == pytest.approx(88.06, abs=0.01)
    assert molar_mass(PEO) == pytest.approx(44.05, abs=0.01)  # C2H4O
    assert Component.of(PEO, 2000.0).molar_mass == 2000.0
    assert is_polymer(PEO)
    assert not is_polymer(EC)


def test_caps_count_as_carbon_without_hydrogen() -> None:
    table = MoleculeTable.build([Component.of(PEO, 2000.0)])
    names = list(ATOM_FEATURES)
    ends = [a.GetIdx() for a in Chem.MolFromSmiles(canonical_smiles(PEO)).GetAtoms() if a.GetDegree() == 1]
    assert len(ends) == 2
    expected = {"is_C": 1, "is_O": 0, "atomic_number": 6, "mass": 12.011, "hydrogens": 0, "vdw_radius": 1.7}
    for name, value in expected.items():
        column = table.atoms[ends, names.index(name)]
        torch.testing.assert_close(column, torch.full((2,), float(value)))


def test_features_of_the_lithium_ion() -> None:
    table = MoleculeTable.build([Component.of("[Li+]")])
    expected = torch.tensor([[0.0] * 7 + [3.0, 6.941, 1.0, 0.0, 0.98, 1.82]])
    torch.testing.assert_close(table.atoms, expected)


def test_a_component_stands_once_in_order_of_appearance() -> None:
    smiles = ["C1COC(=O)O1", DMC, EC]
    table = MoleculeTable.build(
        [*(Component.of(s) for s in smiles), Component.of(PEO, 1e3), Component.of(PEO, 2e3)]
    )
    assert [c.smiles for c in table.components] == [canonical_smiles(s) for s in (EC, DMC, PEO, PEO)]
    torch.testing.assert_close(table.log_molar_mass[2:], torch.tensor([1e3, 2e3]).log10())
    wanted = [Component.of(DMC), Component.of(EC)]
    assert lookup(wanted, table).tolist() == [1, 0]
    with pytest.raises(KeyError):
        lookup([Component.of(TOLUENE)], table)


@given(st.lists(st.sampled_from(MOLECULES), min_size=1, unique=True))
def test_edges_go_both_ways_stay_inside_a_molecule_and_loop_once_an_atom(smiles: list[str]) -> None:
    table = MoleculeTable.build([Component.of(s) for s in smiles])
    edges = {
        (a, b): order
        for (a, b), order in zip(table.edges.T.tolist(), table.bond_orders.tolist(), strict=True)
    }
    assert len(edges) == table.edges.shape[1]
    assert edges == {(b, a): order for (a, b), order in edges.items()}
    assert all(edges[a, a] == 1.0 for a in range(len(table.atoms)))
    source, target = table.edges
    assert torch.equal(table.atom_molecule[source], table.atom_molecule[target])


def test_aromatic_bonds_have_order_one_and_a_half() -> None:
    table = MoleculeTable.build([Component.of(TOLUENE)])
    assert sorted(table.bond_orders.tolist()) == [1.0] * (2 + 7) + [1.5] * 12


@given(st.permutations(MOLECULES))
def test_a_molecule_is_the_same_wherever_it_stands(smiles: list[str]) -> None:
    table = MoleculeTable.build([Component.of(s) for s in smiles])
    for row, component in enumerate(table.components):
        alone = MoleculeTable.build([component])
        atoms = table.atom_molecule == row
        torch.testing.assert_close(table.atoms[atoms], alone.atoms, rtol=0, atol=0)
        own = atoms[table.edges[0]]
        first = int(atoms.nonzero()[0])
        assert torch.equal(table.edges[:, own] - first, alone.edges)
        assert torch.equal(table.bond_orders[own], alone.bond_orders)


def test_a_smiles_that_would_take_minutes_is_refused() -> None:
    assert molar_mass("C" * 500) > 7000
    with pytest.raises(InvalidMolecule) as caught:
        canonical_smiles("C" * 501)
    assert str(caught.value) == "a SMILES of 501 characters is too long; at most 500 are read"


@pytest.mark.parametrize(
    ("smiles", "found"),
    [
        ("C[Cu]C", "Cu with 2 bonds and charge 0"),
        ("[Au]", "Au with 0 bonds and charge 0"),
        ("C[CuH5]", "Cu with 6 bonds and charge 0"),
        ("C[Cu-4]", "Cu with 1 bonds and charge -4"),
    ],
)
def test_a_cap_that_is_no_end_is_refused(smiles: str, found: str) -> None:
    with pytest.raises(InvalidMolecule) as caught:
        MoleculeTable.build([Component(smiles, 100.0)])
    assert str(caught.value) == (
        f"'{smiles}' holds {found}; the end of a repeat unit has one bond and no charge"
    )
