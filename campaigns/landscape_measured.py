"""Measured conductivities of a ternary system, and how near a landscape comes to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from activelearn.landscape import Landscape, TernarySystem
from surrogates.errors import InputError, Problem
from surrogates.quantities import Floats, check_units, numbers
from surrogates.text_tables import Findings, TextTable, read_text, rename

SUM_TOLERANCE = 0.015
"""How far three mole fractions may sum from 1: each may have been rounded to two digits."""
_VALUE, _TEMPERATURE = "conductivity_mS_cm", "temperature_K"


@dataclass(frozen=True)
class Measured:
    """`n` measured rows of one system.

    Attributes:
        file: Name of the file.
        sha256: Of the file.
        column: The file's header of the conductivity.
        system: What was measured.
        row: `n`, as a spreadsheet numbers them.
        x: `n x 3`, mole fractions of the solvents among themselves; rows sum to 1.
        temperature_K: `n`, K.
        conductivity: `n`, mS/cm.
        report: A line for each thing that was done.
    """

    file: str
    sha256: str
    column: str
    system: TernarySystem
    row: Sequence[int]
    x: Floats
    temperature_K: Floats
    conductivity: Floats
    report: tuple[str, ...]


@dataclass(frozen=True)
class Agreement:
    """How near predictions come to what was measured; conductivities in mS/cm.

    Attributes:
        file: Name of the file.
        column: The file's header of the conductivity.
        system: Name of the system.
        rows: How many.
        mae: Mean absolute error.
        bias: Mean of predicted less measured.
        spearman: Correlation of the ranks; None where either is constant.
        coverage_90: Share of the rows within the model's 90 % interval.
    """

    file: str
    column: str
    system: str
    rows: int
    mae: float
    bias: float
    spearman: float | None
    coverage_90: float


def read_measured(
    path: Path,
    systems: Sequence[TernarySystem],
    temperature_K: float,
    columns: Mapping[str, str],
    units: Mapping[str, str],
) -> Measured:
    """Return the rows of a CSV or Parquet file.

    Its columns: `x_NAME` for each of the three solvents of one of the systems, mole fractions among the
    solvents, divided by their sum; `conductivity_mS_cm`; `temperature_K`, or else all rows are at the
    temperature that is given. Other columns are passed over.

    Args:
        path: The file.
        systems: Those of the landscape.
        temperature_K: Of a file without temperatures.
        columns: The file's header for each of our column names that it calls otherwise.
        units: The file's unit, as pint spells it, for each of our column names that is in another.

    Raises:
        InputError: With every bad header, unit and cell of the file.
    """
    table = read_text(path)
    known = {f"x_{name}" for system in systems for name in system.solvents} | {_VALUE, _TEMPERATURE}
    found = Findings(table.file, columns)
    cells = rename(table, columns, known.__contains__, found)
    found.stop()
    system = _system(table, cells, systems)
    if _VALUE not in cells:
        found.header(f'column "{_VALUE}" is missing', "Add it, or map a header to it in columns.")
    # Under the name by which a mole fraction is known; what is wrong is told under the file's own header.
    own = {f"x_{name}": f"mole_fraction_{i}" for i, name in enumerate(system.solvents, 1)}
    headers = {ours: columns.get(given, given) for given, ours in own.items()}
    cells = cells.rename(columns=own)
    units = {own.get(name, name): unit for name, unit in units.items()}
    check_units(units, cells.columns, found)
    found.stop()
    found = Findings(table.file, {**columns, **headers})
    x = _mole_fractions(cells[list(own.values())], units, found)
    total = x.sum(1)
    conductivity = numbers(cells[_VALUE], units.get(_VALUE), found)
    temperature = np.full(len(cells), temperature_K)
    if _TEMPERATURE in cells:
        temperature = numbers(cells[_TEMPERATURE], units.get(_TEMPERATURE), found)
    found.stop()
    report = [f"{table.file}: {len(cells)} rows of {system.name}"]
    if _TEMPERATURE not in cells:
        report.append(f"{table.file}: no column {_TEMPERATURE}, {temperature_K:g} K taken")
    if rounded := int((np.abs(total - 1) > 1e-9).sum()):
        report.append(f"{table.file}: {rounded} rows with mole fractions divided by their sum")
    return Measured(
        file=table.file,
        sha256=table.sha256,
        column=columns.get(_VALUE, _VALUE),
        system=system,
        row=cells.index.tolist(),
        x=x / total[:, None],
        temperature_K=temperature,
        conductivity=conductivity,
        report=tuple(report),
    )


def _mole_fractions(cells: pd.DataFrame, units: Mapping[str, str], found: Findings) -> Floats:
    """Return the columns as numbers, `n x 3`, and note rows that do not sum to 1."""
    names = [str(name) for name in cells]
    x: Floats = np.stack([numbers(cells[name], units.get(name), found) for name in names], axis=1)
    total = x.sum(1)
    is_off = np.abs(total - 1) > SUM_TOLERANCE + 1e-9  # not where a cell is bad: the sum is nan there
    for row, of_row in zip(cells.index[is_off], total[is_off], strict=True):
        wrong = f"the mole fractions sum to {of_row:.4g}; expected 1 to within {SUM_TOLERANCE:g}"
        found.row(int(row), names, wrong, "Correct the row.")
    return x


def agreement(measured: Measured, said: Landscape) -> Agreement:
    """Return how near a landscape of the measured compositions comes to the measurements."""
    y, predicted = measured.conductivity, said.conductivity.numpy()
    within = (said.lower_90.numpy() <= y) & (y <= said.upper_90.numpy())
    varied = np.ptp(y) > 0 and np.ptp(predicted) > 0
    return Agreement(
        file=measured.file,
        column=measured.column,
        system=measured.system.name,
        rows=len(y),
        mae=float(np.abs(predicted - y).mean()),
        bias=float((predicted - y).mean()),
        spearman=float(spearmanr(y, predicted).statistic) if varied else None,
        coverage_90=float(within.mean()),
    )


def _system(table: TextTable, cells: pd.DataFrame, systems: Sequence[TernarySystem]) -> TernarySystem:
    """Return the one system whose solvents the file has columns for.

    Raises:
        InputError: If there is none, or there are several.
    """
    fitting = [system for system in systems if all(f"x_{name}" in cells for name in system.solvents)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        wrong = f"its columns fit several systems: {' and '.join(system.name for system in fitting)}"
        raise InputError(Problem(table.file, wrong, "Keep one of these systems in the job."))
    wanted = [", ".join(f"x_{name}" for name in system.solvents) for system in systems]
    wrong = f"columns of a system were expected: {' or '.join(dict.fromkeys(wanted))}"
    mend = f"Add them, or map headers to them in columns. Its columns are {', '.join(map(str, table.cells))}."
    raise InputError(Problem(table.file, wrong, mend))
