"""Discharge profiles for tests: logistic steps whose height depends on composition and cycle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

FORMULAS = ("Li1.2Mn0.4Ti0.4O2", "Li1.2Mn0.8O1.7F0.3", "Li1.2Cr0.4Mn0.2Ti0.2O2", "Li1.25Mn0.75O1.75F0.25")


def charge(voltage: np.ndarray, formula: str, cycle: int) -> np.ndarray:
    """Return the charge given off from 4.8 V down to each voltage, mAh/g."""
    height = (200 + 20 * FORMULAS.index(formula)) * 0.98 ** (cycle - 1)
    step = 1 / (1 + np.exp((voltage - 3) / 0.4))
    return height * (step - 1 / (1 + np.exp(1.8 / 0.4)))


def table(formulas: tuple[str, ...] = FORMULAS, cycles: int = 3, points: int = 30) -> pd.DataFrame:
    """Return raw profiles from the highest voltage down, under the published headers."""
    parts = []
    for formula in formulas:
        for cycle in range(1, cycles + 1):
            voltage = np.linspace(4.75, 1.52, points).round(4)
            parts.append(
                pd.DataFrame(
                    {
                        "composition": formula,
                        "V_low": 1.5,
                        "V_high": 4.8,
                        "rate": 20.0,
                        "cycle": cycle,
                        "Vii": voltage,
                        "Qii": charge(voltage, formula, cycle).round(3),
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def write(directory: Path, rows: pd.DataFrame) -> Path:
    """Write rows as profiles.csv."""
    path = directory / "profiles.csv"
    rows.to_csv(path, index=False)
    return path
