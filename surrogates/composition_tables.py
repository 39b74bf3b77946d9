"""A user's own file of cathode compositions and how they were cycled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd

from surrogates.compositions import Composition, InvalidFormula
from surrogates.conditions import CONDITIONS, PUBLISHED_RANGES, Ranges, no_window, outside
from surrogates.quantities import check_units, numbers
from surrogates.text_tables import Findings, TextTable, nearest, rename

_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class CompositionData:
    """`n` measured compositions, in the order of the file they come from.

    Attributes:
        rows: `n` rows: `row` (as a spreadsheet numbers it: the header is row 1), `formula`, `rate_mA_g`,
            `V_low`, `V_high`, `cycle` (int64), the target, if there is one, under its own name, and
            `warning`: which conditions lie outside what a model was trained on, empty where none does.
        source: File name.
        sha256: Of the file.
        report: One line for each thing that was done, and to how many rows.
    """

    rows: pd.DataFrame
    source: str
    sha256: str
    report: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.rows)


def read_compositions(
    table: TextTable,
    target: str | None,
    columns: Mapping[str, str] = _NONE,
    units: Mapping[str, str] = _NONE,
    ranges: Ranges = PUBLISHED_RANGES,
) -> CompositionData:
    """Return the compositions of a CSV or Parquet file.

    Its columns: `formula`, `rate_mA_g`, `V_low`, `V_high`, `cycle` and the target; others are passed over.

    Args:
        table: The file.
        target: What was measured, a column of finite numbers, taken as it stands; None of candidates.
        columns: The file's header for each of our column names that it calls otherwise.
        units: The file's unit, as pint spells it, for each of our column names that is in another.
        ranges: What the model to be asked was trained on.

    Raises:
        InputError: With every bad header, unit and cell of the file; of a formula whose sites or charges
            do not balance, with the sums.
    """
    found = Findings(table.file, columns)
    measured = (*CONDITIONS, *([target] if target else []))
    needed = ("formula", *measured)
    cells = rename(table, columns, lambda name: name in needed, found)
    ignored = [str(name) for name in cells if name not in needed]
    for name in needed:
        if name not in cells:
            mend = f"{nearest(name, ignored)}Add it, or map a header to it in columns."
            found.header(f'column "{name}" is missing', mend)
    check_units(units, cells.columns, found)
    found.stop()

    for text in cells["formula"].unique():
        check_formula(cells["formula"], text, found)
    values = {name: numbers(cells[name], units.get(name), found) for name in measured}
    is_upside_down = values["V_low"] >= values["V_high"]
    for row in cells.index[is_upside_down].tolist():
        wrong = no_window(cells["V_low"][row], cells["V_high"][row])
        found.row(row, ["V_low", "V_high"], wrong, "Exchange or correct them.")
    found.stop()

    warning = outside(values, ranges)
    rows = pd.DataFrame({"row": cells.index, "formula": cells["formula"].to_numpy(), **values})
    report = [table.report()]
    report += [
        f"{len(cells)} rows: {name} converted from {units[name]}" for name in units if name not in ignored
    ]
    if warned := int((warning != "").sum()):
        report.append(f"{warned} rows: conditions outside what the model was trained on, see warning")
    if ignored:
        report.append(f"columns passed over: {', '.join(ignored)}")
    return CompositionData(
        rows=rows.assign(warning=warning).astype({"cycle": np.int64}),
        source=table.file,
        sha256=table.sha256,
        report=tuple(report),
    )


def check_formula(cells: pd.Series[str], text: str, found: Findings) -> None:
    """Note what keeps a formula of a column from being a rocksalt's, at each of its rows."""
    for wrong, mend in formula_faults(text):
        for row in cells.index[cells == text].tolist():
            found.row(row, ["formula"], wrong, mend)


def formula_faults(text: str) -> list[tuple[str, str]]:
    """Return what keeps a formula from being a rocksalt's, each with what to do about it."""
    try:
        faults = Composition.of(text).faults()
    except InvalidFormula as error:
        return [(f'"{text}" is no formula: {error}', "Write it as Li1.2Mn0.4Ti0.4O2.")]
    return [(f'"{text}" is no rocksalt: {fault.wrong}', fault.mend) for fault in faults]
