"""An ensemble beside one that never saw a fifth of the rows, so that what is made of it can be calibrated."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from torch import Tensor

from surrogates.calibration import fit_calibration
from surrogates.ensemble import MixtureEnsemble
from surrogates.law_ensemble import LawEnsemble
from surrogates.mixture_data import MixtureData
from surrogates.prediction import Calibration

ModelT = TypeVar("ModelT", MixtureEnsemble, LawEnsemble)


@dataclass(frozen=True)
class JudgedEnsemble(Generic[ModelT]):
    """Two ensembles from one training loop.

    Attributes:
        model: Has learnt from all rows; its variances are as they come.
        judge: Likewise from the rows that do not calibrate.
        data: The rows that were learnt from.
        calibrates: `n`, bool, which of them the judge has not seen.
    """

    model: ModelT
    judge: ModelT
    data: MixtureData
    calibrates: Tensor

    def calibrated(self) -> ModelT:
        """Return the ensemble with its calibration."""
        return replace(self.model, calibration=self.calibration())

    def calibration(self) -> Calibration:
        """Return what makes the variances and the interval of the ensemble true."""
        data, rows = self.data, self.calibrates
        said = self.judge.bind(data.table).predict(data.batch[rows])
        return fit_calibration(
            data.target[rows], said.mean.double(), said.epistemic.double(), said.aleatoric.double()
        )


AnyJudgedEnsemble = JudgedEnsemble[MixtureEnsemble] | JudgedEnsemble[LawEnsemble]
