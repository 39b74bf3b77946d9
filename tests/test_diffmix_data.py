"""The DiffMix loader, on lines of our own in the published format and on the published file."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from surrogates.chemicals import resolve
from surrogates.diffmix_data import load_diffmix
from surrogates.mixture_data import MixtureData
from surrogates.molecules import molar_mass

HEADER = (
    "sub1_name,x1 (mole fraction),sub2_name,x2 (mole fraction),sub3_name,x3 (mole fraction),salt,"
    '"x4 (anion, mole fraction)","x5 (cation, mole fraction)",temperature (K),ionic conductivity (mS/cm)'
)
LINES = (
    "Propylene Carbonate,0,Dimethyl Carbonate,0.9,Ethylene Carbonate,0,LiPF6,0.05,0.05,243.15,10",
    "Propylene Carbonate,0.2,Dimethyl Carbonate,0.6,Ethylene Carbonate,0,LiTFSI,0.1,0.1,253.15,1",
    "Dimethyl Carbonate,0.6,Diethyl Carbonate,0,Propylene Carbonate,0.2,LiTFSI,0.1,0.1,253.15,1",
    "Dimethyl Carbonate,0.6,Diethyl Carbonate,0,Propylene Carbonate,0.2,LiTFSI,0.1,0.1,263.15,2",
    "Propylene Carbonate,0.3,Dimethyl Carbonate,0.3,Ethylene Carbonate,0.396,LiPF6,0.002,0.002,243.15,0.1",
)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> MixtureData:
    path = tmp_path_factory.mktemp("diffmix") / "published_AEM_data.csv"
    path.write_text("\n".join((HEADER, *LINES)) + "\n", encoding="utf-8")
    return load_diffmix(path)


@pytest.fixture(scope="module")
def published(data_dir: Path) -> MixtureData:
    return load_diffmix(data_dir / "diffmix" / "published_AEM_data.csv")


def _solvents(data: MixtureData, row: int) -> dict[str, float]:
    parts = zip(data.batch.solvents[row].tolist(), data.batch.weights[row].tolist(), strict=True)
    return {data.table.components[i].smiles: weight for i, weight in parts if weight > 0}


def test_mole_fractions_become_weights_and_molality(small: MixtureData) -> None:
    pc, dmc = resolve("PC"), resolve("DMC")
    assert _solvents(small, 0) == {dmc: 1}
    assert float(small.batch.molality[0]) == pytest.approx(0.05 / (0.9 * molar_mass(dmc) / 1000))
    grams = {pc: 0.2 * molar_mass(pc), dmc: 0.6 * molar_mass(dmc)}
    total = sum(grams.values())
    for row in (1, 2, 3):
        assert _solvents(small, row) == pytest.approx({name: mass / total for name, mass in grams.items()})
        assert float(small.batch.molality[row]) == pytest.approx(0.1 / (total / 1000))
    salts = [small.table.components[i].smiles for i in small.batch.salts[:, 0].tolist()]
    assert salts == [resolve(name) for name in ("LiPF6", "LiTFSI", "LiTFSI", "LiTFSI", "LiPF6")]
    assert small.batch.temperature_K.tolist() == [243.15, 253.15, 253.15, 263.15, 243.15]


def test_the_target_is_log10_of_conductivity(small: MixtureData) -> None:
    assert small.target_name == "log10_conductivity_S_cm"
    assert small.target.tolist() == pytest.approx([-2, -3, -3, -2.69897, -4])


def test_order_and_absent_solvents_make_no_new_mixture(small: MixtureData) -> None:
    assert small.rows.to_dict("list") == {
        "row": [2, 3, 4, 5, 6],
        "mixture": [0, 1, 1, 1, 2],
        "repeat": [False, False, True, False, False],
        "poor_fit": [False] * 5,
        "doubtful": [False, False, False, False, True],
    }


def test_the_report_counts_what_was_done(small: MixtureData) -> None:
    assert small.report == (
        "5 rows read, none dropped; 4 hold 2 or 3 solvents",
        "4 rows: solvents at fraction 0 left out",
        "5 rows: weight fractions and molality computed from mole fractions",
        "1 rows: molality below 0.1 mol/kg, kept, flagged doubtful",
        "1 rows: mixture and temperature of an earlier row, flagged repeat",
    )


def test_the_published_file_holds_11022_distinct_rows(published: MixtureData) -> None:
    assert len(published) == 24822
    assert int((~published.rows["repeat"]).sum()) == 11022
    assert published.rows["mixture"].nunique() == 1839
    temperatures = published.batch.temperature_K.unique().tolist()
    assert temperatures == pytest.approx([243.15, 253.15, 263.15, 273.15, 283.15, 293.15])
    assert float(published.batch.molality.max()) == pytest.approx(2.0, abs=0.01)
    assert published.batch.molality[~published.rows["doubtful"].to_numpy()].gt(0.49).all()


def test_repeats_are_copies(published: MixtureData) -> None:
    temperature = pd.Series(published.batch.temperature_K.numpy())
    same = pd.Series(published.target.numpy()).groupby([published.rows["mixture"], temperature])
    assert float((same.max() - same.min()).max()) == 0
