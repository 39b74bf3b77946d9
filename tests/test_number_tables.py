"""Tables of numbers: inputs, formulas, candidates that stand twice, and every bad cell by its place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from surrogates.errors import InputError
from surrogates.number_tables import NumberTable, candidate_numbers, read_number_table
from surrogates.text_tables import read_text

PLATE = """Ni,Fe,Co,overpotential_V,note
0.5,0.5,0,0.40,a
0.3,0.3,0.4,0.35,b
0.5,0.5,0,0.42,c
"""


def table_of(tmp_path: Path, text: str, *inputs: str, target: str, formula: str | None = None) -> NumberTable:
    path = tmp_path / "plate.csv"
    path.write_text(text, encoding="utf-8")
    return read_number_table(read_text(path), inputs, target, formula)


def refusal(tmp_path: Path, text: str, *inputs: str, target: str, formula: str | None = None) -> list[str]:
    with pytest.raises(InputError) as caught:
        table_of(tmp_path, text, *inputs, target=target, formula=formula)
    return str(caught.value).splitlines()


def test_inputs_targets_and_what_stands_twice(tmp_path: Path) -> None:
    table = table_of(tmp_path, PLATE, "Ni", "Fe", "Co", target="overpotential_V")
    assert table.names == ("Ni", "Fe", "Co")
    assert table.inputs.tolist() == [[0.5, 0.5, 0], [0.3, 0.3, 0.4], [0.5, 0.5, 0]]
    assert table.values.tolist() == [0.4, 0.35, 0.42]
    assert table.same().tolist() == [0, 1, 0]
    assert table.whole == pytest.approx(1.0)
    assert table.report == (
        "3 rows read, none dropped; 0 empty rows passed over",
        "2 distinct candidates; further rows of one repeat its measurement",
        "columns passed over: note",
    )


def test_conditions_are_no_shares(tmp_path: Path) -> None:
    text = "time_h,T_C,y\n1,500,3\n2,600,4\n"
    assert table_of(tmp_path, text, "time_h", "T_C", target="y").whole is None
    assert table_of(tmp_path, text, "T_C", target="y").whole is None
    text = "temperature_K,molality,additive,y\n298.15,0.2,0,3\n298.15,2,0.5,4\n298.15,1,1,5\n"
    assert table_of(tmp_path, text, "temperature_K", "molality", "additive", target="y").whole is None


def test_names_of_inputs_set_no_bounds(tmp_path: Path) -> None:
    text = "temperature_K,weight_fraction_1,y\n1173.15,5,3\n20,60,4\n"
    table = table_of(tmp_path, text, "temperature_K", "weight_fraction_1", target="y")
    assert table.inputs.tolist() == [[1173.15, 5], [20, 60]]


def test_formulas_are_shares_of_elements_however_they_are_scaled(tmp_path: Path) -> None:
    text = "cathode,T_C,capacity\nLiMnO2,800,150\nLi2Mn2O4,800,160\nLi1.2Ti0.4Mn0.4O2,900,250\n"
    table = table_of(tmp_path, text, "T_C", target="capacity", formula="cathode")
    assert table.names == ("T_C", "Li", "Mn", "O", "Ti")
    assert table.elements == 4
    assert table.inputs[0].tolist() == pytest.approx([800, 0.25, 0.25, 0.5, 0])
    assert table.inputs[2].tolist() == pytest.approx([900, 0.3, 0.1, 0.5, 0.1])
    assert table.same().tolist() == [0, 0, 1]
    assert "formulas expanded into shares of Li, Mn, O, Ti" in table.report


def test_every_bad_cell_is_named(tmp_path: Path) -> None:
    text = "formula,T_C,y\nLiMnO2,hot,1\nLiXxO2,800,\n,800,inf\n"
    assert refusal(tmp_path, text, "T_C", target="y", formula="formula") == [
        'plate.csv, row 2, column "T_C": "hot" is not a finite number; expected a number between -1e15 and '
        "1e15. Write a plain number with a decimal point.",
        'plate.csv, row 3, column "formula": "LiXxO2" is no formula: "Xx" is no element. Write it as '
        "Li1.2Mn0.4Ti0.4O2.",
        'plate.csv, row 3, column "y": the cell is empty; expected a number between -1e15 and 1e15. Fill it '
        "in.",
        'plate.csv, row 4, column "formula": the cell is empty; a formula was expected. Write it as '
        "Li1.2Mn0.4Ti0.4O2.",
        'plate.csv, row 4, column "y": "inf" is not a finite number; expected a number between -1e15 and '
        "1e15. Write a plain number with a decimal point.",
    ]


def test_headers_that_are_missing_or_stand_twice(tmp_path: Path) -> None:
    columns = "Its columns are Ni, Fe, Co, overpotential_V, note."
    assert refusal(tmp_path, PLATE, "Ni", "Cu", "Ni", target="overpotential") == [
        'plate.csv: column "Ni" is given twice. Each is an input, the formula or the target; give it once.',
        f'plate.csv: column "Cu" is missing. {columns}',
        f'plate.csv: column "overpotential" is missing. Did you mean "overpotential_V"? {columns}',
    ]


@given(
    st.lists(st.tuples(st.integers(-50, 50), st.integers(-12, 12)), min_size=1, max_size=20),
    st.floats(-1e-11, 1e-11),
)
def test_what_agrees_to_nine_digits_is_one(cells: list[tuple[int, int]], off: float) -> None:
    inputs = np.array([[digit * 10.0**power] for digit, power in cells])
    near = inputs * (1 + off)
    numbers = candidate_numbers(np.concatenate([inputs, near]))
    assert numbers[: len(inputs)].tolist() == numbers[len(inputs) :].tolist()
    apart = np.abs(inputs - inputs.T) > 1e-7 * np.abs(inputs)
    assert ((numbers[: len(inputs)][:, None] != numbers[: len(inputs)]) == apart).all()
