"""Features of molecules: standardised on the known ones, bounded for all others."""

from __future__ import annotations

from dataclasses import replace

import torch

from surrogates.descriptors import descriptor_names
from surrogates.features import MoleculeFeatures
from surrogates.molecules import Component, MoleculeTable

KNOWN = MoleculeTable.build(
    Component.of(smiles)
    for smiles in (
        *("O=C1OCCO1", "COC(=O)OC", "CCOC(=O)OCC", "N#CCCC#N", "COCCOC", "CC1COC(=O)O1", "CS(C)=O"),
        *("c1ccccc1", "[Cu]OCC[Au]", "F[P-](F)(F)(F)(F)F.[Li+]", "F[B-](F)(F)F.[Li+]"),
    )
)
FEATURES = MoleculeFeatures.fit(KNOWN, components=4)


def test_principal_components_are_standardised_and_uncorrelated() -> None:
    of = FEATURES.of(KNOWN)
    assert of.shape == (len(KNOWN), FEATURES.width) == (len(KNOWN), 6)
    assert of.dtype == torch.float32
    torch.testing.assert_close(of[:, :4].mean(0), torch.zeros(4), rtol=0, atol=1e-4)
    torch.testing.assert_close(torch.cov(of[:, :4].T), torch.eye(4), rtol=0, atol=1e-4)


def test_chain_length_and_polymer_flag_stand_last() -> None:
    short, long = Component.of("[Cu]OCC[Au]", 1e3), Component.of("[Cu]OCC[Au]", 1e5)
    of = FEATURES.of(MoleculeTable.build([short, long, KNOWN.components[0]]))
    torch.testing.assert_close(of[:2, -2], torch.tensor([3.0, 5.0]))
    assert of[:, -1].tolist() == [1, 1, 0]
    assert torch.equal(of[0, :-2], of[1, :-2])


def test_a_polymer_counts_once_whatever_its_chains() -> None:
    chains = [Component.of("[Cu]OCC[Au]", 10.0**power) for power in (3, 4, 5)]
    again = MoleculeFeatures.fit(MoleculeTable.build([*KNOWN.components, *chains]), components=4)
    torch.testing.assert_close(again.of(KNOWN), FEATURES.of(KNOWN))


def test_a_molecule_unlike_all_others_is_cut_off() -> None:
    strange = MoleculeTable.build([Component.of("C" * 60 + "(F)(F)F")])
    uncut = replace(FEATURES, scale=1e-3 * FEATURES.scale)  # no descriptor reaches the limit
    far = 1e3 * (uncut.of(strange) - uncut.of(KNOWN).mean(0))
    bound = (5 + FEATURES.centre.abs()) @ FEATURES.components.abs()
    cut = FEATURES.of(strange)
    assert (cut[0, :-2].abs() <= bound).all()
    assert cut[0, :-2].abs().max() < far[0, :-2].abs().max()


def test_what_marks_two_molecules_only_is_not_looked_at() -> None:
    sulfur = MoleculeTable.build([*KNOWN.components[:6], Component.of("CS(C)=O"), Component.of("CSC")])
    names = descriptor_names()
    features = MoleculeFeatures.fit(sulfur, components=4)
    assert features.scale[names.index("fr_sulfide")] == 0
    assert features.scale[names.index("HeavyAtomCount")] > 0


def test_directions_in_which_no_known_molecule_varies_are_left_out() -> None:
    few = MoleculeTable.build(KNOWN.components[:5])
    features = MoleculeFeatures.fit(few, components=40)
    assert features.components.shape[1] == 4  # five points span four directions
    assert features.of(few)[:, :-2].abs().max() < 3
    assert features.of(KNOWN)[:, :-2].abs().max() < 30


def test_three_molecules_cannot_be_told_apart_but_by_mass() -> None:
    few = MoleculeTable.build(KNOWN.components[:3])
    of = MoleculeFeatures.fit(few, components=40).of(few)
    assert of.tolist() == [[mass, 0.0] for mass in few.log_molar_mass.tolist()]
