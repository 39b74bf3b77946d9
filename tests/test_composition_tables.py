"""A user's file of compositions."""

from __future__ import annotations

from pathlib import Path

import pytest

from surrogates.composition_tables import read_compositions
from surrogates.errors import InputError
from surrogates.text_tables import read_text

HEADER = "formula,rate_mA_g,V_low,V_high,cycle,capacity_mAh_g"


def _file(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "c.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_rows_are_read_with_units_and_headers_mapped(tmp_path: Path) -> None:
    path = _file(
        tmp_path,
        "formula,rate,V_low,V_high,cycle,Q,temperature_K",
        "Li1.2Mn0.4Ti0.4O2,0.02,1500,4800,3,250.5,25",
    )
    data = read_compositions(
        read_text(path),
        "capacity_mAh_g",
        columns={"rate_mA_g": "rate", "capacity_mAh_g": "Q"},
        units={"rate_mA_g": "A/g", "V_low": "mV", "V_high": "mV", "temperature_K": "degC"},
    )
    assert len(data) == 1
    row = data.rows.iloc[0].to_dict()
    assert row == {
        "row": 2, "formula": "Li1.2Mn0.4Ti0.4O2", "rate_mA_g": pytest.approx(20), "V_low": 1.5, "V_high": 4.8,
        "cycle": 3, "capacity_mAh_g": 250.5, "warning": "",
    }  # fmt: skip
    assert data.report == (
        "1 rows read, none dropped; 0 empty rows passed over",
        "1 rows: rate_mA_g converted from A/g",
        "1 rows: V_low converted from mV",
        "1 rows: V_high converted from mV",
        "columns passed over: temperature_K",
    )


def test_every_bad_cell_is_reported_at_once(tmp_path: Path) -> None:
    path = _file(tmp_path, HEADER, "LiX2,-1,4.8,1.5,1.5,", "LiMnO2,1,1,45,0,ten")
    with pytest.raises(InputError) as caught:
        read_compositions(read_text(path), "capacity_mAh_g")
    assert str(caught.value).splitlines() == [
        'c.csv, row 2, column "formula": "LiX2" is no formula: "X" is no element. '
        "Write it as Li1.2Mn0.4Ti0.4O2.",
        'c.csv, row 2, column "rate_mA_g": "-1" is not a rate above 0 mA/g. Correct the cell.',
        'c.csv, row 2, column "cycle": "1.5" is not a whole number from 1. Correct the cell.',
        'c.csv, row 2, column "capacity_mAh_g": the cell is empty; expected a number between -1e15 and '
        "1e15. Fill it in.",
        'c.csv, row 2, columns "V_low", "V_high": 4.8 to 1.5 is no window; V_low must lie below V_high. '
        "Exchange or correct them.",
        'c.csv, row 3, column "V_high": "45" is not a voltage between 0 and 10 V. Correct the cell.',
        'c.csv, row 3, column "cycle": "0" is not a whole number from 1. Correct the cell.',
        'c.csv, row 3, column "capacity_mAh_g": "ten" is not a finite number; expected a number between '
        "-1e15 and 1e15. Write a plain number with a decimal point.",
    ]


def test_missing_columns_are_named_with_the_nearest(tmp_path: Path) -> None:
    path = _file(tmp_path, "formula,rate_mA_g,V_low,Vhigh,capacity_mAh_g", "LiO,1,1,2,3")
    with pytest.raises(InputError) as caught:
        read_compositions(read_text(path), "capacity_mAh_g")
    assert str(caught.value).splitlines() == [
        'c.csv: column "V_high" is missing. Did you mean "Vhigh"? Add it, or map a header to it in columns.',
        'c.csv: column "cycle" is missing. Add it, or map a header to it in columns.',
    ]


def test_a_formula_that_does_not_balance_is_refused_with_its_sums_in_every_row(tmp_path: Path) -> None:
    path = _file(
        tmp_path, HEADER, "Li1.2Mn0.6O2,20,1.5,4.8,1,1", "LiMnO2,20,1.5,4.8,1,1",
        "Li1.2Mn0.6O2,20,1.5,4.8,2,1", "LiAlO1.8F0.2,20,1.5,4.8,1,1", "OF2,20,1.5,4.8,1,1",
    )  # fmt: skip
    with pytest.raises(InputError) as caught:
        read_compositions(read_text(path), "capacity_mAh_g")
    sites = (
        '"Li1.2Mn0.6O2" is no rocksalt: for two anions its cations sum to 1.8 (Li 1.2 + Mn 0.6); '
        "expected 2 to within 0.02. Correct its amounts."
    )
    charges = (
        '"Li1.2Mn0.6O2" is no rocksalt: for two anions its cations can carry +2.4 to +3.6 (Li +1.2, Mn +1.2 '
        "to +2.4), its anions carry -4 (O -4); expected balance to within 0.05. Correct its amounts."
    )
    assert str(caught.value).splitlines() == [
        f'c.csv, row 2, column "formula": {sites}',
        f'c.csv, row 2, column "formula": {charges}',
        f'c.csv, row 4, column "formula": {sites}',
        f'c.csv, row 4, column "formula": {charges}',
        'c.csv, row 5, column "formula": "LiAlO1.8F0.2" is no rocksalt: for two anions its cations can carry '
        "+4 (Li +1, Al +3), its anions carry -3.8 (O -3.6, F -0.2); expected balance to within 0.05. "
        "Correct its amounts.",
        'c.csv, row 6, column "formula": "OF2" is no formula: it holds no cation. '
        "Write it as Li1.2Mn0.4Ti0.4O2.",
    ]


def test_conditions_that_no_model_has_seen_are_flagged_and_kept(tmp_path: Path) -> None:
    path = _file(
        tmp_path, HEADER, "LiMnO2,20,1.5,4.8,1,200", "", "Li1.2 Mn0.4 Ti0.4 O2,10000,1.5,5.2,900,100"
    )
    data = read_compositions(read_text(path), "capacity_mAh_g")
    assert data.rows["row"].tolist() == [2, 4]
    assert data.rows["warning"].tolist() == [
        "",
        "rate_mA_g is outside 5 to 8500; V_high is outside 1.5 to 5; cycle is outside 1 to 330",
    ]
    assert data.report == (
        "2 rows read, none dropped; 1 empty rows passed over",
        "1 rows: conditions outside what the model was trained on, see warning",
    )


def test_candidates_need_no_target_and_are_warned_of_by_the_models_own_ranges(tmp_path: Path) -> None:
    path = _file(tmp_path, HEADER.removesuffix(",capacity_mAh_g"), "LiMnO2,20,1.5,4.8,40")
    ranges = {"rate_mA_g": (30, 40), "V_low": (1, 2), "V_high": (4, 5), "cycle": (1, 30)}
    data = read_compositions(read_text(path), None, ranges=ranges)
    assert data.rows.to_dict("records") == [
        {
            **{"row": 2, "formula": "LiMnO2", "rate_mA_g": 20, "V_low": 1.5, "V_high": 4.8, "cycle": 40},
            "warning": "rate_mA_g is outside 30 to 40; cycle is outside 1 to 30",
        }
    ]
