"""A user's file of cathodes with a column for each objective."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from surrogates.discharge_objectives import Objective
from surrogates.errors import InputError
from surrogates.measured_cathodes import MeasuredCathodes, objective_values, read_measured_cathodes
from surrogates.text_tables import read_text

OBJECTIVES = (
    Objective("capacity_mAh_g", "capacity", 20, 1.5, 4.8, 1),
    Objective("retention_30", "retention_30", 20, 1.5, 4.8, 30),
)
LMT, LMTF = "Li1.2Mn0.4Ti0.4O2", "Li1.25Mn0.45Ti0.3O1.8F0.2"


def _read(
    tmp_path: Path, *lines: str, objectives: tuple[Objective, ...] = OBJECTIVES, **maps: dict[str, str]
) -> MeasuredCathodes:
    path = tmp_path / "c.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read_measured_cathodes(read_text(path), objectives, **maps)


def test_an_objective_may_be_missing_in_a_row_or_altogether(tmp_path: Path) -> None:
    found = _read(tmp_path, "formula,capacity_mAh_g,retention_30", f"{LMT},250.5,", f"{LMTF},200,0.9")
    assert found.formulas == (LMT, LMTF)
    np.testing.assert_array_equal(found.values, [[250.5, np.nan], [200, 0.9]])
    assert len(found) == 2
    assert found.source == "c.csv"
    assert found.report == ("2 rows read, none dropped; 0 empty rows passed over",)
    alone = _read(tmp_path, "why,formula,retention_30,proposal", f"x,{LMT},0.8,1")
    np.testing.assert_array_equal(alone.values, [[np.nan, 0.8]])
    assert alone.report[1] == "columns passed over: why, proposal"


def test_a_value_under_another_condition_is_none_of_the_objective(tmp_path: Path) -> None:
    found = _read(
        tmp_path,
        "formula,rate,V_low,V_high,cycle,capacity_mAh_g,retention_30",
        f"{LMT},0.02,1.5,4.8,1,250,0.8",
        f"{LMT},0.02,1.5,4.8,30,240,0.7",
        f"{LMT},1,1.5,4.8,1,90,0.6",
        f"{LMT},,1.5,4.6,1,80,0.5",
        f"{LMT},,,,,230,",
        columns={"rate_mA_g": "rate"},
        units={"rate_mA_g": "A/g"},
    )
    nan = np.nan
    np.testing.assert_array_equal(found.values, [[250, 0.8], [nan, 0.7], [nan, nan], [nan, nan], [230, nan]])
    told = "measured under another condition than the objective's, not compared"
    assert found.report[1:] == (
        f"3 values of capacity_mAh_g: {told}",
        f"2 values of retention_30: {told}",
        "5 rows: rate_mA_g converted from A/g",
    )


def test_formulas_alone(tmp_path: Path) -> None:
    found = _read(tmp_path, "cathode,cycle", f"{LMT},x", objectives=(), columns={"formula": "cathode"})
    assert found.formulas == (LMT,)
    assert found.values.shape == (1, 0)
    assert found.report[1] == "columns passed over: cycle"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ["composition,capacity", f"{LMT},250"],
            'c.csv: column "formula" is missing. Add it, or map a header to it in columns.\n'
            "c.csv: none of the columns capacity_mAh_g, retention_30 came; one at least is needed. Did you "
            'mean "capacity"? Add it, or map a header to it in columns.',
        ),
        (
            [
                "formula,capacity_mAh_g,retention_30,cycle",
                f"{LMT},,,1",
                "LiMnO2,high,0.9,0",
                "Li1.2Mn0.8O,1,,",
            ],
            'c.csv, row 2, columns "capacity_mAh_g", "retention_30": no objective was measured; one value at '
            "least was expected. Fill one in, or put the row into the file of what is pending.\n"
            'c.csv, row 3, column "cycle": "0" is not a whole number from 1. Correct the cell.\n'
            'c.csv, row 3, column "capacity_mAh_g": "high" is not a finite number; expected a number between '
            "-1e15 and 1e15. Write a plain number with a decimal point.\n"
            'c.csv, row 4, column "formula": "Li1.2Mn0.8O" is no rocksalt: for two anions its cations sum '
            "to 4 (Li 2.4 + Mn 1.6); expected 2 to within 0.02. Correct its amounts.\n"
            'c.csv, row 4, column "formula": "Li1.2Mn0.8O" is no rocksalt: for two anions its cations can '
            "carry +5.6 to +8.8 (Li +2.4, Mn +3.2 to +6.4), its anions carry -4 (O -4); expected balance to "
            "within 0.05. Correct its amounts.",
        ),
    ],
)
def test_what_cannot_be_read_is_told_at_once(tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(InputError) as error:
        _read(tmp_path, *lines)
    assert str(error.value) == message


def test_values_are_read_whatever_a_file_says_of_cathodes(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    lines = ["proposal,Q,retention_30,rate_mA_g", "1,250,,", "2,,0.8,0.02", "3,200,0.9,"]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = objective_values(read_text(path), OBJECTIVES, {"capacity_mAh_g": "Q"}, {"rate_mA_g": "A/g"})
    np.testing.assert_allclose(found, [[250, np.nan], [np.nan, 0.8], [200, 0.9]])


def test_a_row_without_a_value_under_its_condition_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text("proposal,capacity_mAh_g,rate_mA_g\n1,250,20\n2,90,1000\n", encoding="utf-8")
    with pytest.raises(InputError) as error:
        objective_values(read_text(path), OBJECTIVES)
    assert str(error.value) == (
        'c.csv, row 3, column "capacity_mAh_g": no objective was measured under its condition; one value at '
        "least was expected. Fill one in, or write failed as its status."
    )
