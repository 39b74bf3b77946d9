"""Numeric columns of a user's file: their units, their sane values, and targets that convert."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import pandas as pd
import pint

from surrogates.text_tables import Findings, Mask, nearest

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Quantity:
    """What a numeric column holds.

    Attributes:
        unit: As pint spells it; empty for a pure number.
        expected: In words, with the bounds and the unit.
        accept: Whether each finite value lies within the bounds.
        mend: What to do about one that does not, a sentence.
    """

    unit: str
    expected: str
    accept: Callable[[Floats], Mask]
    mend: str = "Correct the cell."


def _positive(values: Floats) -> Mask:
    return values > 0


def _representable(values: Floats) -> Mask:
    return np.abs(values) <= 1e15  # networks compute in float32, which ends at the square of 1e19


_FRACTION = Quantity(
    "",
    "a fraction between 0 and 1",
    lambda values: (values >= 0) & (values <= 1),
    "Correct the cell, or name its unit if the column holds percent.",
)
_NUMBER = "a number between -1e15 and 1e15"
ANYTHING = Quantity("", _NUMBER, _representable)
"""Of a column in the file's own unit, which is not known here."""
_CONDUCTIVITY = "a conductivity above 0"
QUANTITIES: Mapping[str, Quantity] = {
    "weight_fraction": _FRACTION,
    "mole_fraction": _FRACTION,
    "salt_mole_fraction": _FRACTION,
    "molar_mass": Quantity("g/mol", "a molar mass above 0 g/mol", _positive),
    "molality_mol_kg": Quantity(
        "mol/kg",
        "a molality between 0 and 1000 mol/kg",
        lambda values: (values >= 0) & (values <= 1000),
    ),
    "temperature_K": Quantity(
        "K",
        "a temperature between 100 and 1000 K",
        lambda values: (values >= 100) & (values <= 1000),
        "Correct the cell, or name its unit if the column holds degC.",
    ),
    "rate_mA_g": Quantity("mA/g", "a rate above 0 mA/g", _positive),
    "V_low": Quantity("V", "a voltage between 0 and 10 V", lambda values: (values >= 0) & (values <= 10)),
    "V_high": Quantity("V", "a voltage between 0 and 10 V", lambda values: (values >= 0) & (values <= 10)),
    "cycle": Quantity(
        "", "a whole number from 1", lambda values: (values >= 1) & (values == np.floor(values))
    ),
    "excess_molar_enthalpy_J_mol": Quantity("J/mol", _NUMBER, _representable),
    "excess_molar_volume_cm3_mol": Quantity("cm**3/mol", _NUMBER, _representable),
    "conductivity_S_cm": Quantity("S/cm", _CONDUCTIVITY, _positive),
    "conductivity_mS_cm": Quantity("mS/cm", _CONDUCTIVITY, _positive),
}
"""By column name, without the number that solvents and salts carry."""

_FACTOR = r"(1|[%°]|°?[^\W\d]\w*)( ?(\*\*|\^) ?-?\d)?"
_UNIT = re.compile(rf"{_FACTOR}(( ?[*/·] ?| ){_FACTOR})*")
"""What is shown to pint's parser, which takes any arithmetic for a unit: `1/ohm/cm`, `mol kg^-1`."""

_LOG10_S_CM: Mapping[str, tuple[Callable[[Floats], Floats], Callable[[Floats], Floats]]] = {
    "conductivity_S_cm": (np.log10, lambda log: 10.0**log),
    "conductivity_mS_cm": (lambda values: np.log10(values) - 3, lambda log: 10.0 ** (log + 3)),
    "log10_conductivity_S_cm": (lambda values: values, lambda log: log),
    "log10_conductivity_mS_cm": (lambda values: values - 3, lambda log: log + 3),
}
"""A conductivity to log10 of S/cm, and back."""


def quantity(column: str) -> Quantity:
    """Return what `column` holds; of a target without facts here, any number that is not huge."""
    return QUANTITIES.get(re.sub(r"_\d+$", "", column), ANYTHING)


def conductivities() -> tuple[str, ...]:
    """Return the names of the targets that convert into each other."""
    return tuple(_LOG10_S_CM)


def convert_target(values: Floats, given: str, wanted: str) -> Floats:
    """Return `values` of the target `given` as the target `wanted`; both are conductivities or the same."""
    if given == wanted:
        return values
    return _LOG10_S_CM[wanted][1](_LOG10_S_CM[given][0](values))


def numbers(
    cells: pd.Series[str], unit: str | None, found: Findings, expects: Quantity | None = None
) -> Floats:
    """Return a column's values in its own unit, NaN where a cell is bad.

    Args:
        cells: Text, under our column name.
        unit: The file's unit if it is another; it has passed `check_units`.
        found: Takes every cell that is empty, no finite number or out of bounds.
        expects: What the column holds; by default what its name says.
    """
    expects = quantity(str(cells.name)) if expects is None else expects
    values = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=np.float64)
    readable = np.isfinite(values)
    if unit is not None:
        values = _convert(values, unit, expects.unit)
    sane = readable & expects.accept(np.where(readable, values, np.nan))
    is_empty = (cells == "").to_numpy()
    given = f" {unit}" if unit else ""
    found.cells(cells, is_empty, lambda _: f"the cell is empty; expected {expects.expected}", "Fill it in.")
    found.cells(
        cells,
        ~readable & ~is_empty,
        lambda text: f'"{text}" is not a finite number; expected {expects.expected}',
        "Write a plain number with a decimal point.",
    )
    found.cells(
        cells,
        readable & ~sane,
        lambda text: f'"{text}"{given} is not {expects.expected}',
        expects.mend,
    )
    return np.where(sane, values, np.nan)


def check_units(units: Mapping[str, str], columns: pd.Index[str], found: Findings) -> None:
    """Note every entry of `units` that names no column, no known unit, or one of another kind."""
    for column, unit in units.items():
        expects = quantity(column)
        if column not in columns:
            found.header(
                f'units names "{column}", which is not in the file',
                f"{nearest(column, columns)}Correct the key in units.",
            )
        elif expects.unit == "" and expects is not _FRACTION:
            found.header(
                f'units gives "{unit}" for "{column}", whose unit its name fixes', "Remove it from units."
            )
        else:
            try:
                _convert(np.ones(1), unit, expects.unit)
            except (pint.PintError, ValueError, AssertionError):  # the last for products of decibels
                found.header(
                    f'units gives "{unit}" for "{column}", which is no unit that converts to '
                    f"{expects.unit or 'a pure number'}",
                    "Write a unit such as S/m, mS/cm, degC, mol/kg or percent.",
                )


@cache
def _registry() -> pint.UnitRegistry[float]:
    return pint.UnitRegistry()


def _convert(values: Floats, unit: str, wanted: str) -> Floats:
    """Return values in another unit.

    Raises:
        ValueError: If `unit` is no product of names and small powers: pint would compute `9**9**9`.
        PintError: If pint does not know it or it does not convert.
    """
    if not _UNIT.fullmatch(unit):
        raise ValueError(f"{unit!r} is no unit")
    return np.asarray(_registry().Quantity(values, unit).to(wanted).magnitude, dtype=np.float64)
