"""What a cathode test may be, and which tests the published models have seen."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd

from surrogates.errors import Problem
from surrogates.quantities import quantity

CONDITIONS = ("rate_mA_g", "V_low", "V_high", "cycle")

Ranges = Mapping[str, tuple[float, float]]
"""Lowest and highest value of each of `CONDITIONS` that a model was trained on."""

PUBLISHED_RANGES: Ranges = MappingProxyType(
    {"rate_mA_g": (5, 8500), "V_low": (1.5, 5.0), "V_high": (1.5, 5.0), "cycle": (1, 330)}
)
"""Of the five published DRXNet models.

The training data are not public, but the models' batch normalisation holds the mean m and the variance v of
rate and cycle over them: some 780 mA/g with a standard deviation of 2,500, and 112 with 158. Values from 0 on
with these must reach m + v / m at least, which is where the upper ends stand. The rest is how the papers that
the data come from test such cathodes: from 5 mA/g, between 1.5 and 5.0 V.
"""


def outside(values: Mapping[str, np.ndarray], ranges: Ranges = PUBLISHED_RANGES) -> pd.Series[str]:
    """Return a warning for each row of conditions, empty where they lie within the ranges.

    Args:
        values: `n` of each of `CONDITIONS`.
        ranges: What the model has seen.
    """
    warning = pd.Series([""] * len(values["cycle"]), dtype="str")
    for name in CONDITIONS:
        low, high = ranges[name]
        is_outside = (values[name] < low) | (values[name] > high)
        parted = np.where(warning == "", "", "; ")
        note = pd.Series(parted, dtype="str") + f"{name} is outside {low:g} to {high:g}"
        warning = warning + note.where(is_outside, "")
    return warning


def nonsense(where: str, rate_mA_g: float, V_low: float, V_high: float, cycle: float) -> list[Problem]:
    """Return what no test can be: a rate of 0, a voltage far off, a window upside down, half a cycle."""
    found = []
    values = dict(zip(CONDITIONS, (rate_mA_g, V_low, V_high, cycle), strict=True))
    for name, value in values.items():
        expects = quantity(name)
        if not (np.isfinite(value) and expects.accept(np.array([value]))[0]):
            found.append(Problem(f"{where}, {name}", f"{value:g} is not {expects.expected}", "Correct it."))
    if V_low >= V_high:
        found.append(
            Problem(where, no_window(f"{V_low:g}", f"{V_high:g}"), "Exchange or correct V_low and V_high.")
        )
    return found


def no_window(V_low: str, V_high: str) -> str:
    """Return what is wrong with a window upside down."""
    return f"{V_low} to {V_high} is no window; V_low must lie below V_high"
