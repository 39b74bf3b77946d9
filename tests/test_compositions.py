"""Formulas."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surrogates.compositions import InvalidFormula, parse_formula

amounts = st.dictionaries(
    st.sampled_from(["Li", "Mn", "Ti", "O", "F", "C", "Co"]), st.integers(1, 400), min_size=1
)


@given(amounts)
def test_what_is_written_is_read_back(hundredths: dict[str, int]) -> None:
    formula = "".join(f"{element}{amount / 100}" for element, amount in hundredths.items())
    assert parse_formula(formula) == {element: amount / 100 for element, amount in hundredths.items()}


def test_groups_multiply_and_repeated_elements_add_up() -> None:
    assert parse_formula("Li2(Mn0.5(NiO)2)2O") == {"Li": 2, "Mn": 1, "Ni": 4, "O": 5}
    assert parse_formula("LiCoO2") == {"Li": 1, "Co": 1, "O": 2}


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("", "it holds no element"),
        ("LiX2", '"X" is no element'),
        ("li2O", '"li2O" in it is no element, amount or parenthesis'),
        ("LiO2 + C", '" + C" in it is no element, amount or parenthesis'),
        ("Li-1O", '"-1O" in it is no element, amount or parenthesis'),
        ("Li1.2.3O", '".3O" in it is no element, amount or parenthesis'),
        ("Li0O", '"Li0" has an amount of 0'),
        ("Li(O", "a parenthesis is never closed"),
        ("Li)O", "a parenthesis closes that was never opened"),
    ],
)
def test_what_is_no_formula_is_refused(formula: str, message: str) -> None:
    with pytest.raises(InvalidFormula) as caught:
        parse_formula(formula)
    assert str(caught.value) == message
