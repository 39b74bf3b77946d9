"""Measured conductivities of a ternary system are read as strictly as other data, and compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from activelearn.landscape import TernarySystem, landscape
from campaigns.landscape_measured import Agreement, Measured, agreement, read_measured
from surrogates.errors import InputError
from surrogates.molecules import MoleculeTable
from tests.fake_landscape import HIGHEST, LIPF6, FakeModel, solvents

SYSTEM = TernarySystem(solvents("PC", "DMC", "EC"), "LiPF6", LIPF6, 0.08)
OTHER = TernarySystem(solvents("EMC", "DMC", "DEC"), "LiPF6", LIPF6, 0.12)
PLAIN = "x_DMC,x_PC,x_EC,conductivity_mS_cm,note\n0.6,0.1,0.3,19,a\n\n0.5,0.5,0.01,8,b\n"


def read(tmp_path: Path, text: str, *systems: TernarySystem, **mapped: dict[str, str]) -> Measured:
    path = tmp_path / "rows.csv"
    path.write_text(text, encoding="utf-8")
    columns, units = mapped.get("columns", {}), mapped.get("units", {})
    return read_measured(path, systems or (OTHER, SYSTEM), 303.15, columns, units)


def test_a_plain_file_is_read(tmp_path: Path) -> None:
    measured = read(tmp_path, PLAIN)
    assert measured.system == SYSTEM
    assert measured.x[0].tolist() == pytest.approx([0.1, 0.6, 0.3])
    assert measured.x[1].tolist() == pytest.approx([0.5 / 1.01, 0.5 / 1.01, 0.01 / 1.01])
    assert measured.temperature_K.tolist() == [303.15, 303.15]
    assert measured.conductivity.tolist() == [19, 8]
    assert (list(measured.row), measured.column, measured.file) == ([2, 4], "conductivity_mS_cm", "rows.csv")
    assert measured.report == (
        "rows.csv: 2 rows of PC/DMC/EC",
        "rows.csv: no column temperature_K, 303.15 K taken",
        "rows.csv: 1 rows with mole fractions divided by their sum",
    )


def test_headers_and_units_may_be_others(tmp_path: Path) -> None:
    measured = read(
        tmp_path,
        "PC,x_DMC,x_EC,kappa,t\n10,0.6,0.3,1.9,27\n",
        columns={"x_PC": "PC", "conductivity_mS_cm": "kappa", "temperature_K": "t"},
        units={"conductivity_mS_cm": "S/m", "temperature_K": "degC", "x_PC": "percent"},
    )
    assert measured.x[0].tolist() == pytest.approx([0.1, 0.6, 0.3])
    assert measured.conductivity.tolist() == pytest.approx([19])
    assert measured.temperature_K.tolist() == pytest.approx([300.15])
    assert measured.column == "kappa"
    assert measured.report == ("rows.csv: 1 rows of PC/DMC/EC",)


@pytest.mark.parametrize(
    ("text", "mapped", "message"),
    [
        (
            "x_PC,x_DMC,k\n0.1,0.9,3\n",
            {},
            "rows.csv: columns of a system were expected: x_EMC, x_DMC, x_DEC or x_PC, x_DMC, x_EC. Add "
            "them, or map headers to them in columns. Its columns are x_PC, x_DMC, k.",
        ),
        (
            "x_PC,x_DMC,x_EC,x_EMC,x_DEC,k\n0.1,0.9,0,0,0,3\n",
            {},
            "rows.csv: its columns fit several systems: EMC/DMC/DEC and PC/DMC/EC. Keep one of these systems "
            "in the job.",
        ),
        (
            "x_PC,x_DMC,x_EC,k\n0.1,0.9,0,3\n",
            {"units": {"temperature_K": "degC"}},
            """\
rows.csv: column "conductivity_mS_cm" is missing. Add it, or map a header to it in columns.
rows.csv: units names "temperature_K", which is not in the file. Correct the key in units.""",
        ),
        (
            "x_PC,x_DMC,x_EC,k\n0.1,0.9,0,3\n",
            {"columns": {"conductivity": "k"}},
            'rows.csv: columns maps "conductivity", which is no column here. Correct the key in columns.',
        ),
        (
            "p,x_DMC,x_EC,k,temperature_K\n0.1,0.8,0,-3,300\n1.2,a,0,3,\n0.1,0.885,0,3,27\n",
            {"columns": {"x_PC": "p", "conductivity_mS_cm": "k"}},
            """\
rows.csv, row 2, columns "p", "x_DMC", "x_EC": the mole fractions sum to 0.9; expected 1 to within 0.015. \
Correct the row.
rows.csv, row 2, column "k": "-3" is not a conductivity above 0. Correct the cell.
rows.csv, row 3, column "p": "1.2" is not a fraction between 0 and 1. Correct the cell, or name its unit if \
the column holds percent.
rows.csv, row 3, column "x_DMC": "a" is not a finite number; expected a fraction between 0 and 1. Write a \
plain number with a decimal point.
rows.csv, row 3, column "temperature_K": the cell is empty; expected a temperature between 100 and 1000 K. \
Fill it in.
rows.csv, row 4, column "temperature_K": "27" is not a temperature between 100 and 1000 K. Correct the \
cell, or name its unit if the column holds degC.""",
        ),
    ],
)
def test_what_is_wrong_is_told_at_once(
    tmp_path: Path, text: str, mapped: dict[str, dict[str, str]], message: str
) -> None:
    with pytest.raises(InputError) as refused:
        read(tmp_path, text, **mapped)
    assert str(refused.value) == message


def test_how_near_predictions_come(tmp_path: Path) -> None:
    rows = "0.1,0.6,0.3,19,300\n0.1,0.6,0.3,22,300\n0.1,0.6,0.3,40,310\n"
    measured = read(tmp_path, f"x_PC,x_DMC,x_EC,conductivity_mS_cm,temperature_K\n{rows}")
    table = MoleculeTable.build(SYSTEM.components)
    said = landscape(
        FakeModel().bind(table),
        table,
        SYSTEM,
        torch.from_numpy(measured.x),
        torch.from_numpy(measured.temperature_K),
    )
    warm = HIGHEST * 10**0.01
    assert said.conductivity.tolist() == pytest.approx([HIGHEST, HIGHEST, warm])
    near = agreement(measured, said)
    errors = np.array([HIGHEST - 19, HIGHEST - 22, warm - 40])
    assert near == Agreement(
        file="rows.csv",
        column="conductivity_mS_cm",
        system="PC/DMC/EC",
        rows=3,
        mae=pytest.approx(np.abs(errors).mean()),
        bias=pytest.approx(errors.mean()),
        spearman=pytest.approx(3**0.5 / 2),
        coverage_90=pytest.approx(2 / 3),
    )


def test_the_rank_correlation_of_one_row_does_not_exist(tmp_path: Path) -> None:
    measured = read(tmp_path, "x_PC,x_DMC,x_EC,conductivity_mS_cm\n0.1,0.6,0.3,19\n")
    table = MoleculeTable.build(SYSTEM.components)
    x, temperature = torch.from_numpy(measured.x), torch.from_numpy(measured.temperature_K)
    near = agreement(measured, landscape(FakeModel().bind(table), table, SYSTEM, x, temperature))
    assert near.spearman is None


def test_table_s2_of_the_paper_is_read(reference_dir: Path) -> None:
    measured = read_measured(
        reference_dir / "diffmix_table_s2.csv",
        [SYSTEM],
        303.15,
        {"conductivity_mS_cm": "conductivity_measured_mS_cm", "temperature_K": "temperature_measured_C"},
        {"temperature_K": "degC"},
    )
    assert len(measured.x) == 28
    assert measured.x.sum(1) == pytest.approx(np.ones(28))
    assert measured.conductivity[-1] == 13.82
    assert measured.temperature_K[-1] == pytest.approx(300.35)
