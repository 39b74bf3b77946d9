"""Descriptors of molecules: names, caps, chains and what RDKit cannot compute."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from rdkit import Chem
from rdkit.Chem import Descriptors

from surrogates.descriptors import descriptor_names, molecule_descriptors
from surrogates.molecules import Component, MoleculeTable, parse_smiles

SMILES = ("O=C1OCCO1", "COC(=O)OC", "CCOC(=O)OCC", "N#CCCC#N", "c1ccccc1", "[Li+].F[P-](F)(F)(F)(F)F")


def _table(*smiles: str) -> MoleculeTable:
    return MoleculeTable.build(Component.of(text) for text in smiles)


def _column(table: MoleculeTable, name: str) -> list[float]:
    described = molecule_descriptors(table)
    column: list[float] = described.values[:, described.names.index(name)].tolist()
    return column


def test_values_stand_under_their_names() -> None:
    table = _table(*SMILES)
    for name in ("MolLogP", "TPSA", "HeavyAtomCount"):
        compute = dict(Descriptors.descList)[name]
        assert _column(table, name) == [compute(parse_smiles(c.smiles)) for c in table.components]


def test_names_are_rdkits_then_the_morgan_bins() -> None:
    described = molecule_descriptors(_table("C"))
    assert described.names == descriptor_names()
    assert described.names[:-1024] == tuple(name for name, _ in Descriptors.descList)
    assert described.names[-1024:] == tuple(f"Morgan_{bin}" for bin in range(1024))
    assert described.values.shape == (1, len(described.names))
    assert described.values.dtype == torch.float64


def test_morgan_columns_count_environments() -> None:
    # Propane: two methyls and one methylene at radius 0; two and one at radius 1; nothing new at radius 2.
    counts = molecule_descriptors(_table("CCC")).values[0, -1024:]
    assert sorted(counts[counts > 0].tolist()) == [1.0, 1.0, 2.0, 2.0]


def test_caps_count_as_methyl_groups() -> None:
    capped, carbon = _table("[Cu]OCC[Au]"), _table("COCCC")
    assert torch.equal(molecule_descriptors(capped).values, molecule_descriptors(carbon).values)


def test_calcium_stays_calcium() -> None:
    (calcium,), (carbon,) = _column(_table("C[Ca]"), "MolWt"), _column(_table("C[C]"), "MolWt")
    assert calcium > carbon + 20


def test_capping_leaves_the_molecule_itself_as_it_was() -> None:
    (component,) = _table("[Cu]OCC[Au]").components
    molecule_descriptors(MoleculeTable.build([component]))
    assert Chem.MolToSmiles(parse_smiles(component.smiles)) == component.smiles


def test_the_length_of_a_chain_does_not_matter() -> None:
    table = MoleculeTable.build(Component("[Cu]OCC[Au]", mass) for mass in (1e3, 1e6))
    values = molecule_descriptors(table).values
    assert torch.equal(values[0], values[1])


def test_what_explodes_or_is_missing_is_finite() -> None:
    long, salt = "C" * 60, "[Li+].F[P-](F)(F)(F)(F)F"  # BCUT needs charges that this anion lacks
    values = molecule_descriptors(_table(long, salt)).values
    assert values.isfinite().all()
    assert values.abs().max() == 1e5
    assert _column(_table(long), "Ipc") == [1e5]
    assert _column(_table(salt), "BCUT2D_CHGHI") == [0.0]


@given(st.permutations(SMILES))
def test_neither_company_nor_spelling_matters(order: list[str]) -> None:
    spelled = [Chem.MolToSmiles(parse_smiles(smiles), canonical=False, doRandom=True) for smiles in order]
    values = molecule_descriptors(_table(*spelled)).values
    for row, smiles in zip(values, order, strict=True):
        assert torch.equal(row, molecule_descriptors(_table(smiles)).values[0])
