"""The MolSets loader, on lines of our own in the published format and on the published file."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from surrogates.chemicals import resolve
from surrogates.mixture_data import MixtureData
from surrogates.molsets_data import load_molsets

HEADER = ",Solvent 1,Solvent 2,Solvent 3,Solvent 4,Weights,M,Salt,Molality,Slope,Intercept,Goodness"
LINES = (
    '7,C1COC(=O)O1,COC(OC)=O,nan,nan,"[0.5, 0.4]","[88.0, 90.0]",F[P-](F)(F)(F)(F)F.[Li+],1,-298,-1,0.99',
    "9,[Cu]OCC[Au],nan,nan,nan,[0.9],[5000.0],[Li+].[O-]Cl(=O)(=O)=O,12.0,-596.0,1.0,0.5",
    '3,COC(=O)OC,O=C1OCCO1,nan,nan,"[0.4, 0.5]","[90.0, 88.0]",F[P-](F)(F)(F)(F)F.[Li+],1,-596,-1,0.98',
    "4,[Cu]OCC[Au],nan,nan,nan,[0.9],[90000.0],[Li+].[O-][Cl+3]([O-])([O-])[O-],12.0,-298.0,1.0,0.95",
)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> MixtureData:
    path = tmp_path_factory.mktemp("molsets") / "data_compiled.csv"
    path.write_text("\n".join((HEADER, *LINES)) + "\n", encoding="utf-8")
    return load_molsets(path)


@pytest.fixture(scope="module")
def published(data_dir: Path) -> MixtureData:
    return load_molsets(data_dir / "molsets" / "data_compiled.csv")


def test_rows_keep_order_weights_and_masses(small: MixtureData) -> None:
    batch, table = small.batch, small.table
    assert batch.weights.tolist() == [[0.5, 0.4], [0.9, 0.0], [0.4, 0.5], [0.9, 0.0]]
    assert [table.components[i].molar_mass for i in batch.solvents[:, 0].tolist()] == [88, 5000, 90, 90000]
    assert batch.molality[:, 0].tolist() == [1, 12, 1, 12]
    assert batch.temperature_K.tolist() == [298.15] * 4


def test_target_is_the_fit_at_298_kelvin(small: MixtureData) -> None:
    assert small.target_name == "log10_conductivity_S_cm"
    assert small.target.tolist() == [-2, -1, -3, 0]


def test_one_molecule_has_one_name(small: MixtureData) -> None:
    smiles = [component.smiles for component in small.table.components]
    assert [smiles[i] for i in small.batch.salts[:, 0].tolist()] == [
        resolve(name) for name in ("LiPF6", "LiClO4", "LiPF6", "LiClO4")
    ]
    assert small.batch.solvents[0].tolist() == small.batch.solvents[2].flip(0).tolist()


def test_repeats_and_poor_fits_are_flagged_not_dropped(small: MixtureData) -> None:
    assert small.rows.to_dict("list") == {
        "row": [2, 3, 4, 5],
        "mixture": [0, 1, 0, 1],
        "repeat": [False, False, True, True],
        "poor_fit": [False, True, False, False],
    }


def test_the_report_counts_what_was_done(small: MixtureData) -> None:
    assert small.report == (
        "4 rows read, none dropped; 2 hold 2 to 4 solvents",
        "3 rows: SMILES rewritten in RDKit's canonical spelling; 3 molecules stood in two spellings: "
        "EC, DMC, LiClO4",
        "2 rows: polymer caps [Cu] and [Au] read as carbon without hydrogen, as the paper does; "
        "the molar mass is the chain's",
        "0 rows: [Ca], where chains are linked, kept as an atom of calcium, as the paper does",
        "2 rows: perchlorate in its charge-separated spelling, to which others are brought",
        "0 rows: a molar mass [g/mol] differs from the formula's by more than 1 %, kept as given: none",
        "4 rows: weight fractions sum to less than 1, kept; the remainder is not solvent",
        "2 rows: molality above 10 mol/kg, kept",
        "4 rows: target is slope / 298 + intercept, log10 of S/cm; temperature_K is set to 298.15",
        "1 rows: fit with R2 below 0.9, flagged poor_fit",
        "2 rows: molecules, fractions, salt and molality of an earlier row, whatever the molar mass of the "
        "chain, flagged repeat",
    )


def test_the_published_file_has_the_published_numbers(published: MixtureData) -> None:
    assert len(published) == 1076
    assert int((published.batch.weights > 0).sum(-1).eq(1).sum()) == 825
    assert int(published.rows["poor_fit"].sum()) == 51
    assert int(published.rows["repeat"].sum()) == 86
    assert int((published.batch.molality > 10).sum()) == 51
    assert int((published.batch.molality > 20).sum()) == 14
    assert math.isclose(float(published.target.mean()), -5.642021, abs_tol=1e-6)
    assert math.isclose(float(published.target.std(correction=0)), 2.488861, abs_tol=1e-6)


def test_published_weights_are_fractions_of_the_whole(published: MixtureData) -> None:
    total = published.batch.weights.sum(-1)
    assert math.isclose(float(total.mean()), 0.762, abs_tol=5e-4)
    assert bool((total <= 1 + 1e-9).all())
    assert published.batch.weights.dtype == torch.float64


def test_published_molecules_stand_once_for_each_molar_mass(published: MixtureData) -> None:
    assert len(set(published.table.components)) == len(published.table) == 266
    assert published.rows["mixture"].nunique() == 1076 - 86
