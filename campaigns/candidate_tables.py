"""Candidates as a DataFrame in the words of a training file, and which of them are one experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.util import hash_array
from scipy.special import ndtri

from surrogates.batches import MixtureBatch
from surrogates.chemicals import name_of
from surrogates.errors import InputError, Problem
from surrogates.molecules import Component, MoleculeTable, is_polymer
from surrogates.quantities import Floats
from surrogates.tables import candidate_mixtures
from surrogates.text_tables import Findings, TextTable

REPEAT = "repeat"
"""Column of candidates: how often each has been measured before; 0 if there is none."""
FAILED, REASON = "failed", "reason"
FRACTION_STEP, MOLALITY_STEP, TEMPERATURE_STEP_K = 1e-4, 1e-4, 0.01
"""Weight fraction, mol/kg and K up to which two experiments are the same one."""
_FILE = "candidates"
_OFF_CENTRE = 0.3137
"""Where a cell of amounts begins, in steps: at no number of few digits, which rounding could move across."""
Keys = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Candidates:
    """`n` experiments that are asked for.

    Attributes:
        frame: As they came.
        table: The distinct components.
        batch: `n` mixtures; weights, molality and temperature in float64.
        repeat: `n`, how often each has been measured before, earlier rows included.
    """

    frame: pd.DataFrame
    table: MoleculeTable
    batch: MixtureBatch
    repeat: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.batch)

    def keys(self) -> Keys:
        """Return a number for each experiment, its repeats told apart."""
        return experiment_keys(self.table, self.batch, self.repeat)

    def measured(
        self,
        target: str,
        values: Floats,
        failed: npt.NDArray[np.bool_],
        reason: Sequence[str],
        further: Mapping[str, Sequence[str]] | None = None,
    ) -> pd.DataFrame:
        """Return the rows as they came, then the target (NaN if it failed), `failed` and `reason`."""
        columns: dict[str, Any] = {
            target: np.where(failed, np.nan, values),
            FAILED: failed,
            REASON: list(reason),
        }
        return self.frame.assign(**columns, **(further or {}))


def read_candidates(frame: pd.DataFrame, written: Sequence[str]) -> Candidates:
    """Return the experiments of a DataFrame.

    Its columns are those of a training file (see `surrogates.tables.read_mixtures`), `repeat` if some have
    been measured before, and any others.

    Args:
        frame: `n` rows. Errors number them as a spreadsheet would: the first is row 2.
        written: Columns that a measurement adds, which may not be there yet.

    Raises:
        InputError: With every bad header and cell, or if there is no row.
    """
    text = frame.astype("string").fillna("").astype(object)
    text = text.set_axis(range(2, len(frame) + 2)).rename(columns=str)
    found = Findings(_FILE)
    for name in dict.fromkeys(written):
        if name in text:
            found.header(f'its column "{name}" is one that a measurement adds', "Rename or remove it.")
    for name in text.columns[text.columns.duplicated()].unique():
        found.header(f'several columns are named "{name}"', "Rename or remove all but one.")
    found.stop()
    if frame.empty:
        found.header("there are no rows", "Give a row for each experiment.")
    times = np.zeros(len(frame))
    if REPEAT in text:
        times = pd.to_numeric(text[REPEAT], errors="coerce").to_numpy(dtype=np.float64)
        wrong = ~((times >= 0) & (times == np.floor(times)))
        expected = "a whole number from 0 was expected"
        found.cells(text[REPEAT], wrong, lambda cell: f'"{cell}" came; {expected}', "Correct the cell.")
    found.stop()
    cells = text.map(lambda cell: cell.strip())
    mixtures = candidate_mixtures(TextTable(_FILE, "", cells, 0))
    before = times.astype(np.int64)
    of_one = pd.DataFrame({"key": mixture_keys(mixtures.table, mixtures.batch), "before": before})
    earlier = of_one.groupby(["key", "before"]).cumcount().to_numpy()
    return Candidates(frame, mixtures.table, mixtures.batch, before + earlier)


def candidate_frame(table: MoleculeTable, batch: MixtureBatch) -> pd.DataFrame:
    """Return mixtures in the words of a training file, with all digits.

    Columns: `solvent_i`, `weight_fraction_i` (among the solvents) and, where one is a polymer,
    `molar_mass_i`; `salt`, `molality_mol_kg`, numbered if there are several; `temperature_K`.

    Args:
        table: The components.
        batch: `n` mixtures.
    """
    names = np.array([name_of(component.smiles) for component in table.components], dtype=object)
    chains = [c.molar_mass if is_polymer(c.smiles) else np.nan for c in table.components]
    columns: dict[str, object] = {}
    fractions = batch.fractions().double().numpy()
    for slot in range(fractions.shape[1]):
        which, used = batch.solvents[:, slot].numpy(), fractions[:, slot] > 0
        columns[f"solvent_{slot + 1}"] = np.where(used, names[which], None)
        columns[f"weight_fraction_{slot + 1}"] = np.where(used, fractions[:, slot], np.nan)
        if not np.isnan(mass := np.where(used, np.array(chains)[which], np.nan)).all():
            columns[f"molar_mass_{slot + 1}"] = mass
    molality = batch.molality.double().numpy()
    for slot in range(molality.shape[1]):
        which, used = batch.salts[:, slot].numpy(), molality[:, slot] > 0
        number = f"_{slot + 1}" if molality.shape[1] > 1 else ""
        columns[f"salt{number}"] = np.where(used, names[which], None)
        columns[f"molality_mol_kg{number}"] = np.where(used, molality[:, slot], np.nan)
    return pd.DataFrame({**columns, "temperature_K": batch.temperature_K.double().numpy()})


def identity(component: Component) -> str:
    """Return what two components share if they are one substance: the SMILES, and a polymer's molar mass."""
    chain = f" {component.molar_mass:.6g}" if is_polymer(component.smiles) else ""
    return component.smiles + chain


def mixture_keys(table: MoleculeTable, batch: MixtureBatch) -> Keys:
    """Return a number for each mixture, `n`, from its molecules, amounts and temperature alone.

    The order of solvents and of salts does not matter, nor what differs by less than a step; two amounts on
    either side of a cell's edge have different numbers, however close they are.
    """
    molecules = hash_array(np.array([identity(component) for component in table.components], dtype=object))

    def parts(which: npt.NDArray[np.int64], amounts: Floats, step: float) -> Keys:
        each = combined(molecules[which].ravel(), _cells(amounts, step).ravel()).reshape(which.shape)
        total: Keys = np.where(amounts > 0, each, np.uint64(0)).sum(1, dtype=np.uint64)
        return total

    solvents = parts(batch.solvents.numpy(), batch.fractions().double().numpy(), FRACTION_STEP)
    salts = parts(batch.salts.numpy(), batch.molality.double().numpy(), MOLALITY_STEP)
    return combined(solvents, salts, _cells(batch.temperature_K.double().numpy(), TEMPERATURE_STEP_K))


def experiment_keys(table: MoleculeTable, batch: MixtureBatch, repeat: npt.NDArray[np.int64]) -> Keys:
    """Return a number for each experiment on a mixture, `n`, its repeats told apart."""
    return combined(mixture_keys(table, batch), repeat.astype(np.uint64))


def combined(*words: Keys) -> Keys:
    """Return one number for each row of several, in which every bit of each has a part."""
    key = np.zeros(1, dtype=np.uint64)
    for word in words:
        key = hash_array(np.asarray(key + word + np.uint64(1)))  # a hash of 0 is 0
    return key


def uniforms(keys: Keys, *words: int) -> Floats:
    """Return a number between 0 and 1 for each key, the same whenever and wherever it is asked for.

    Args:
        keys: `n`.
        words: What else it depends on, from 0, such as a seed.
    """
    mixed = combined(keys, *(np.array([word], dtype=np.uint64) for word in words))
    shifted: Floats = ((mixed >> np.uint64(11)).astype(np.float64) + 0.5) / 2.0**53
    return shifted


def normals(keys: Keys, *words: int) -> Floats:
    """Return a standard normal number for each key, see `uniforms`."""
    drawn: Floats = ndtri(uniforms(keys, *words))
    return drawn


def refuse(rows: Sequence[int], wrong: Sequence[str], mend: str) -> InputError:
    """Return the error of some candidates.

    Args:
        rows: Their places, from 0.
        wrong: What is wrong with each.
        mend: What to do about it, a sentence.
    """
    return InputError(
        [
            Problem(f"{_FILE}, row {row + 2}", words, mend, row + 2)
            for row, words in zip(rows, wrong, strict=True)
        ]
    )


def _cells(amounts: Floats, step: float) -> Keys:
    cells: Keys = np.floor(amounts / step + _OFF_CENTRE).astype(np.int64).astype(np.uint64)
    return cells
