"""What a fitted model says of mixtures, and what it must offer to be asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from torch import Tensor

from surrogates.batches import MixtureBatch, MixtureProduct

if TYPE_CHECKING:  # a worker of a screen needs no RDKit
    from surrogates.molecules import MoleculeTable


@dataclass(frozen=True)
class Calibration:
    """What a model's variances have to be multiplied by to be true on rows it did not train on.

    Attributes:
        epistemic_scale: Factor of the epistemic variance, from 0.01 to 100.
        aleatoric_scale: Factor of the aleatoric variance, from 0.01 to 100.
        interval_factor: Standard deviations, after scaling, on either side of the mean that hold 90 %.
        note: What could not be done, a sentence; empty if all was.
    """

    epistemic_scale: float
    aleatoric_scale: float
    interval_factor: float
    note: str

    def apply(self, epistemic: Tensor, aleatoric: Tensor) -> tuple[Tensor, Tensor]:
        """Return both variances scaled."""
        return self.epistemic_scale * epistemic, self.aleatoric_scale * aleatoric


@dataclass(frozen=True)
class Prediction:
    """Mean and variance of the target for `n` mixtures, float32 unless said.

    Attributes:
        mean: `n`, in the target's unit.
        epistemic: `n`, variance from what the model does not know, in the unit squared.
        aleatoric: `n`, variance from noise that more data would not remove, in the unit squared.
        in_domain: `n`, bool; whether the mixture is near enough to the training data.
    """

    mean: Tensor
    epistemic: Tensor
    aleatoric: Tensor
    in_domain: Tensor

    @property
    def std(self) -> Tensor:
        """Standard deviation of a measurement, `n`, in the target's unit."""
        return (self.epistemic + self.aleatoric).sqrt()


class Predictor(Protocol):
    """A model bound to one molecule table. It must pickle: a screen sends it to its workers."""

    @property
    def target(self) -> str:
        """Name of the target with its unit, e.g. `log10_conductivity_S_cm`."""

    @property
    def interval_factor(self) -> float:
        """Standard deviations on either side of the mean that hold 90 % of measurements."""

    def predict(self, batch: MixtureBatch | MixtureProduct) -> Prediction:
        """Return the prediction for each mixture of the batch, in its order."""


class Model(Protocol):
    """A fitted model, of any molecules."""

    def bind(self, table: MoleculeTable) -> Predictor:
        """Return the predictor for mixtures of these molecules; each is embedded once, here."""
