"""A table of numbers: amounts or conditions in, one measured number out; of any material."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from surrogates.compositions import InvalidFormula, parse_formula
from surrogates.quantities import ANYTHING, Floats, numbers
from surrogates.text_tables import Findings, Mask, TextTable, nearest

_DIGITS = 9
"""Significant digits to which two inputs are the same."""
_WHOLE, _OF_WIDEST = 0.01, 0.1
"""How far sums of inputs may be apart that are shares of one whole, rounded: relative to their mean, and to
what the column varies by that varies most. Beside a temperature in K the sums of anything agree to 1 %."""


@dataclass(frozen=True)
class NumberTable:
    """`n` measurements, in the order of the file they come from.

    Attributes:
        names: Of the `d` inputs: columns of the file, then symbols of elements if it has formulas.
        inputs: `n x d`, each column in the file's own unit; of elements the share of all atoms.
        elements: How many of the inputs, the last, are shares of elements.
        values: `n`, what was measured, in the unit that `target` ends with; NaN of what failed.
        target: What was measured.
        source: File name.
        report: One line for each thing that was done, and to how many rows.
    """

    names: tuple[str, ...]
    inputs: Floats
    elements: int
    values: Floats
    target: str
    source: str
    report: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.values)

    @property
    def whole(self) -> float | None:
        """What the columns sum to if they are shares of one whole, None if they are not.

        They are if none is negative and their sums agree to 1 % in all rows, and to a tenth of what the
        columns vary by: loads of a plate (1), contents of a blend in percent (100). Elements, which always
        are, are left out.
        """
        columns = self.inputs[:, : len(self.names) - self.elements]
        sums = columns.sum(1)
        if columns.shape[1] < 2 or (columns < 0).any() or sums.mean() <= 0:
            return None
        apart = min(_WHOLE * sums.mean(), _OF_WIDEST * np.ptp(columns, axis=0).max())
        return float(sums.mean()) if np.ptp(sums) <= apart else None

    def same(self) -> npt.NDArray[np.int64]:
        """Return the number of the candidate that each row measures, `n`, from 0 as they appear.

        Rows whose inputs agree to nine digits measure one candidate.
        """
        return candidate_numbers(self.inputs)


def candidate_numbers(inputs: Floats) -> npt.NDArray[np.int64]:
    """Return which rows of inputs, `n x d`, are one candidate: see `NumberTable.same`."""
    # As text, for of two numbers on either side of a power of ten each has its own last digit.
    compared = pd.DataFrame(np.char.mod(f"%.{_DIGITS - 1}e", inputs + 0.0))
    return np.array(compared.groupby(list(compared.columns), sort=False).ngroup(), dtype=np.int64)


def read_number_table(
    table: TextTable,
    inputs: Sequence[str],
    target: str,
    formula: str | None = None,
    failed: Mask | None = None,
) -> NumberTable:
    """Return the measurements of a CSV or Parquet file that has been read as text.

    Other columns than these are passed over.

    Args:
        table: The file.
        inputs: Headers of the columns that say what was made and how: amounts or conditions, numbers.
        target: Header of what was measured, numbers.
        formula: Header of the compositions, such as `Li1.2Mn0.4Ti0.4O2`: they count as the share of each
            element among all atoms, so that `LiMnO2` and `Li2Mn2O4` are one.
        failed: `n`, whether a row's target may be anything, for its experiment failed.

    Raises:
        InputError: With every header that is missing and every bad cell.
    """
    found = Findings(table.file)
    header = [str(name) for name in table.cells]
    named = [*inputs, *([formula] if formula else []), target]
    for name in dict.fromkeys(named):
        if name not in header:
            found.header(
                f'column "{name}" is missing',
                f"{nearest(name, header)}Its columns are {', '.join(header)}.",
            )
        elif named.count(name) > 1:
            found.header(
                f'column "{name}" is given twice',
                "Each is an input, the formula or the target; give it once.",
            )
    found.stop()
    failed = np.zeros(len(table.cells), dtype=bool) if failed is None else failed
    # Whatever their names: a temperature_K of 1173 is one at which oxides are made.
    columns = [numbers(table.cells[name], None, found, ANYTHING) for name in inputs]
    elements, shares = _elements(table.cells[formula], found) if formula else ((), None)
    values = np.full(len(failed), np.nan)
    values[~failed] = numbers(table.cells.loc[~failed, target], None, found)
    found.stop()
    parts = [*columns] if shares is None else [*columns, *shares.T]
    read = NumberTable(
        names=(*inputs, *elements),
        inputs=np.column_stack(parts),
        elements=len(elements),
        values=values,
        target=target,
        source=table.file,
        report=(),
    )
    ignored = [name for name in header if name not in named]
    return _reported(read, table, int(failed.sum()), ignored)


def _elements(cells: pd.Series[str], found: Findings) -> tuple[tuple[str, ...], Floats]:
    """Return the elements of some formulas, as they appear, and their shares of all atoms, `n x e`."""
    read: dict[str, dict[str, float]] = {}
    for text in cells.unique():
        try:
            read[text] = parse_formula(text)
        except InvalidFormula as error:
            wrong = (
                f'"{text}" is no formula: {error}' if text else "the cell is empty; a formula was expected"
            )
            for row in cells.index[cells == text].tolist():
                found.row(row, [str(cells.name)], wrong, "Write it as Li1.2Mn0.4Ti0.4O2.")
    amounts = pd.DataFrame([read.get(text, {}) for text in cells]).fillna(0.0)
    shares: Floats = (amounts.div(amounts.sum(axis=1), axis=0)).to_numpy(dtype=np.float64)
    return tuple(map(str, amounts.columns)), shares


def _reported(read: NumberTable, table: TextTable, failed: int, ignored: Sequence[str]) -> NumberTable:
    candidates = len(np.unique(read.same()))
    report = [table.report(), f"{candidates} distinct candidates; further rows of one repeat its measurement"]
    if read.elements:
        report.append(f"formulas expanded into shares of {', '.join(read.names[-read.elements :])}")
    if failed:
        report.append(f"{failed} rows: failed, without a measurement")
    if ignored:
        report.append(f"columns passed over: {', '.join(ignored)}")
    return replace(read, report=tuple(report))
