"""A user's own file of cathodes and what was measured of them, an objective a column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd

from surrogates.composition_tables import check_formula
from surrogates.conditions import CONDITIONS
from surrogates.discharge_objectives import Objective
from surrogates.quantities import Floats, check_units, numbers
from surrogates.text_tables import Findings, TextTable, nearest, rename

_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class MeasuredCathodes:
    """`n` cathodes of a file, in its order.

    Attributes:
        formulas: `n`.
        values: `n x o`, each objective in its unit; NaN where it was not measured under its condition.
        source: File name.
        report: A line for each thing that was done, and to how many rows.
    """

    formulas: tuple[str, ...]
    values: Floats
    source: str
    report: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.formulas)


def read_measured_cathodes(
    table: TextTable,
    objectives: Sequence[Objective],
    columns: Mapping[str, str] = _NONE,
    units: Mapping[str, str] = _NONE,
) -> MeasuredCathodes:
    """Return the cathodes of a CSV or Parquet file.

    Its columns: `formula` and, by its name, each objective or some of them; a cell may be empty. Where a
    condition has a column too, as `rate_mA_g`, a value under another condition than its objective's is none
    of it. Other columns are passed over.

    Args:
        table: The file.
        objectives: What may have been measured; none of a file of formulas alone.
        columns: The file's header for each of our column names that it calls otherwise.
        units: The file's unit, as pint spells it, for each of our column names that is in another.

    Raises:
        InputError: With every bad header, unit and cell of the file.
    """
    found = Findings(table.file, columns)
    conditions = CONDITIONS if objectives else ()
    ours = ("formula", *conditions, *(one.name for one in objectives))
    cells = rename(table, columns, lambda name: name in ours, found)
    passed_over = [str(name) for name in cells if name not in ours]
    if "formula" not in cells:
        found.header('column "formula" is missing', _add("formula", passed_over))
    if objectives and not any(one.name in cells for one in objectives):
        names = [one.name for one in objectives]
        wrong = f"none of the columns {', '.join(names)} came; one at least is needed"
        found.header(wrong, _add(names[0], passed_over))
    check_units(units, cells.columns, found)
    found.stop()

    for text in cells["formula"].unique():
        check_formula(cells["formula"], text, found)
    values, told = _values(cells, objectives, units, found)
    report = [table.report(), *told]
    there = [one.name for one in objectives if one.name in cells]
    if there:
        is_empty = (cells[there] == "").all(axis=1)
        for row in cells.index[is_empty].tolist():
            mend = "Fill one in, or put the row into the file of what is pending."
            found.row(row, there, "no objective was measured; one value at least was expected", mend)
    found.stop()
    report += [f"{len(cells)} rows: {name} converted from {units[name]}" for name in units if name in ours]
    if passed_over:
        report.append(f"columns passed over: {', '.join(passed_over)}")
    return MeasuredCathodes(tuple(cells["formula"]), values, table.file, tuple(report))


def objective_values(
    table: TextTable,
    objectives: Sequence[Objective],
    columns: Mapping[str, str] = _NONE,
    units: Mapping[str, str] = _NONE,
) -> Floats:
    """Return the measurements of a file alone, `n x o`, whatever it says of cathodes; NaN where is none.

    Raises:
        InputError: With every bad header, unit and cell, and every row without a value under the condition of
            its objective.
    """
    found = Findings(table.file, columns)
    names = [one.name for one in objectives]
    cells = rename(table, columns, lambda name: name in ("formula", *CONDITIONS, *names), found)
    there = [name for name in names if name in cells]
    if not there:
        wrong = f"none of the columns {', '.join(names)} came; one at least is needed"
        found.header(wrong, _add(names[0], [str(name) for name in cells]))
    check_units(units, cells.columns, found)
    found.stop()
    values, _ = _values(cells, objectives, units, found)
    found.stop()
    is_empty = np.array([np.isnan(row).all() for row in values], dtype=bool)
    for row in cells.index[is_empty].tolist():
        wrong = "no objective was measured under its condition; one value at least was expected"
        found.row(row, there, wrong, "Fill one in, or write failed as its status.")
    found.stop()
    return values


def _values(
    cells: pd.DataFrame, objectives: Sequence[Objective], units: Mapping[str, str], found: Findings
) -> tuple[Floats, list[str]]:
    """Return what was measured under the objectives' conditions, `n x o`, and a line for what was not."""
    tested = {name: _filled(cells, name, units, found) for name in CONDITIONS if objectives and name in cells}
    values = np.full((len(cells), len(objectives)), np.nan)
    report = []
    for place, one in enumerate(objectives):
        if one.name in cells:
            given = _filled(cells, one.name, units, found)
            is_other = np.isfinite(given) & ~_is_under(one, tested, len(cells))
            values[:, place] = np.where(is_other, np.nan, given)
            if is_other.any():
                told = "measured under another condition than the objective's, not compared"
                report.append(f"{is_other.sum()} values of {one.name}: {told}")
    return values, report


def _add(name: str, others: Sequence[str]) -> str:
    return f"{nearest(name, others)}Add it, or map a header to it in columns."


def _filled(cells: pd.DataFrame, name: str, units: Mapping[str, str], found: Findings) -> Floats:
    """Return a column's numbers, NaN where a cell is empty or bad."""
    column = cells[name]
    is_filled = (column != "").to_numpy()
    values = np.full(len(column), np.nan)
    values[is_filled] = numbers(column[is_filled], units.get(name), found)
    return values


def _is_under(objective: Objective, tested: Mapping[str, Floats], rows: int) -> np.ndarray:
    """Return whether what is known of each row's test is the objective's condition, `n`, bool.

    Retention compares two cycles; whatever the file's cycle, it is none of it.
    """
    rate, cycle, V_low, V_high = objective.condition
    asked = dict(zip(CONDITIONS, (rate, V_low, V_high, cycle), strict=True))
    is_under = np.ones(rows, dtype=bool)
    for name, values in tested.items():
        if not (name == "cycle" and objective.quantity == "retention_30"):
            is_under &= np.isnan(values) | np.isclose(values, asked[name], rtol=1e-6)
    return is_under
