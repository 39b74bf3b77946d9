"""One network that says what an ensemble says: its mean, and either part of its variance.

Source: ensemble knowledge distillation after Gong et al., Nat. Mach. Intell. (BAMBOO, 2025).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, Self

import torch
from torch import Tensor

from surrogates.batches import MixtureBatch, MixtureProduct
from surrogates.domain import BoundDomain
from surrogates.encoders.molsets_stacked import LOG_VARIANCE
from surrogates.prediction import Calibration, Prediction

if TYPE_CHECKING:  # a worker of a screen needs the bound student, not what bound it
    from surrogates.domain import Domain
    from surrogates.ensemble import MixtureEnsemble
    from surrogates.features import MoleculeFeatures
    from surrogates.law_ensemble import LawEnsemble
    from surrogates.molecules import MoleculeTable

VARIANCES = 2
"""That a student says, noise first; an ensemble's members say their noise only."""
LOG_DOUBT = (-14.0, LOG_VARIANCE[1])
"""Range of the standardised epistemic log variance: members that agree to 0.1 % of the spread agree."""


class HeadPredictor(Protocol):
    """Networks bound to a table, whose heads can be asked. See `EnsemblePredictor` and `LawPredictor`."""

    @property
    def domain(self) -> BoundDomain: ...

    @property
    def calibration(self) -> Calibration: ...

    @property
    def target(self) -> str: ...

    @property
    def shift(self) -> float: ...

    @property
    def scale(self) -> float: ...

    def check_takes(self, batch: MixtureBatch | MixtureProduct) -> None:
        """Raise an `InputError` if the networks cannot be asked about mixtures."""

    def outputs(self, batch: MixtureBatch | MixtureProduct) -> Tensor:
        """Return each network's mean and unbounded log variances, standardised, `K x h x n`."""

    def double(self) -> Self:
        """Return the same predictor in float64."""


@dataclass(frozen=True)
class StudentPredictor:
    """A student bound to a molecule table.

    Attributes:
        network: One network with a head for the mean, one for noise, one for doubt. Its domain and its
            calibration are those of the ensemble.
    """

    network: HeadPredictor

    @property
    def target(self) -> str:
        """Name of the target with its unit."""
        return self.network.target

    @property
    def interval_factor(self) -> float:
        """Standard deviations on either side of the mean that hold 90 % of measurements."""
        return self.network.calibration.interval_factor

    def double(self) -> StudentPredictor:
        """Return the same predictor in float64, as gradients that are compared or followed need it."""
        return replace(self, network=self.network.double())

    def marginals(self, batch: MixtureBatch | MixtureProduct) -> tuple[Tensor, Tensor, Tensor]:
        """Return mean and calibrated epistemic and aleatoric variance, each `n`, in the target's unit.

        Gradients pass through fractions, molality and temperature of a `MixtureBatch`.
        """
        of = self.network
        mean, noise, doubt = of.outputs(batch)[0]
        epistemic, aleatoric = of.calibration.apply(
            of.scale**2 * doubt.clamp(*LOG_DOUBT).exp(), of.scale**2 * noise.clamp(*LOG_VARIANCE).exp()
        )
        return of.shift + of.scale * mean, epistemic, aleatoric

    def predict(self, batch: MixtureBatch | MixtureProduct) -> Prediction:
        """Return the prediction for each mixture of the batch, in its order, in the dtype of the tensors.

        Raises:
            InputError: If a mixture has no salt or more than one and the ensemble is of MolSets.
        """
        self.network.check_takes(batch)
        with torch.no_grad():
            return Prediction(*self.marginals(batch), self.network.domain.tells(batch))


@dataclass(frozen=True)
class Student:
    """What has learnt what an ensemble says, for mixtures of any molecules.

    Attributes:
        network: An ensemble of one network with a second variance, with the ensemble's domain, features
            and calibration.
    """

    network: MixtureEnsemble | LawEnsemble

    @property
    def target(self) -> str:
        """Name of the target with its unit."""
        return self.network.target

    @property
    def domain(self) -> Domain:
        """What is near enough to the ensemble's training data."""
        return self.network.domain

    @property
    def features(self) -> MoleculeFeatures:
        """Of molecules, by which the domain is judged."""
        return self.network.features

    def bind(self, table: MoleculeTable) -> StudentPredictor:
        """Return the predictor for mixtures of these molecules; each is embedded once, here."""
        return StudentPredictor(self.network.bind(table))
