"""Numeric columns: units, bounds, and conductivities that convert."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surrogates.errors import InputError
from surrogates.quantities import check_units, conductivities, convert_target, numbers
from surrogates.text_tables import Findings


def _column(name: str, *texts: str) -> pd.Series:
    return pd.Series(texts, index=range(2, len(texts) + 2), name=name, dtype=str)


@given(st.sampled_from(conductivities()), st.sampled_from(conductivities()), st.floats(1e-12, 10))
def test_targets_convert_there_and_back(given_: str, wanted: str, value: float) -> None:
    there = convert_target(np.array([value]), given_, wanted)
    assert convert_target(there, wanted, given_) == pytest.approx([value])


@pytest.mark.parametrize(
    ("given_", "wanted", "value", "result"),
    [
        ("conductivity_mS_cm", "log10_conductivity_S_cm", 10.0, -2.0),
        ("conductivity_mS_cm", "conductivity_S_cm", 10.0, 0.01),
        ("log10_conductivity_S_cm", "log10_conductivity_mS_cm", -2.0, 1.0),
        ("log10_conductivity_S_cm", "conductivity_mS_cm", -2.0, 10.0),
    ],
)
def test_targets_convert_to_known_values(given_: str, wanted: str, value: float, result: float) -> None:
    assert convert_target(np.array([value]), given_, wanted) == pytest.approx([result])


@pytest.mark.parametrize(
    ("name", "unit", "text", "value"),
    [
        ("temperature_K", "degC", "25", 298.15),
        ("molality_mol_kg", "mmol/kg", "500", 0.5),
        ("conductivity_mS_cm", "S/m", "1", 10.0),
        ("weight_fraction_2", "percent", "30", 0.3),
        ("molar_mass_1", "kg/mol", "5", 5000.0),
        ("viscosity_mPas", None, "-1e-3", -0.001),
    ],
)
def test_numbers_come_in_our_unit(name: str, unit: str | None, text: str, value: float) -> None:
    found = Findings("a.csv")
    assert numbers(_column(name, text), unit, found) == pytest.approx([value])
    found.stop()


def test_bad_numbers_are_reported_as_written() -> None:
    found = Findings("a.csv")
    values = numbers(_column("temperature_K", "-300", "1,5", "", "inf", "20"), "degC", found)
    assert np.isnan(values[:4]).all() and values[4] == pytest.approx(293.15)
    with pytest.raises(InputError) as caught:
        found.stop()
    where, expected = 'a.csv, row {}, column "temperature_K": ', "a temperature between 100 and 1000 K"
    assert str(caught.value).splitlines() == [
        where.format(2) + f'"-300" degC is not {expected}. '
        "Correct the cell, or name its unit if the column holds degC.",
        where.format(3) + f'"1,5" is not a finite number; expected {expected}. '
        "Write a plain number with a decimal point.",
        where.format(4) + f"the cell is empty; expected {expected}. Fill it in.",
        where.format(5) + f'"inf" is not a finite number; expected {expected}. '
        "Write a plain number with a decimal point.",
    ]


def test_units_that_do_not_fit_are_refused_at_once() -> None:
    found = Findings("a.csv")
    units = {"molality_mol_kg": "mol/l", "temperature_K": "celsios", "salt": "g", "molalty": "mol/kg"}
    check_units(units, pd.Index(["molality_mol_kg", "temperature_K", "salt"]), found)
    with pytest.raises(InputError) as caught:
        found.stop()
    mend = "Write a unit such as S/m, mS/cm, degC, mol/kg or percent."
    assert str(caught.value).splitlines() == [
        f'a.csv: units gives "mol/l" for "molality_mol_kg", which is no unit that converts to mol/kg. {mend}',
        f'a.csv: units gives "celsios" for "temperature_K", which is no unit that converts to K. {mend}',
        'a.csv: units gives "g" for "salt", whose unit its name fixes. Remove it from units.',
        'a.csv: units names "molalty", which is not in the file. '
        'Did you mean "molality_mol_kg"? Correct the key in units.',
    ]


@pytest.mark.parametrize("unit", ["mS/cm", "S m^-1", "1/ohm/cm", "µS cm ** -1", "S·m^-1"])
def test_a_unit_may_be_spelt_in_many_ways(unit: str) -> None:
    found = Findings("a.csv")
    check_units({"conductivity_S_cm": unit}, pd.Index(["conductivity_S_cm"]), found)
    found.stop()


@settings(max_examples=300)
@given(
    st.one_of(
        st.text(max_size=12),
        st.text("mScdegK%°*/^ ·-1", max_size=12),
        st.sampled_from(["9**9**9", "(10**99)**99", "1/0", "m**m", "(", "__import__('os')", "S/m+", "1/Np"]),
    )
)
def test_whatever_is_given_as_a_unit_is_taken_or_refused(unit: str) -> None:
    found = Findings("a.csv")
    check_units({"temperature_K": unit}, pd.Index(["temperature_K"]), found)
    try:
        found.stop()
    except InputError as error:
        assert str(error) == (
            f'a.csv: units gives "{unit}" for "temperature_K", which is no unit that converts to K. '
            "Write a unit such as S/m, mS/cm, degC, mol/kg or percent."
        )
