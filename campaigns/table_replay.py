"""An oracle that answers with a table of numbers: whatever was made and measured, of any material."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from campaigns.candidate_tables import FAILED, REASON, REPEAT, refuse
from campaigns.replay import failures
from surrogates.number_tables import NumberTable, candidate_numbers, read_number_table
from surrogates.quantities import Floats
from surrogates.text_tables import Findings, read_text

_FILE = "candidates"
_MEND = "Ask for what was measured, or add the measurement."


@dataclass(frozen=True)
class TableReplay:
    """A pool of measured rows that answers with its measurements, as `Replay` does of mixtures.

    Attributes:
        data: The measurements.
        reasons: Of each, why it failed; empty if it did not.
    """

    data: NumberTable
    reasons: tuple[str, ...]

    @staticmethod
    def of_table(data: NumberTable) -> TableReplay:
        """Return measurements of which none failed as a pool."""
        return TableReplay(data, ("",) * len(data))

    @staticmethod
    def of_file(path: Path, inputs: Sequence[str], target: str, formula: str | None = None) -> TableReplay:
        """Return the measurements of a user's file as a pool.

        Args:
            path: CSV or Parquet, see `read_number_table`. Where its column `failed` says 1, yes, true or
                failed, the target may be empty, and `reason` says why.
            inputs: Headers of what was made and how, numbers.
            target: Header of what was measured.
            formula: Header of the compositions.

        Raises:
            InputError: With every bad header and cell of the file.
        """
        text = read_text(path)
        failed, reasons = failures(text)
        data = read_number_table(text, inputs, target, formula, failed)
        return TableReplay(data, reasons)

    @property
    def target(self) -> str:
        """Name of what was measured."""
        return self.data.target

    @cached_property
    def rows(self) -> tuple[tuple[int, ...], ...]:
        """Of each candidate the places of its measurements, in the order of the file."""
        same = pd.Series(self._same)
        return tuple(tuple(rows) for rows in same.groupby(same).indices.values())

    @property
    def first(self) -> list[int]:
        """Of each candidate the place of its first measurement."""
        return [rows[0] for rows in self.rows]

    @property
    def pool(self) -> pd.DataFrame:
        """The candidates, a row each: inputs, and shares of elements instead of a formula."""
        return pd.DataFrame(self.data.inputs[self.first], columns=list(self.data.names))

    @property
    def means(self) -> Floats:
        """The mean of the measurements of each candidate; NaN where all failed. No campaign may see it."""
        means = pd.Series(self.data.values).groupby(self._same).mean()
        return np.array(means, dtype=np.float64)

    def measure(self, candidates: pd.DataFrame) -> pd.DataFrame:
        """Return what came out, as `campaigns.oracles.Oracle.measure` says.

        Args:
            candidates: `n` rows with the columns of `pool`, and `repeat` if some have been measured before.

        Raises:
            InputError: With every row that cannot be read, was never measured, or not as often as asked.
        """
        inputs, before = self._read(candidates)
        n = len(inputs)
        same = candidate_numbers(np.concatenate([self.data.inputs, inputs]))
        asked = pd.DataFrame({"number": same[-n:], "before": before})
        repeat = before + asked.groupby(["number", "before"]).cumcount().to_numpy()
        rows = [self.rows[number] if number < len(self.rows) else () for number in asked["number"]]
        short = [place for place in range(n) if repeat[place] >= len(rows[place])]
        if short:
            words = [self._too_few(len(rows[place]), int(repeat[place]) + 1) for place in short]
            raise refuse(short, words, _MEND)
        found = [of[again] for of, again in zip(rows, repeat, strict=True)]
        values = self.data.values[found]
        columns: dict[str, Any] = {
            self.target: values,
            FAILED: np.isnan(values),
            REASON: [self.reasons[row] for row in found],
        }
        return candidates.assign(**columns)

    def _read(self, candidates: pd.DataFrame) -> tuple[Floats, npt.NDArray[np.int64]]:
        """Return inputs, `n x d`, and how often each was measured before.

        Raises:
            InputError: With every column that is missing and every cell that is no number.
        """
        found = Findings(_FILE)
        for name in self.data.names:
            if name not in candidates:
                found.header(f'column "{name}" is missing', f"Add it; {self.data.source} has it.")
        for name in (self.target, FAILED, REASON):
            if name in candidates:
                found.header(f'its column "{name}" is one that a measurement adds', "Rename or remove it.")
        if candidates.empty:
            found.header("there are no rows", "Give a row for each experiment.")
        found.stop()
        asked = candidates.set_axis(range(2, len(candidates) + 2))
        names = [*self.data.names, *([REPEAT] if REPEAT in asked else [])]
        numbers = asked[names].apply(pd.to_numeric, errors="coerce")
        for name in names:
            bad = ~np.isfinite(numbers[name].to_numpy(dtype=np.float64))
            found.cells(
                asked[name].astype(str),
                bad,
                lambda cell: f'"{cell}" came; a number was expected',
                "Correct the cell.",
            )
        found.stop()
        before = (
            numbers[REPEAT].to_numpy(dtype=np.int64) if REPEAT in asked else np.zeros(len(asked), np.int64)
        )
        return numbers[list(self.data.names)].to_numpy(dtype=np.float64), before

    def _too_few(self, count: int, asked: int) -> str:
        if not count:
            return f"{self.data.source} holds no measurement with these inputs"
        times = "once" if count == 1 else f"{count} times"
        return f"{self.data.source} holds these inputs {times}; measurement {asked} of them was asked for"

    @cached_property
    def _same(self) -> npt.NDArray[np.int64]:
        return self.data.same()
