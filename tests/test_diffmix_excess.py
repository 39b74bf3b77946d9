"""The loader of DiffMix's excess properties, on lines of our own and on the published files."""

from __future__ import annotations

from pathlib import Path

import pytest

from surrogates.chemicals import resolve
from surrogates.diffmix_excess import load_diffmix_excess

HEADER = "sub1_name,x1 (mole fraction),sub2_name,x2 (mole fraction),temperature (K),"
LINES = (
    "Propylene Carbonate,0.25,Anisole,0.75,293.15,63,https://example.org/a",
    "Anisole,0.5,Propylene Carbonate,0.5,303.15,-70.5,https://example.org/b",
    "Heptane,1,Anisole,0,303.15,0,https://example.org/b",
)


@pytest.mark.parametrize(
    ("column", "target"),
    [
        ("excess_molar_enthalpy/(J/mol)", "excess_molar_enthalpy_J_mol"),
        ("excess_molar_volume/(cm3/mol)", "excess_molar_volume_cm3_mol"),
    ],
)
def test_rows_are_read_with_pairs_in_either_order(tmp_path: Path, column: str, target: str) -> None:
    path = tmp_path / "excess.csv"
    path.write_text("\n".join((f"{HEADER}{column},link", *LINES)) + "\n", encoding="utf-8")
    data = load_diffmix_excess(path)
    pc, anisole, heptane = resolve("PC"), "COc1ccccc1", "CCCCCCC"
    smiles = [[data.table.components[i].smiles for i in row] for row in data.molecules.tolist()]
    assert smiles == [[pc, anisole], [anisole, pc], [heptane, anisole]]
    assert data.x.tolist() == [0.25, 0.5, 1]
    assert data.temperature_K.tolist() == [293.15, 303.15, 303.15]
    assert (data.target.tolist(), data.target_name) == ([63, -70.5, 0], target)
    pairs = data.rows["pair"].tolist()
    assert pairs[0] == pairs[1] != pairs[2]
    assert data.rows["paper"].tolist() == [f"https://example.org/{name}" for name in "abb"]
    assert data.rows["suspect"].tolist() == [False] * 3
    assert data.report == (
        "3 rows read, none dropped; 2 pairs of molecules",
        "0 rows: out of place in their series, kept, flagged suspect",
    )


@pytest.mark.parametrize(("name", "number", "suspects"), [("enthalpy", 631, 0), ("volume", 1069, 12)])
def test_the_published_files_have_their_rows(data_dir: Path, name: str, number: int, suspects: int) -> None:
    data = load_diffmix_excess(data_dir / "diffmix" / f"published_excess_molar_{name}.csv")
    assert len(data) == number
    assert int(data.rows["suspect"].sum()) == suspects
    assert float(data.x.min()) >= 0 and float(data.x.max()) <= 1
