"""Measured mixtures as an encoder and a training loop take them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from surrogates.batches import MixtureBatch
from surrogates.molecules import Component, MoleculeTable

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
            rows share if their molecules, fractions, salt and molality agree, whatever the temperature and
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
        """Return some rows, with a table of just the molecules that stand in them.

        Args:
            rows: Indices of the rows, int64.
        """
        batch = self.batch[rows]
        solvents = torch.where(batch.weights > 0, batch.solvents, batch.solvents[:, :1])
        used, place = torch.cat([solvents, batch.salt[:, None]], dim=-1).unique(return_inverse=True)
        return replace(
            self,
            table=MoleculeTable.build(self.table.components[int(row)] for row in used),
            batch=replace(batch, solvents=place[:, :-1], salt=place[:, -1]),
            target=self.target[rows],
            rows=self.rows.iloc[rows.numpy()].reset_index(drop=True),
        )


def tabulate(
    solvents: Sequence[Sequence[Component]],
    weights: Sequence[Sequence[float]],
    salts: Sequence[Component],
    molality: Sequence[float] | np.ndarray,
    temperature_K: Sequence[float] | np.ndarray,
) -> tuple[MoleculeTable, MixtureBatch]:
    """Return `n` mixtures as tensors of indices into the table of their components.

    Args:
        solvents: `n` lists of the solvents that are present; their lengths may differ.
        weights: `n` lists of their weight fractions.
        salts: `n` salts.
        molality: `n`, mol salt per kg solvent.
        temperature_K: `n`, K.
    """
    table = MoleculeTable.build([*(solvent for row in solvents for solvent in row), *salts])
    index = table.index()
    slots = max(map(len, solvents))
    batch = MixtureBatch(
        solvents=torch.tensor([[index[s] for s in row] + [0] * (slots - len(row)) for row in solvents]),
        weights=torch.tensor([[*row, *[0.0] * (slots - len(row))] for row in weights], dtype=torch.float64),
        salt=torch.tensor([index[salt] for salt in salts]),
        molality=torch.tensor(molality, dtype=torch.float64),
        temperature_K=torch.tensor(temperature_K, dtype=torch.float64),
    )
    return table, batch


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
    key = pd.DataFrame(
        np.column_stack(
            [
                np.take_along_axis(solvents, order, axis=1),
                np.take_along_axis(weights, order, axis=1),
                molecule[batch.salt.numpy()],
                batch.molality.numpy().round(_DIGITS),
            ]
        )
    )
    mixture = key.groupby(list(key.columns), sort=False).ngroup()
    measured = pd.DataFrame({"mixture": mixture, "temperature_K": batch.temperature_K.numpy()})
    return pd.DataFrame(
        {"row": row, "mixture": mixture, "repeat": measured.duplicated(), "poor_fit": poor_fit}
    )
