"""The loader of excess properties, on an archive of our own in the published layout and on the real one."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pandas as pd
import pytest

from surrogates.chemicals import resolve
from surrogates.excess_data import load_excess

ENTHALPY, VOLUME = "excess_molar_enthalpy_J_mol", "excess_molar_volume_cm3_mol"
PLAIN = {
    "doi": "10.1/a",
    "smi1": "CC1COC(=O)O1",
    "smi2": "COC(=O)OC",
    "mixture_data": [
        {
            "measurement": "excess molar enthalpy",
            "units": "kJ/mol",
            "temperature": {"value": 25, "unit": "degC"},
            "x1": [0.25, 0.5],
            "values": [0.1, -0.2],
        },
        {
            "measurement": "excess molar enthalpy",
            "units": "cal/mol",
            "temperature": 298.15,
            "x1": [0.5],
            "values": [9],
        },
        {
            "measurement": "excess molar enthalpy",
            "units": "J/mol",
            "temperature": 298.15,
            "xtype": "mass fraction",
            "x1": [0.5, 0.6],
            "values": [9, 8],
        },
        {"measurement": "density", "units": "g/cm^3", "temperature": 298.15, "x1": [0.5], "values": [1.1]},
    ],
}
COMMENTED = """{
  // "smi1" stands second in the other file
  "doi": "10.1/b", "smi1": "O=C(OC)OC", "smi2": "C1C(C)OC(=O)O1", "link": "https://example.org",
  "mixture_data": [{"measurement": "excess molar enthalpy", "units": "J/mol", "temperature": 303.15,
    "xtype": "mole fraction", "x1": [0.1], "values": [7.5], // one value
  }]
}"""
SUSPECT = {
    "doi": "10.1021/je00020a016",
    "smi1": "COC(=O)OC",
    "smi2": "CCOC(=O)OCC",
    "mixture_data": [
        {
            "measurement": "excess molar volume",
            "units": "cm^3/mol",
            "temperature": 298.15,
            "xtype": "mole fraction",
            "x1": [0.5, 0.9877],
            "values": [0.1, 0.065],
        }
    ],
}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("excess") / "archive.tar.gz"
    texts = {
        "set/data/10.1--a/one.json": json.dumps(PLAIN),
        "set/data/10.1--b/two.jsonc": COMMENTED,
        "set/data/10.1021--je00020a016/COC(=O)OC---CCOC(=O)OCC.json": json.dumps(SUSPECT),
        "set/README.md": "not data",
        "../set/data/x/outside.json": "not read",
    }
    with tarfile.open(path, "w:gz") as tar:
        for name, text in texts.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return path


def test_units_temperatures_and_comments_are_read(archive: Path) -> None:
    data = load_excess(archive, ENTHALPY)
    assert data.target.tolist() == pytest.approx([100, -200, 7.5])
    assert data.temperature_K.tolist() == pytest.approx([298.15, 298.15, 303.15])
    assert data.x.tolist() == [0.25, 0.5, 0.1]
    smiles = [[data.table.components[i].smiles for i in row] for row in data.molecules.tolist()]
    pc, dmc = resolve("PC"), resolve("DMC")
    assert smiles == [[pc, dmc], [pc, dmc], [dmc, pc]]
    assert data.rows.to_dict("list") == {
        "file": ["10.1--a/one.json"] * 2 + ["10.1--b/two.jsonc"],
        "paper": ["10.1/a", "10.1/a", "10.1/b"],
        "pair": [0, 0, 0],
        "suspect": [False] * 3,
    }
    assert data.report == (
        "3 values of excess molar enthalpy read from 3 files, none dropped; 1 pairs of molecules",
        "2 rows: unit converted",
        "2 rows: temperature converted from degC",
        "2 rows: kind of fraction not named, read as mole fraction",
        "0 rows: far from the curve of their series, kept, flagged suspect",
        "other measurements passed over: density 1, excess molar enthalpy by mass fraction 2, excess molar "
        "enthalpy in cal/mol 1, excess molar volume 2",
    )


def test_a_suspect_point_is_flagged(archive: Path) -> None:
    assert load_excess(archive, VOLUME).rows["suspect"].tolist() == [False, True]


@pytest.mark.parametrize(
    ("target", "measurement", "number", "suspects"),
    [(ENTHALPY, "excess molar enthalpy", 2423, 5), (VOLUME, "excess molar volume", 1414, 6)],
)
def test_the_published_values_are_all_read(
    data_dir: Path, target: str, measurement: str, number: int, suspects: int
) -> None:
    folder = data_dir / "excess_properties"
    data = load_excess(folder / "curated_json.tar.gz", target)
    flat = pd.read_csv(folder / "excess_literature.csv")
    flat = flat[flat["measurement"] == measurement]
    assert len(data) == len(flat) == number
    assert int(data.rows["suspect"].sum()) == suspects
    ours = zip(
        data.rows["file"], data.temperature_K.tolist(), data.x.tolist(), data.target.tolist(), strict=True
    )
    theirs = zip(flat["file"], flat["T_K"], flat["x1"], flat["value"], strict=True)
    for mine, other in zip(sorted(ours), sorted(theirs), strict=True):
        assert mine[0] == other[0]
        assert mine[1:] == pytest.approx(other[1:])
