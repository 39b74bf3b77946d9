"""What a fitted model says of mixtures, and what it must offer to be asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from surrogates.batches import MixtureBatch, MixtureProduct
from surrogates.molecules import MoleculeTable


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
