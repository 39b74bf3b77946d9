"""The salts of a user's file: none, one or several, read and refused; the rest is in test_tables.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from surrogates.chemicals import name_of, resolve
from surrogates.mixture_data import MixtureData
from surrogates.molecules import molar_mass
from surrogates.tables import read_mixtures
from tests.mixture_files import TARGET, mixture_file, refusal

SALTS = "salt_1,molality_mol_kg_1,salt_2,molality_mol_kg_2"
PERCENT = {"salt_mole_fraction": "percent"}


def _salts(data: MixtureData) -> list[dict[str, float]]:
    """Return the molality of each salt of each row, as the tensors have them."""
    return [
        {
            name_of(data.table.components[i].smiles): molality
            for i, molality in zip(salts, amounts, strict=True)
            if molality > 0
        }
        for salts, amounts in zip(data.batch.salts.tolist(), data.batch.molality.tolist(), strict=True)
    ]


def test_columns_of_salts_that_are_not_numbered_alike_are_refused(tmp_path: Path) -> None:
    header = "solvent_1,weight_fraction_1,salt,salt_2,molality_mol_kg,y"
    may_hold = (
        "may hold a salt or its amount, but several salts are numbered as salt_1 and salt_2. "
        "Number salts and their amounts alike, or remove it."
    )
    add = "Add it, or map a header to it in columns."
    assert refusal(mixture_file(tmp_path, header, "EC,1,LiPF6,LiBF4,1,0"), "y") == [
        f'mine.csv: column "salt" {may_hold}',
        f'mine.csv: column "molality_mol_kg" {may_hold}',
        f'mine.csv: column "salt_1" is missing. Did you mean "salt"? {add}',
        f'mine.csv: column "molality_mol_kg_1" is missing. Did you mean "molality_mol_kg"? {add}',
        f'mine.csv: column "molality_mol_kg_2" is missing. Did you mean "molality_mol_kg"? {add}',
    ]
    header = "solvent_1,weight_fraction_1,salt,salt2,molality_mol_kg,y"
    assert refusal(mixture_file(tmp_path, header, "EC,1,LiPF6,LiBF4,1,0"), "y") == [
        f'mine.csv: column "salt2" {may_hold}'
    ]


@pytest.mark.parametrize(
    "name",
    [
        *("Salt_2", "salt 2", "SALT-2", "Salts", "Salt", "Lithium_salt", "lithiumsalt2"),
        *("Molality_2", "molality", "Molality_mol_kg_2"),
    ],
)
def test_what_may_be_a_second_salt_is_not_passed_over(tmp_path: Path, name: str) -> None:
    path = mixture_file(
        tmp_path, f"solvent_1,weight_fraction_1,salt,molality_mol_kg,{name},y", "EC,1,LiPF6,1,2,0"
    )
    assert refusal(path, "y") == [
        f'mine.csv: column "{name}" may hold a salt or its amount, but several salts are numbered as '
        "salt_1 and salt_2. Number salts and their amounts alike, or remove it."
    ]


def test_a_column_that_only_speaks_of_salt_is_passed_over(tmp_path: Path) -> None:
    header = "solvent_1,weight_fraction_1,salt,molality_mol_kg,salt_supplier,salty,y"
    data = read_mixtures(mixture_file(tmp_path, header, "EC,1,LiPF6,1,x,1,0"), "y")
    assert data.report[-2] == "columns passed over: salt_supplier, salty"


def test_a_misspelt_salt_is_told_once(tmp_path: Path) -> None:
    header = "solvent_1,weight_fraction_1,salt_1,molality_mol_kg_1,Salt_2,molality_mol_kg_2,y"
    add = "Add it, or map a header to it in columns."
    path = mixture_file(tmp_path, header, "EC,1,LiPF6,1,LiBF4,1,0")
    assert refusal(path, "y") == [f'mine.csv: column "salt_2" is missing. Did you mean "Salt_2"? {add}']


def test_rows_of_two_salts_of_one_and_of_none(tmp_path: Path) -> None:
    path = mixture_file(
        tmp_path,
        f"solvent_1,weight_fraction_1,{SALTS},{TARGET}",
        "EC,1,LiPF6,0.9,LiBF4,0.1,-2",
        "EC,1,LiBF4,0.1,LiPF6,0.9,-2",
        "EC,1,,,LiPF6,1,-2",
        "EC,1,LiPF6,1,LiBF4,0,-2",
        "EC,1,,,,,-6",
        "EC,1,,0,LiPF6,0.0,-6",
        "EC,1,LiPF6,0.05,LiPF6,0,-3",
    )
    data = read_mixtures(path, TARGET)
    assert _salts(data) == [
        {"LiPF6": 0.9, "LiBF4": 0.1},
        {"LiBF4": 0.1, "LiPF6": 0.9},
        {"LiPF6": 1},
        {"LiPF6": 1},
        {},
        {},
        {"LiPF6": 0.05},
    ]
    assert data.batch.molality.tolist()[2:] == [[1, 0], [1, 0], [0, 0], [0, 0], [0.05, 0]]
    assert data.rows["mixture"].tolist() == [0, 0, 1, 1, 2, 2, 3]
    assert data.report[2:] == (
        "2 rows: no salt",
        "2 rows: more than one salt",
        "7 rows: no column temperature_K, 298.15 K taken",
        "3 rows: mixture and temperature of an earlier row, flagged repeat",
    )


def test_a_row_without_salt_needs_no_numbers(tmp_path: Path) -> None:
    header = f"solvent_1,weight_fraction_1,salt,molality_mol_kg,{TARGET}"
    data = read_mixtures(mixture_file(tmp_path, header, "EC,1,,,-6", "EC,1,LiPF6,1,-2"), TARGET)
    assert _salts(data) == [{}, {"LiPF6": 1}]
    assert data.batch.salts.shape == (2, 1)


def test_bad_cells_of_several_salts_are_reported_at_once(tmp_path: Path) -> None:
    path = mixture_file(
        tmp_path,
        f"solvent_1,weight_fraction_1,{SALTS},y",
        "EC,1,LiPF6,,LiBF4,1,0",
        "EC,1,,,,0.5,0",
        "EC,1,LiPF6,1,lithium hexafluorophosphate,0.5,0",
        "EC,1,LiPF6,2000,EC,1,0",
    )
    expected = "a molality between 0 and 1000 mol/kg"
    assert refusal(path, "y") == [
        f'mine.csv, row 2, column "molality_mol_kg_1": the cell is empty; expected {expected}. Fill it in.',
        'mine.csv, row 3, column "molality_mol_kg_2": "0.5" stands here, but the row has no salt_2. '
        "Name the salt or clear the cell.",
        'mine.csv, row 4, columns "salt_1", "salt_2": one salt stands here twice. Add up its amounts.',
        f'mine.csv, row 5, column "molality_mol_kg_1": "2000" is not {expected}. Correct the cell.',
        'mine.csv, row 5, column "salt_2": "EC" is not made of ions. '
        "Give the ions with their charges, as [Li+].[Cl-].",
    ]


def test_mole_fractions_of_salts_become_molalities(tmp_path: Path) -> None:
    header = "solvent_1,weight_fraction_1,solvent_2,weight_fraction_2"
    salts = SALTS.replace("molality_mol_kg", "salt_mole_fraction")
    data = read_mixtures(
        mixture_file(tmp_path, f"{header},{salts},y", "EC,0.5,DMC,0.5,LiPF6,0.1,LiBF4,0.05,0"), "y"
    )
    # In a kg of solvents; 0.85 of all moles are theirs.
    moles = 500 / molar_mass(resolve("EC")) + 500 / molar_mass(resolve("DMC"))
    (found,) = _salts(data)
    assert found == pytest.approx({"LiPF6": 0.1 / 0.85 * moles, "LiBF4": 0.05 / 0.85 * moles})
    assert data.report[2] == "1 rows: molalities computed from mole fractions of salts, as formula units"

    header = "solvent_1,mole_fraction_1,solvent_2,mole_fraction_2,salt,salt_mole_fraction,y"
    data = read_mixtures(mixture_file(tmp_path, header, "EC,0.25,DMC,0.75,LiPF6,10,0"), "y", {}, PERCENT)
    # A mole of both: 0.9 mol of solvents, 0.225 and 0.675.
    kg = (0.225 * molar_mass(resolve("EC")) + 0.675 * molar_mass(resolve("DMC"))) / 1000
    assert _salts(data) == [{"LiPF6": pytest.approx(0.1 / kg)}]


def test_mole_fractions_of_salts_that_leave_no_solvent_are_refused(tmp_path: Path) -> None:
    salts = SALTS.replace("molality_mol_kg", "salt_mole_fraction")
    path = mixture_file(tmp_path, f"solvent_1,weight_fraction_1,{salts},y", "EC,1,LiPF6,0.6,LiBF4,0.4,0")
    assert refusal(path, "y") == [
        'mine.csv, row 2, columns "salt_mole_fraction_1", "salt_mole_fraction_2": the mole fractions of '
        "salts sum to 1, expected less than 1 of the whole mixture. "
        "Count the moles of solvents too, or correct the row."
    ]


def test_amounts_of_salts_given_both_ways_are_refused(tmp_path: Path) -> None:
    header = "solvent_1,weight_fraction_1,salt,molality_mol_kg,salt_mole_fraction,y"
    assert refusal(mixture_file(tmp_path, header, "EC,1,LiPF6,1,0.1,0"), "y") == [
        "mine.csv: salts are given by molality and by mole fraction. Remove the columns of one kind."
    ]
