"""Who answers an experiment: a virtual laboratory, a surrogate played as truth; `replay` has the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from campaigns.candidate_tables import (
    FAILED,
    REASON,
    Keys,
    experiment_keys,
    normals,
    read_candidates,
    refuse,
    uniforms,
)
from campaigns.virtual_conductivity import COLDEST_K, LABELS, TARGET, WARMEST_K, VirtualConductivity
from surrogates.batches import MixtureBatch
from surrogates.molecules import MoleculeTable
from surrogates.prediction import Prediction, Predictor
from surrogates.quantities import Floats

LABEL = "label"
"""Column of the virtual laboratory's measurements: how far its law is to be trusted, see `LABELS`."""
NO_SALT = "it holds no salt"
_LABORATORY, _MEASUREMENT, _FAILURE, _EMULATED = range(4)
"""What a random number is for."""
_FROM_MS_CM: Mapping[str, Callable[[Tensor], Tensor]] = {
    TARGET: lambda kappa: kappa,
    "conductivity_S_cm": lambda kappa: kappa / 1000,
    "log10_conductivity_mS_cm": lambda kappa: kappa.log10(),
    "log10_conductivity_S_cm": lambda kappa: kappa.log10() - 3,
}


class Oracle(Protocol):
    """Who answers experiments."""

    @property
    def target(self) -> str:
        """Name of what is measured, with its unit."""

    def measure(self, candidates: pd.DataFrame) -> pd.DataFrame:
        """Return what came out of some experiments.

        Args:
            candidates: `n` rows in the columns of a training file (see `surrogates.tables.read_mixtures`),
                with `repeat` if some have been measured before; other columns are kept.

        Returns:
            The same rows with the target (NaN of what failed), `failed` (bool) and `reason` (empty if it did
            not fail).

        Raises:
            InputError: With every row that cannot be asked for; nothing is measured then.
        """


@dataclass(frozen=True)
class VirtualLaboratory:
    """A laboratory that measures what `VirtualConductivity` says, with its own factor, noise and failures.

    What comes out depends on the seed, the mixture and how often it was measured before: not on who asks, in
    which order, or with what else.

    Attributes:
        seed: From 0. Another seed is another laboratory.
        between: Standard deviation of the logarithm of a laboratory's factor: how far laboratories differ.
        repeatability: Standard deviation of the logarithm of a measurement.
        failure_rate: Share of experiments that fail, from 0 to 1.
        target: `conductivity_mS_cm`, `conductivity_S_cm` or the log10 of either.

    Raises:
        ValueError: If a number is out of its bounds, or there is no such target.
    """

    seed: int = 0
    between: float = 0.08
    repeatability: float = 0.03
    failure_rate: float = 0.0
    target: str = TARGET

    def __post_init__(self) -> None:
        if self.target not in _FROM_MS_CM:
            raise ValueError(f'target is "{self.target}"; one of {", ".join(_FROM_MS_CM)} was expected')
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}; a whole number from 0 was expected")
        for name in ("between", "repeatability"):
            if not 0 <= (value := getattr(self, name)) < 1:
                raise ValueError(f"{name} is {value}; a number from 0 up to, but not, 1 was expected")
        if not 0 <= self.failure_rate <= 1:
            raise ValueError(f"failure_rate is {self.failure_rate}; a number from 0 to 1 was expected")

    @property
    def factor(self) -> float:
        """What the laboratory reads over what the law says."""
        drawn = normals(np.zeros(1, dtype=np.uint64), self.seed, _LABORATORY)
        return float(np.exp(self.between * drawn[0]))

    def expected(self, table: MoleculeTable, batch: MixtureBatch) -> Tensor:
        """Return what the laboratory would measure without noise, `n`, float64, in the target's unit.

        Gradients reach weights, molality and temperature. Its optimum is the one a campaign can reach.

        Raises:
            InputError: As `VirtualConductivity.conductivity` does.
        """
        kappa = VirtualConductivity.bind(table).conductivity(batch)
        return _FROM_MS_CM[self.target](self.factor * kappa)

    def measure(self, candidates: pd.DataFrame) -> pd.DataFrame:
        """Return what came out, as `Oracle.measure` says, and `label`: empty, dubious or indicative.

        A mixture without a salt fails.

        Raises:
            InputError: With every row that cannot be read or that the law says nothing of.
        """
        asked = read_candidates(candidates, [self.target, FAILED, REASON, LABEL])
        law = VirtualConductivity.bind(asked.table)
        _check_known(law, asked.batch)
        values, no_salt, failed = self._measured(law, asked.keys(), asked.batch)
        why = f"the experiment failed, as {self.failure_rate:.3g} of all do"
        reasons = np.where(no_salt, NO_SALT, np.where(failed, why, ""))
        labels = np.array(LABELS, dtype=object)[law.labels(asked.batch).numpy()]
        return asked.measured(self.target, values, failed | no_salt, list(reasons), {LABEL: list(labels)})

    def values(self, table: MoleculeTable, batch: MixtureBatch, repeat: npt.NDArray[np.int64]) -> Floats:
        """Return what `measure` does, the target alone, `n`, NaN of what failed.

        Args:
            table: The components.
            batch: `n` mixtures.
            repeat: `n`, how often each has been measured before.

        Raises:
            InputError: With every row that the law says nothing of.
        """
        law = VirtualConductivity.bind(table)
        _check_known(law, batch)
        values, no_salt, failed = self._measured(law, experiment_keys(table, batch, repeat), batch)
        found: Floats = np.where(no_salt | failed, np.nan, values)
        return found

    def _measured(
        self, law: VirtualConductivity, keys: Keys, batch: MixtureBatch
    ) -> tuple[Floats, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Return what comes out if nothing fails, what has no salt, and what fails by chance, `n` each."""
        with torch.no_grad():
            kappa = self.factor * law.conductivity(batch)
            drawn = torch.from_numpy(normals(keys, self.seed, _MEASUREMENT))
            values = _FROM_MS_CM[self.target](kappa * (self.repeatability * drawn).exp()).numpy()
        no_salt = (batch.salt_counts() == 0).numpy()
        return values, no_salt, uniforms(keys, self.seed, _FAILURE) < self.failure_rate


class FittedModel(Protocol):
    """A model of mixtures as a training run leaves it."""

    @property
    def target(self) -> str:
        """Name of what it predicts, with its unit."""

    def bind(self, table: Any) -> Predictor:
        """Return the predictor for mixtures of a table's molecules."""


@dataclass(frozen=True)
class Emulator:
    """A surrogate played as truth.

    Attributes:
        model: Predicts mixtures.
        noise: Whether a measurement scatters by the aleatoric variance that the model states for it.
        seed: Of the noise, from 0; what comes out depends on it as it does in a `VirtualLaboratory`.
    """

    model: FittedModel
    noise: bool = True
    seed: int = 0

    @property
    def target(self) -> str:
        """Name of what the model predicts, with its unit."""
        return self.model.target

    def expected(self, table: MoleculeTable, batch: MixtureBatch) -> Tensor:
        """Return what would be measured without noise, `n`, in the target's unit; without gradients."""
        return self._said(table, batch).mean

    def measure(self, candidates: pd.DataFrame) -> pd.DataFrame:
        """Return what came out, as `Oracle.measure` says; where the model says no number, it failed.

        Raises:
            InputError: With every row that cannot be read, or if the model cannot be asked.
        """
        asked = read_candidates(candidates, [self.target, FAILED, REASON])
        values = self._scattered(asked.table, asked.batch, asked.keys())
        failed = ~np.isfinite(values)
        return asked.measured(
            self.target, values, failed, list(np.where(failed, "the model says no finite number", ""))
        )

    def values(self, table: MoleculeTable, batch: MixtureBatch, repeat: npt.NDArray[np.int64]) -> Floats:
        """Return what `measure` does, the target alone, `n`, NaN of what failed.

        Args:
            table: The components.
            batch: `n` mixtures.
            repeat: `n`, how often each has been measured before.

        Raises:
            InputError: If the model cannot be asked.
        """
        values = self._scattered(table, batch, experiment_keys(table, batch, repeat))
        found: Floats = np.where(np.isfinite(values), values, np.nan)
        return found

    def _scattered(self, table: MoleculeTable, batch: MixtureBatch, keys: Keys) -> Floats:
        said = self._said(table, batch)
        values: Floats = said.mean.double().numpy()
        if not self.noise:
            return values
        return values + said.aleatoric.double().sqrt().numpy() * normals(keys, self.seed, _EMULATED)

    def _said(self, table: MoleculeTable, batch: MixtureBatch) -> Prediction:
        return self.model.bind(table).predict(batch.to(torch.float32))


def _check_known(law: VirtualConductivity, batch: MixtureBatch) -> None:
    """Refuse rows that the law says nothing of.

    Raises:
        InputError: With every such row; of foreign molecules, with each of them and what there is.
    """
    if (~law.is_solvent[batch.solvents] & (batch.weights > 0)).any() or (
        ~law.is_salt[batch.salts] & (batch.molality > 0)
    ).any():
        law.check(batch)
    T = batch.temperature_K.numpy()
    rows = np.flatnonzero((T < COLDEST_K) | (T > WARMEST_K)).tolist()
    if rows:
        expected = f"the virtual laboratory measures from {COLDEST_K:g} to {WARMEST_K:g} K"
        mend = "Correct the row or leave it out."
        raise refuse(rows, [f"{T[row]:g} K came; {expected}" for row in rows], mend)
