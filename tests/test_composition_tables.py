"""A user's file of compositions."""

from __future__ import annotations

from pathlib import Path

import pytest

from surrogates.composition_tables import read_compositions
from surrogates.errors import InputError

HEADER = "formula,rate_mA_g,V_low,V_high,cycle,capacity_mAh_g"


def _file(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "c.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_rows_are_read_with_units_and_headers_mapped(tmp_path: Path) -> None:
    path = _file(
        tmp_path, "formula,rate,V_low,V_high,cycle,Q,who", "Li1.2Mn0.4Ti0.4O2,0.02,1500,4800,3,250.5,me"
    )
    data = read_compositions(
        path,
        "capacity_mAh_g",
        columns={"rate_mA_g": "rate", "capacity_mAh_g": "Q"},
        units={"rate_mA_g": "A/g", "V_low": "mV", "V_high": "mV"},
    )
    assert len(data) == 1
    row = data.rows.iloc[0].to_dict()
    assert row == {
        "row": 2, "formula": "Li1.2Mn0.4Ti0.4O2", "rate_mA_g": pytest.approx(20), "V_low": 1.5, "V_high": 4.8,
        "cycle": 3, "capacity_mAh_g": 250.5,
    }  # fmt: skip
    assert data.report == (
        "1 rows read, none dropped; 0 empty rows passed over",
        "1 rows: rate_mA_g converted from A/g",
        "1 rows: V_low converted from mV",
        "1 rows: V_high converted from mV",
        "columns passed over: who",
    )


def test_every_bad_cell_is_reported_at_once(tmp_path: Path) -> None:
    path = _file(tmp_path, HEADER, "LiX2,-1,4.8,1.5,1.5,", "LiO,1,1,45,0,ten")
    with pytest.raises(InputError) as caught:
        read_compositions(path, "capacity_mAh_g")
    assert str(caught.value).splitlines() == [
        'c.csv, row 2, column "formula": "LiX2" is no formula: "X" is no element. '
        "Write it as Li1.2Mn0.4Ti0.4O2.",
        'c.csv, row 2, column "rate_mA_g": "-1" is not a rate above 0 mA/g. Correct the cell.',
        'c.csv, row 2, column "cycle": "1.5" is not a whole number from 1. Correct the cell.',
        'c.csv, row 2, column "capacity_mAh_g": the cell is empty; expected a finite number. Fill it in.',
        'c.csv, row 2, columns "V_low", "V_high": 4.8 to 1.5 is no window; V_low must lie below V_high. '
        "Exchange or correct them.",
        'c.csv, row 3, column "V_high": "45" is not a voltage between 0 and 10 V. Correct the cell.',
        'c.csv, row 3, column "cycle": "0" is not a whole number from 1. Correct the cell.',
        'c.csv, row 3, column "capacity_mAh_g": "ten" is not a finite number; expected a finite number. '
        "Write a plain number with a decimal point.",
    ]


def test_missing_columns_are_named_with_the_nearest(tmp_path: Path) -> None:
    path = _file(tmp_path, "formula,rate_mA_g,V_low,Vhigh,capacity_mAh_g", "LiO,1,1,2,3")
    with pytest.raises(InputError) as caught:
        read_compositions(path, "capacity_mAh_g")
    assert str(caught.value).splitlines() == [
        'c.csv: column "V_high" is missing. Did you mean "Vhigh"? Add it, or map a header to it in columns.',
        'c.csv: column "cycle" is missing. Add it, or map a header to it in columns.',
    ]
