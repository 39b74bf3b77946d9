"""Measured mixtures as an encoder and a training loop take them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from surrogates.batches import MixtureBatch
from surrogates.errors import InputError, Problem
from surrogates.molecules import Component, MoleculeTable

_T = TypeVar("_T")
_DIGITS = 9
"""Decimals to which fractions and molalities are compared: those of the published files."""


@dataclass(frozen=True)
class MixtureData:
    """`n` measured mixtures, in the order of the file they come from.

    Attributes:
        table: The distinct components.
        batch: `n` mixtures; weights, molality and temperature in float64.
        target: `n`, float64, in the unit that `target_name` ends with.
        target_name: What was measured, e.g. `log10_conductivity_S_cm`.
        rows: `n` rows: `row` (as a spreadsheet numbers it: the header is row 1); `mixture`, a number that
            rows share if their molecules, fractions, salts and molalities agree, whatever the temperature and
            the molar mass of a polymer's chain; `repeat` (an earlier row holds this mixture at this
            temperature); `poor_fit` (the target comes from a fit with R2 below 0.9). A
            loader may add columns, as `load_calisol` does.
        source: File name.
        sha256: Of the file.
        report: One line for each thing that was done, and to how many rows.
    """

    table: MoleculeTable
    batch: MixtureBatch
    target: Tensor
    target_name: str
    rows: pd.DataFrame
    source: str
    sha256: str
    report: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.batch)

    def take(self, rows: Tensor) -> MixtureData:
        """Return some rows, with a table of just the molecules, and slots for just the salts, in them.

        Args:
            rows: Indices of the rows, int64.
        """
        batch = self.batch[rows].packed()
        k = batch.solvents.shape[1]
        parts = torch.cat([batch.solvents, batch.salts], dim=-1)
        is_present = torch.cat([batch.weights, batch.molality], dim=-1) > 0
        used, place = torch.where(is_present, parts, parts[:, :1]).unique(return_inverse=True)
        salts = place[:, k:].masked_fill(batch.molality == 0, 0)
        return replace(
            self,
            table=MoleculeTable.build(self.table.components[int(row)] for row in used),
            batch=replace(batch, solvents=place[:, :k], salts=salts),
            target=self.target[rows],
            rows=self.rows.iloc[rows.numpy()].reset_index(drop=True),
        )


def check_same_target(expected: str, data: MixtureData) -> None:
    """Check that measurements are of what a model predicts.

    Raises:
        InputError: If they are not.
    """
    if data.target_name != expected:
        wrong = f"{data.target_name} was measured, but the model predicts {expected}"
        raise InputError(Problem(data.source, wrong, f"Give measurements of {expected}."))


def tabulate(
    solvents: Sequence[Sequence[Component]],
    weights: Sequence[Sequence[float]],
    salts: Sequence[Sequence[Component]],
    molality: Sequence[Sequence[float]],
    temperature_K: Sequence[float] | np.ndarray,
) -> tuple[MoleculeTable, MixtureBatch]:
    """Return `n` mixtures as tensors of indices into the table of their components.

    Args:
        solvents: `n` lists of the solvents that are present; their lengths may differ.
        weights: `n` lists of their weight fractions.
        salts: `n` lists of the salts that are present, in any order.
        molality: `n` lists, mol of each of them per kg of all solvents.
        temperature_K: `n`, K.
    """
    table = MoleculeTable.build(
        component for parts in (solvents, salts) for row in parts for component in row
    )
    index = table.index()
    batch = MixtureBatch(
        solvents=torch.tensor(_filled_up([[index[one] for one in row] for row in solvents], 0)),
        weights=torch.tensor(_filled_up(weights, 0.0), dtype=torch.float64),
        salts=torch.tensor(_filled_up([[index[one] for one in row] for row in salts], 0)),
        molality=torch.tensor(_filled_up(molality, 0.0), dtype=torch.float64),
        temperature_K=torch.tensor(temperature_K, dtype=torch.float64),
    )
    return table, batch


def _filled_up(rows: Sequence[Sequence[_T]], empty: _T) -> list[list[_T]]:
    """Return lists of one length, at least 1."""
    slots = max(1, *map(len, rows))
    return [[*row, *[empty] * (slots - len(row))] for row in rows]


def mixture_rows(
    table: MoleculeTable, batch: MixtureBatch, row: Sequence[int] | np.ndarray, poor_fit: np.ndarray
) -> pd.DataFrame:
    """Return the `rows` of `MixtureData`: which rows hold one mixture, and which repeat an earlier one.

    Args:
        table: The components that `batch` points into.
        batch: `n` mixtures.
        row: `n`, the rows of the source file.
        poor_fit: `n`, bool.
    """
    molecule = pd.factorize(pd.Series([component.smiles for component in table.components]))[0]
    weights = batch.weights.numpy().round(_DIGITS)
    solvents = np.where(weights > 0, molecule[batch.solvents.numpy()], -1)
    order = np.argsort(solvents, axis=1, kind="stable")  # solvents may stand in any order
    # So may salts, and one that stands in two slots counts once: a column a salt.
    salts, place = np.unique(molecule[batch.salts.numpy()], return_inverse=True)
    molality = np.zeros((len(batch), len(salts)))
    np.add.at(molality, (np.arange(len(batch))[:, None], place), batch.molality.numpy())
    key = pd.DataFrame(
        np.column_stack(
            [
                np.take_along_axis(solvents, order, axis=1),
                np.take_along_axis(weights, order, axis=1),
                molality.round(_DIGITS),
            ]
        )
    )
    mixture = key.groupby(list(key.columns), sort=False).ngroup()
    measured = pd.DataFrame({"mixture": mixture, "temperature_K": batch.temperature_K.numpy()})
    return pd.DataFrame(
        {"row": row, "mixture": mixture, "repeat": measured.duplicated(), "poor_fit": poor_fit}
    )
