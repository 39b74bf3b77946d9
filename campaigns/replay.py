"""Oracles that answer with what was measured already: a pool, and a person's file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import pandas as pd
from rdkit import Chem
from scipy.spatial import cKDTree

from activelearn.shards import written_whole
from campaigns.candidate_tables import (
    FAILED,
    FRACTION_STEP,
    MOLALITY_STEP,
    REASON,
    TEMPERATURE_STEP_K,
    Candidates,
    candidate_frame,
    identity,
    read_candidates,
    refuse,
)
from surrogates.batches import MixtureBatch
from surrogates.datasets import load_dataset
from surrogates.errors import InputError, Problem
from surrogates.mixture_data import MixtureData
from surrogates.molecules import MoleculeTable, parse_smiles
from surrogates.quantities import Floats, conductivities
from surrogates.tables import candidate_mixtures, measured_mixtures
from surrogates.text_tables import Findings, TextTable, read_text

_YES = ("1", "yes", "true", "failed")
_NO = ("", "0", "no", "false")
_SHADOW_STEPS = 50.0
"""How far apart the projections of one mixture may be: 50 amounts would have to differ by a step each."""
_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Replay:
    """A pool of measured mixtures that answers with its measurements.

    Asked for a mixture again, it gives the next of its measurements, in the order of the pool.

    Attributes:
        table: The distinct components.
        batch: `n` measurements.
        values: `n`, in the target's unit; NaN of what failed.
        reasons: `n`, why each failed, empty if it did not.
        failed: `n`, bool.
        target: Name of what was measured, with its unit.
        source: File name.
    """

    table: MoleculeTable
    batch: MixtureBatch
    values: Floats
    failed: npt.NDArray[np.bool_]
    reasons: tuple[str, ...]
    target: str
    source: str

    @staticmethod
    def of_data(data: MixtureData) -> Replay:
        """Return measured mixtures as a pool."""
        n = len(data)
        none = np.zeros(n, dtype=bool)
        return Replay(
            data.table, data.batch, data.target.numpy(), none, ("",) * n, data.target_name, data.source
        )

    @staticmethod
    def of_dataset(name: str, data_dir: Path | None = None) -> Replay:
        """Return a public data set as a pool.

        Raises:
            InputError: As `surrogates.datasets.load_dataset` does.
        """
        return Replay.of_data(load_dataset(name, data_dir))

    @staticmethod
    def of_file(
        path: Path, target: str, columns: Mapping[str, str] = _NONE, units: Mapping[str, str] = _NONE
    ) -> Replay:
        """Return the measurements of a user's file as a pool.

        Args:
            path: CSV or Parquet, see `surrogates.tables.read_mixtures`. Where its column `failed` says 1,
                yes, true or failed, the target may be empty, and `reason` says why.
            target: What was measured.
            columns: The file's header for each of our column names that it calls otherwise.
            units: The file's unit for each of our column names that is in another.

        Raises:
            InputError: With every bad header, unit and cell of the file.
        """
        text = read_text(path)
        failed, reasons = failures(text)
        if not failed.any():
            return Replay.of_data(measured_mixtures(text, target, columns, units))
        values = np.full(len(failed), np.nan)
        problems: list[Problem] = []
        if not failed.all():
            measured = replace(text, cells=text.cells[~failed])
            try:
                values[~failed] = measured_mixtures(measured, target, columns, units).target.numpy()
            except InputError as error:
                problems += error.problems
        inputs = {target, *conductivities()}
        try:
            mixtures = candidate_mixtures(
                text,
                {ours: theirs for ours, theirs in columns.items() if ours not in inputs},
                {ours: unit for ours, unit in units.items() if ours not in inputs},
            )
        except InputError as error:
            problems += error.problems
        if problems:
            raise InputError(tuple(dict.fromkeys(problems)))
        return Replay(mixtures.table, mixtures.batch, values, failed, reasons, target, text.file)

    @cached_property
    def pool(self) -> pd.DataFrame:
        """The distinct mixtures as candidates, in the order of their first measurements.

        Without those of charged chains (8 rows of MolSets), which a table of candidates cannot name.
        """
        frame = candidate_frame(self.table, self.batch)
        return frame.loc[self._first.unique()].reset_index(drop=True)

    @property
    def first(self) -> list[int]:
        """Of each mixture of `pool` the place of its first measurement."""
        return [int(place) for place in self._first.unique()]

    @cached_property
    def means(self) -> Floats:
        """The mean of the measurements of each mixture of `pool`; NaN where all failed.

        A campaign is judged by it and must not see it.
        """
        values = pd.Series(self.values)[self._askable]
        means: Floats = np.array(values.groupby(self._first, sort=False).mean(), dtype=np.float64)
        return means

    def measurements(self) -> tuple[tuple[int, ...], ...]:
        """Return of each mixture of `pool` the places of its measurements, in the order they are given."""
        alike = self._alike(self.table, self.batch)
        return tuple(tuple(alike[row]) for row in self.first)

    @cached_property
    def _first(self) -> pd.Series[int]:
        """The first measurement of the mixture of each measurement that can be asked for."""
        return pd.Series([rows[0] for rows in self._alike(self.table, self.batch)])[self._askable]

    @cached_property
    def _askable(self) -> npt.NDArray[np.bool_]:
        charges = [Chem.GetFormalCharge(parse_smiles(one.smiles)) for one in self.table.components]
        is_charged = np.array(charges)[self.batch.solvents.numpy()] != 0
        askable: npt.NDArray[np.bool_] = ~(is_charged & (self.batch.weights.numpy() > 0)).any(1)
        return askable

    def measure(self, candidates: pd.DataFrame) -> pd.DataFrame:
        """Return what came out, as `Oracle.measure` says.

        Raises:
            InputError: With every row that cannot be read, was never measured, or not as often as asked.
        """
        return self.answer(read_candidates(candidates, [self.target, FAILED, REASON]))

    def answer(self, asked: Candidates) -> pd.DataFrame:
        """Return what came out of candidates that have been read, see `measure`.

        Raises:
            InputError: With every row that was never measured, or not as often as it is asked.
        """
        found = self._alike(asked.table, asked.batch)
        counts = np.array([len(rows) for rows in found])
        short = np.flatnonzero(asked.repeat >= counts).tolist()
        if short:
            words = [_too_few(int(counts[row]), int(asked.repeat[row]), self.source) for row in short]
            raise refuse(short, words, "Ask for what was measured, or add the measurement.")
        rows = np.array([rows[again] for rows, again in zip(found, asked.repeat, strict=True)])
        reasons = [self.reasons[row] for row in rows]
        return asked.measured(self.target, self.values[rows], self.failed[rows], reasons)

    def missing(self, table: MoleculeTable, batch: MixtureBatch) -> int:
        """Return how many of some mixtures were never measured."""
        return sum(not rows for rows in self._alike(table, batch))

    def _alike(self, table: MoleculeTable, batch: MixtureBatch) -> list[list[int]]:
        """Return the measurements of each mixture, in the order of the pool."""
        points, inside = self._points(table, batch)
        own = self._own_points
        near = self._tree.query_ball_point(points @ self._shadows, r=_SHADOW_STEPS, p=np.inf)
        which = np.repeat(np.arange(len(points)), [len(rows) for rows in near])
        rows = np.array([row for some in near for row in some], dtype=np.int64)
        same = (np.abs(points[which] - own[rows]).max(1, initial=0) <= 1) & inside[which]
        alike: list[list[int]] = [[] for _ in points]
        for candidate, row in sorted(zip(which[same].tolist(), rows[same].tolist(), strict=True)):
            alike[candidate].append(row)
        return alike

    @cached_property
    def _own_points(self) -> Floats:
        return self._points(self.table, self.batch)[0]

    @cached_property
    def _shadows(self) -> Floats:
        """Directions onto which points are projected: a tree of the points themselves is slow in so many."""
        directions: Floats = np.random.default_rng(0).uniform(-1, 1, (2 * len(self._columns) + 1, 3))
        return directions

    @cached_property
    def _tree(self) -> cKDTree:
        return cKDTree(self._own_points @ self._shadows)

    @cached_property
    def _columns(self) -> dict[str, int]:
        names = dict.fromkeys(identity(component) for component in self.table.components)
        return {name: column for column, name in enumerate(names)}

    def _points(self, table: MoleculeTable, batch: MixtureBatch) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """Return mixtures as points, in steps, and whether the pool has all of their molecules.

        A column a molecule as a solvent, one as a salt, and the temperature.
        """
        own, n, u = self._columns, len(batch), len(self._columns)
        place = np.array([own.get(identity(component), -1) for component in table.components])
        points, inside = np.zeros((n, 2 * u + 1)), np.ones(n, dtype=bool)
        parts = (
            (batch.solvents, batch.fractions(), 0, FRACTION_STEP),
            (batch.salts, batch.molality, u, MOLALITY_STEP),
        )
        for which, amounts, first, step in parts:
            steps = amounts.double().numpy() / step
            column = place[which.numpy()]
            inside &= ~((column < 0) & (steps > 0)).any(1)
            np.add.at(points, (np.arange(n)[:, None], first + column.clip(0)), steps)
        points[:, -1] = batch.temperature_K.double().numpy() / TEMPERATURE_STEP_K
        return points, inside


@dataclass(frozen=True)
class Person:
    """A person with a file: proposals go out as CSV, measurements come back as CSV.

    Attributes:
        target: What the person measures.
        proposals: Where the proposals are written, whole.
        measurements: What the person fills, in the words of `Replay.of_file`; it may hold earlier rounds.
    """

    target: str
    proposals: Path
    measurements: Path

    def measure(self, candidates: pd.DataFrame) -> pd.DataFrame:
        """Write the proposals, and return what came out of them, as `Oracle.measure` says, once all is there.

        Call it again with the same candidates until the measurements are there.

        Raises:
            InputError: With every row that cannot be read or has not been measured yet, if the measurements
                cannot be read, or if earlier proposals would be lost.
        """
        asked = read_candidates(candidates, [self.target, FAILED, REASON])
        came = None
        if self.measurements.exists():
            came = Replay.of_file(self.measurements, self.target)
        self._propose(asked, came)
        if came is None:
            wrong = f"there is no such file yet, and {self.proposals} holds {len(asked)} proposals to measure"
            mend = f'Save them under this name with a column "{self.target}", filled, and go on.'
            raise InputError(Problem(str(self.measurements), wrong, mend))
        return came.answer(asked)

    def _propose(self, asked: Candidates, came: Replay | None) -> None:
        """Write the proposals, unless they stand there.

        Raises:
            InputError: If others that have not been measured do, or the file cannot be written.
        """
        text = asked.frame.to_csv(index=False, lineterminator="\n")
        if self.proposals.exists():
            if self.proposals.read_bytes() == text.encode():
                return
            before = candidate_mixtures(read_text(self.proposals))
            n = len(before.batch)
            left = n if came is None else came.missing(before.table, before.batch)
            if left:
                wrong = f"it holds other proposals, {left} of {n} not in {self.measurements.name}"
                raise InputError(Problem(str(self.proposals), wrong, "Measure them, or move the file away."))
        try:
            with written_whole(self.proposals) as temporary:
                temporary.write_text(text, encoding="utf-8")
        except OSError as error:
            wrong = f"the proposals cannot be written here: {os.strerror(error.errno or 0)}"
            raise InputError(Problem(str(self.proposals), wrong, "Give another path.")) from None


def failures(text: TextTable) -> tuple[npt.NDArray[np.bool_], tuple[str, ...]]:
    """Return which rows say that they failed, `n`, and why, empty of others; none without a column `failed`.

    Raises:
        InputError: With every cell that says neither.
    """
    if FAILED not in text.cells:
        return np.zeros(len(text.cells), dtype=bool), ("",) * len(text.cells)
    said = text.cells[FAILED].str.lower()
    found = Findings(text.file)
    wrong = "yes, no or nothing was expected"
    found.cells(
        text.cells[FAILED],
        ~said.isin([*_YES, *_NO]).to_numpy(),
        lambda cell: f'"{cell}" came; {wrong}',
        "Correct the cell.",
    )
    found.stop()
    failed: npt.NDArray[np.bool_] = said.isin(_YES).to_numpy(dtype=bool)
    given = text.cells[REASON] if REASON in text.cells else pd.Series("", index=text.cells.index)
    reasons = np.where(failed, np.where(given == "", "no reason given", given), "")
    return failed, tuple(map(str, reasons))


def _too_few(count: int, repeat: int, source: str) -> str:
    if count == 0:
        return f"{source} holds no measurement of this mixture at this temperature"
    times = "once" if count == 1 else f"{count} times"
    return f"{source} holds this mixture {times}; measurement {repeat + 1} of it was asked for"
