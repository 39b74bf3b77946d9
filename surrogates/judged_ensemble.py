"""An ensemble beside judges that never saw some of the rows, so that what is made of it can be calibrated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import torch
from torch import Tensor

from surrogates.calibration import fit_calibration
from surrogates.domain import Domain
from surrogates.ensemble import MixtureEnsemble
from surrogates.law_ensemble import LawEnsemble
from surrogates.members import Members
from surrogates.mixture_data import MixtureData
from surrogates.prediction import Calibration, Model, Prediction, together

ModelT = TypeVar("ModelT", MixtureEnsemble, LawEnsemble)


@dataclass(frozen=True)
class Unseen:
    """What was said of rows that were not learnt from, `n` each, in the target's unit or its square.

    Attributes:
        target: As measured.
        said: What was predicted.
        zone: Int8, where they stand in the domain of what was learnt from, see `BoundDomain.zones`.
    """

    target: Tensor
    said: Prediction
    zone: Tensor


@dataclass(frozen=True)
class JudgedEnsemble(Generic[ModelT]):
    """Ensembles from one training loop.

    Attributes:
        model: Has learnt from all rows; its variances are as they come.
        judges: Likewise, each without the rows that it calibrates; its domain is that of what it learnt from.
        data: The rows that the model has learnt from.
        calibrates: A judge x `n`, bool, which of them it has not seen.
    """

    model: ModelT
    judges: tuple[ModelT, ...]
    data: MixtureData
    calibrates: Tensor

    @staticmethod
    def of(model: ModelT, trained: Members, data: MixtureData, calibrates: Tensor) -> JudgedEnsemble[ModelT]:
        """Return the model beside its judges.

        Args:
            model: The ensemble.
            trained: Its members, and those of the judges one after the other.
            data: The rows that it has learnt from.
            calibrates: A judge x `n`, bool.
        """
        count = len(model.members)
        judges = []
        for number, hidden in enumerate(calibrates, 1):
            members = trained[number * count : (number + 1) * count]
            nothing = torch.zeros(int((~hidden).sum()), dtype=torch.bool)
            domain = Domain.fit(data.table, model.features, data.batch[~hidden], nothing)
            domain = replace(domain, threshold=model.domain.threshold)
            judges.append(replace(model, members=members, domain=domain))
        return JudgedEnsemble(model, tuple(judges), data, calibrates)

    def calibrated(self) -> ModelT:
        """Return the ensemble with its calibration."""
        return replace(self.model, calibration=self.calibration())

    def calibration(self) -> Calibration:
        """Return what makes the variances and the interval of the ensemble true."""
        unseen = self.unseen(lambda judge, rows: judge)
        said = unseen.said
        return fit_calibration(unseen.target, said.mean, said.epistemic, said.aleatoric, unseen.zone)

    def unseen(self, stands_on: Callable[[ModelT, Tensor], Model]) -> Unseen:
        """Return what models that stand on the judges say of the rows that each judge has not seen.

        Args:
            stands_on: Returns a model on a judge, learnt from no other than the given rows.
        """
        found = []
        for judge, hidden in zip(self.judges, self.calibrates, strict=True):
            rows, batch = (~hidden).nonzero()[:, 0], self.data.batch[hidden]
            said = stands_on(judge, rows).bind(self.data.table).predict(batch)
            zone = judge.domain.bind(self.data.table, judge.features).zones(batch)
            found.append(Unseen(self.data.target[hidden], said, zone))
        return Unseen(
            torch.cat([part.target for part in found]),
            together([part.said for part in found]),
            torch.cat([part.zone for part in found]),
        )


AnyJudgedEnsemble = JudgedEnsemble[MixtureEnsemble] | JudgedEnsemble[LawEnsemble]
