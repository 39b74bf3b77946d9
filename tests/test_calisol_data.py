"""The CALiSol-23 loader, on lines of our own in the published format and on the published file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from surrogates.calisol_data import calisol_chemicals, load_calisol
from surrogates.chemicals import resolve
from surrogates.mixture_data import MixtureData
from surrogates.molecules import canonical_smiles, molar_mass

SOLVENTS = ("EC", "PC", "DMC", "DMM")
HEADER = ",".join(("", "doi", "k", "T", "c", "salt", "c units", "solvent ratio type", *SOLVENTS))
LINES = (
    "0,10.1007/s10008-002-0300-9,0.1,298.15,1.0,LiPF6,mol/kg,w,0.33,0,0.66,0",
    "1,a,10.0,303.15,1.0, LiBPFPB,mol/l,v,0.5,0,0.5,0",
    "2,a,1.0,293.15,2.0,LiN(CF3SO2)2,mol/l,mol,0,0.25,0.75,0",
    "3,a,1.0,293.15,2.0,LiTFSI,mol/l,mol,0,0.25,0.75,0",
    "4,10.1149/1.1403730,3.260952381,333.15,1.4,LiPDI,mol/kg,w,0,0,0,1",
    "5,b,,298.15,1.0,LiPF6,mol/kg,w,1,0,0,0",
    "6,b,0,298.15,1.0,LiPF6,mol/kg,w,1,0,0,0",
    "7,b,1.11e-16,298.15,1.0,LiPF6,mol/kg,w,1,0,0,0",
    "8,b,2.0,298.15,-0.1,LiPF6,mol/kg,w,1,0,0,0",
    "9,b,2.0,298.15,0.5,LiPF6,mol/kg,w,1,0,0,0",
)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> MixtureData:
    path = tmp_path_factory.mktemp("calisol") / "calisol23_dtu.csv"
    path.write_text("\n".join((HEADER, *LINES)) + "\n", encoding="utf-8")
    return load_calisol(path)


@pytest.fixture(scope="module")
def published(data_dir: Path) -> MixtureData:
    return load_calisol(data_dir / "calisol23" / "calisol23_dtu.csv")


def _solvents(data: MixtureData, row: int) -> dict[str, float]:
    parts = zip(data.batch.solvents[row].tolist(), data.batch.weights[row].tolist(), strict=True)
    return {data.table.components[i].smiles: weight for i, weight in parts if weight > 0}


def _salt(data: MixtureData, row: int) -> str:
    return data.table.components[int(data.batch.salts[row, 0])].smiles


def test_the_target_is_log10_of_the_mended_conductivity(small: MixtureData) -> None:
    assert small.target_name == "log10_conductivity_S_cm"
    expected = np.log10([10, 10, 1, 1, 13.260952381, 2]) - 3  # the first times 100, a digit in the fifth
    assert small.target.numpy() == pytest.approx(expected)


def test_ratios_by_weight_volume_and_mole_become_weights(small: MixtureData) -> None:
    ec, pc, dmc = (resolve(name) for name in ("EC", "PC", "DMC"))
    assert _solvents(small, 0) == pytest.approx({ec: 1 / 3, dmc: 2 / 3})
    assert _solvents(small, 1) == pytest.approx({ec: 1.32 / 2.383, dmc: 1.063 / 2.383})
    total = 0.25 * molar_mass(pc) + 0.75 * molar_mass(dmc)
    assert _solvents(small, 2) == pytest.approx(
        {pc: 0.25 * molar_mass(pc) / total, dmc: 0.75 * molar_mass(dmc) / total}
    )


def test_salt_per_litre_becomes_salt_per_kilogram_of_solvent(small: MixtureData) -> None:
    assert small.batch.molality[[0, 4, 5], 0].tolist() == [1, 1.4, 0.5]
    assert float(small.batch.molality[1]) == pytest.approx(1 / ((1.32 + 1.063) / 2))  # equal volumes
    weights = _solvents(small, 2)
    litres = weights[resolve("PC")] / 1.20 + weights[resolve("DMC")] / 1.063
    assert float(small.batch.molality[2]) == pytest.approx(2 * litres)


def test_a_salt_in_two_spellings_is_one_and_all_are_ions(small: MixtureData) -> None:
    assert _salt(small, 2) == _salt(small, 3) == resolve("LiTFSI")
    assert _salt(small, 4) == resolve("LiPDI")
    assert _salt(small, 1).endswith(".[Li+]")


def test_rows_say_paper_line_and_flags(small: MixtureData) -> None:
    assert small.rows.to_dict("list") == {
        "row": [2, 3, 4, 5, 6, 11],
        "mixture": [0, 1, 2, 2, 3, 4],
        "repeat": [False, False, False, True, False, False],
        "poor_fit": [False] * 6,
        "paper": ["10.1007/s10008-002-0300-9", "a", "a", "a", "10.1149/1.1403730", "b"],
        "estimated": [False, True, True, True, False, False],
        "doubtful": [False, False, False, False, True, False],
        "suspect": [False] * 6,
    }


def test_every_row_that_was_touched_is_counted(small: MixtureData) -> None:
    assert small.report == (
        "10 rows read, 4 dropped, 6 kept from 4 papers; 4 hold 2 to 4 solvents",
        "1 rows: no conductivity, dropped",
        "2 rows: a conductivity of 0, or below 1e-12 mS/cm for it, dropped",
        "1 rows: a concentration below 0, dropped",
        "1 rows: conductivity of paper 10.1007/s10008-002-0300-9 multiplied by 100",
        "1 rows: conductivity 3.260952381 of paper 10.1149/1.1403730 read as 13.260952381, "
        "as its neighbours say",
        "1 rows: blanks around the name of the salt removed",
        "1 rows: LiN(CF3SO2)2 read as LiTFSI",
        "1 rows: LiTFSI, covalent in the published SMILES, read as ions",
        "1 rows: LiPDI, without lithium in the published SMILES, read with it",
        "1 rows: weight fractions computed from volumes and densities at 25 C",
        "2 rows: weight fractions computed from moles and molar masses",
        "1 rows: fractions divided by their sum, which differs from 1",
        "3 rows: molality computed from mol/l as if the salt took no room, flagged estimated",
        "1 rows: the structure of DMM may not be what the paper means, flagged doubtful",
        "0 rows: conductivity of a lower temperature, flagged suspect",
        "1 rows: mixture and temperature of an earlier row, flagged repeat",
    )


def test_the_published_file_has_the_counts_its_description_gives(published: MixtureData) -> None:
    assert len(published) == 13270 - 1 - 3  # conductivity above 0; concentration below 0; 1e-16 for zero
    assert published.rows["paper"].nunique() == 27
    assert len({_salt(published, row) for row in range(len(published))}) == 12
    assert float(published.batch.molality.min()) > 0
    assert published.batch.weights.sum(1).numpy() == pytest.approx(1)
    assert published.report[:5] == (
        "13825 rows read, 559 dropped, 13266 kept from 27 papers; 11034 hold 2 to 4 solvents",
        "523 rows: no conductivity, dropped",
        "35 rows: a conductivity of 0, or below 1e-12 mS/cm for it, dropped",
        "1 rows: a concentration below 0, dropped",
        "23 rows: conductivity of paper 10.1007/s10008-002-0300-9 multiplied by 100",
    )


def test_the_list_of_known_quirks_is_honoured(published: MixtureData, data_dir: Path) -> None:
    folder = data_dir / "calisol23"
    quirks = pd.read_csv(folder / "quirks.csv")
    given = pd.read_csv(folder / "calisol23_dtu.csv")["k"]
    target = pd.Series(published.target.numpy(), index=published.rows["row"] - 2)
    dropped = quirks["row"][quirks["fix"].str.startswith("drop")]
    assert len(dropped) == 556 and not set(dropped) & set(target.index)
    mended = [*quirks["row"][quirks["issue"] == "k_factor_100_low"], 4114]
    conductivity = 10 ** (target + 3)
    assert len(mended) == 24
    assert conductivity[mended[:-1]].to_numpy() == pytest.approx(100 * given[mended[:-1]].to_numpy())
    assert conductivity[4114] == pytest.approx(13.260952381)
    others = conductivity.index.difference(mended)
    assert conductivity[others].to_numpy() == pytest.approx(given[others].to_numpy())


def test_suspects_are_far_below_what_the_same_laboratory_measured_again(published: MixtureData) -> None:
    rows, batch = published.rows, published.batch
    assert rows["suspect"].groupby(rows["paper"]).sum().nlargest(3).tolist() == [156, 39, 0]
    frame = pd.DataFrame(
        {
            "solvent": [
                tuple(sorted((s, round(w, 2)) for s, w in zip(*one, strict=True) if w > 0))
                for one in zip(batch.solvents.tolist(), batch.weights.tolist(), strict=True)
            ],
            "salt": batch.salts[:, 0].numpy(),
            "kelvin": batch.temperature_K.numpy().round(),
            "molality": batch.molality[:, 0].numpy(),
            "log10": published.target.numpy(),
        }
    ).assign(suspect=rows["suspect"])
    two = frame[rows["paper"] == "10.1021/je0498863"].merge(
        frame[rows["paper"] == "10.1149/1.1630593"], on=["solvent", "salt", "kelvin"], suffixes=("", "_again")
    )
    two = two[np.isclose(two["molality"], two["molality_again"], rtol=0.08)]
    ratio = 10 ** (two["log10"] - two["log10_again"])
    assert two["suspect"].sum() > 50
    assert ratio[two["suspect"]].quantile(0.9) < 0.7
    assert ratio[~two["suspect"]].median() == pytest.approx(1, abs=0.02)


def test_the_molecules_are_those_of_the_published_table(data_dir: Path) -> None:
    text = (data_dir / "calisol23" / "calisolsmile.csv").read_text(encoding="utf-8-sig")
    bare = {"ethylene": "EC", "propylene": "PC", "dimethyl": "DMC", "ethyl methyl": "EMC"}
    published = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split(";") if cell.strip()]
        is_salt_or_bare = cells[0].startswith("Li") or len(cells) == 2
        name = cells[0] if is_salt_or_bare else cells[1]
        published[bare.get(name.lower().removesuffix(" carbonate"), name)] = canonical_smiles(cells[-1])
    ours = {name: chemical.component.smiles for name, chemical in calisol_chemicals().items()}
    assert set(ours) == set(published)
    assert {name for name in ours if ours[name] != published[name]} == {"LiPDI", "LiTFSI"}


def test_every_solvent_has_a_density_and_every_salt_none() -> None:
    for name, chemical in calisol_chemicals().items():
        is_salt = name.startswith("Li")
        assert np.isnan(chemical.density) == is_salt
        assert ("." in chemical.component.smiles) == is_salt
