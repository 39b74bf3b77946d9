"""A user's file of excess properties: what is read, and every bad header, unit and cell at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from surrogates.chemicals import resolve
from surrogates.errors import InputError
from surrogates.excess_tables import read_excess

VOLUME = "excess_molar_volume_cm3_mol"
HEADER = f"molecule_1,molecule_2,mole_fraction_1,temperature_K,{VOLUME}"


def _file(tmp_path: Path, *lines: str, header: str = HEADER) -> Path:
    path = tmp_path / "mine.csv"
    path.write_text("\n".join((header, *lines)) + "\n", encoding="utf-8")
    return path


def _refused(path: Path, **options: dict[str, str]) -> list[str]:
    with pytest.raises(InputError) as caught:
        read_excess(path, VOLUME, **options)
    return str(caught.value).splitlines()


def test_names_and_smiles_are_read_in_either_order(tmp_path: Path) -> None:
    data = read_excess(_file(tmp_path, "PC,CC#N,0.25,298.15,-0.1", "CC#N,PC,0.5,303.15,-0.2"), VOLUME)
    smiles = [[data.table.components[i].smiles for i in row] for row in data.molecules.tolist()]
    assert smiles == [[resolve("PC"), "CC#N"], ["CC#N", resolve("PC")]]
    assert data.x.tolist() == [0.25, 0.5]
    assert data.temperature_K.tolist() == [298.15, 303.15]
    assert (data.target.tolist(), data.target_name) == ([-0.1, -0.2], VOLUME)
    assert data.rows["pair"].tolist() == [0, 0]
    assert (data.source, len(data.sha256)) == ("mine.csv", 64)
    assert data.report == ("2 rows read, none dropped; 1 pairs of molecules",)


def test_headers_and_units_of_the_users_own_are_converted_and_told(tmp_path: Path) -> None:
    header = f"a,molecule_2,mole_fraction_1,temperature_K,{VOLUME},molar_mass"
    path = _file(tmp_path, "PC,CC#N,25,25,-100,1", header=header)
    units = {
        "mole_fraction_1": "percent",
        "temperature_K": "degC",
        VOLUME: "mm**3/mol",
        "molar_mass": "kg/mol",
    }
    data = read_excess(path, VOLUME, {"molecule_1": "a"}, units)
    assert data.x.tolist() == pytest.approx([0.25])
    assert data.temperature_K.tolist() == pytest.approx([298.15])
    assert data.target.tolist() == pytest.approx([-0.1])
    assert data.report == (
        "1 rows read, none dropped; 1 pairs of molecules",
        "1 rows: mole_fraction_1 converted from percent",
        "1 rows: temperature_K converted from degC",
        f"1 rows: {VOLUME} converted from mm**3/mol",
        "columns passed over: molar_mass",
    )


def test_every_bad_cell_is_named_in_one_pass(tmp_path: Path) -> None:
    path = _file(
        tmp_path,
        "PC,acetonitril,0.25,298.15,-0.1",
        ",CC#N,1.2,298.15,-0.1",
        "PC,[Li+],0.5,25,much",
        "PC,[Cu]CCO[Au],0.5,298.15,",
        "PC,CC#N,0.5,298.15,0.1",
        "LiPF6,O.CCO,0.5,298.15,0.1",
        "PC,CC1COC(=O)O1,0.5,298.15,0.1",
    )
    assert _refused(path) == [
        'mine.csv, row 2, column "molecule_2": "acetonitril" is neither a known name nor a SMILES that RDKit '
        "can read. Did you mean AN or SN? Otherwise give its SMILES.",
        'mine.csv, row 3, column "molecule_1": the cell is empty; expected a molecule. Name the molecule.',
        'mine.csv, row 3, column "mole_fraction_1": "1.2" is not a fraction between 0 and 1. Correct the '
        "cell, or name its unit if the column holds percent.",
        'mine.csv, row 4, column "molecule_2": "[Li+]" is not one molecule without charge. Give such a '
        "molecule, or remove the row.",
        'mine.csv, row 4, column "temperature_K": "25" is not a temperature between 100 and 1000 K. Correct '
        "the cell, or name its unit if the column holds degC.",
        f'mine.csv, row 4, column "{VOLUME}": "much" is not a finite number; expected a number between -1e15 '
        "and 1e15. Write a plain number with a decimal point.",
        'mine.csv, row 5, column "molecule_2": "[Cu]CCO[Au]" is a polymer, of which a mole fraction says '
        "little. Remove the row.",
        f'mine.csv, row 5, column "{VOLUME}": the cell is empty; expected a number between -1e15 and 1e15. '
        "Fill it in.",
        'mine.csv, row 7, column "molecule_1": "LiPF6" is not one molecule without charge. Give such a '
        "molecule, or remove the row.",
        'mine.csv, row 7, column "molecule_2": "O.CCO" is not one molecule without charge. Give such a '
        "molecule, or remove the row.",
        'mine.csv, row 8, columns "molecule_1", "molecule_2": one molecule stands here twice. Correct or '
        "remove the row.",
    ]


def test_missing_columns_and_wrong_units_are_named_with_the_nearest(tmp_path: Path) -> None:
    header = f"molecule1,molecule_2,mole_fraction_1,temperature_K,{VOLUME}"
    path = _file(tmp_path, "PC,CC#N,0.5,298.15,0.1", header=header)
    assert _refused(path, units={VOLUME: "J/mol"}) == [
        'mine.csv: column "molecule_1" is missing. Did you mean "molecule1"? Add it, or map a header to it '
        "in columns.",
        f'mine.csv: units gives "J/mol" for "{VOLUME}", which is no unit that converts to cm**3/mol. Write a '
        "unit such as S/m, mS/cm, degC, mol/kg or percent.",
    ]
