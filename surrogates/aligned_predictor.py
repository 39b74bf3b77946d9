"""An aligned model bound to a molecule table; light enough to be sent to the workers of a screen."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from surrogates.alignment import Alignment
from surrogates.batches import MixtureBatch, MixtureProduct
from surrogates.ensemble_predictor import EnsemblePredictor
from surrogates.laboratories import Compared
from surrogates.law_predictor import LawPredictor
from surrogates.prediction import LEAST_VARIANCE, Calibration, Prediction


@dataclass(frozen=True)
class Places:
    """Where mixtures of the molecules of a table stand among those that a model was trained on.

    Attributes:
        solvents: `u x width`, scaled features of each molecule as a solvent, in thresholds of the domain.
        salts: `u x width`, as a salt.
    """

    solvents: Tensor
    salts: Tensor

    def points(self, batch: MixtureBatch) -> Tensor:
        """Return the points of mixtures as `Compared` has them; gradients pass."""
        batch = batch.to(torch.float64)
        solvents = (batch.fractions()[..., None] * self.solvents[batch.solvents]).sum(-2)
        salts = (batch.salt_shares()[..., None] * self.salts[batch.salts]).sum(-2)
        conditions = torch.stack([batch.molality.sum(-1), 1000 / batch.temperature_K], dim=-1)
        return torch.cat([solvents, salts, conditions], dim=-1)


@dataclass(frozen=True)
class AlignedPredictor:
    """An aligned model bound to a molecule table.

    Attributes:
        base: The model as it was trained, bound to the same table.
        alignment: The correction.
        places: Of the molecules of the table.
    """

    base: EnsemblePredictor | LawPredictor
    alignment: Alignment
    places: Places

    @property
    def target(self) -> str:
        """Name of the target with its unit."""
        return self.base.target

    @property
    def calibration(self) -> Calibration:
        """Changes nothing: what the members say here is calibrated."""
        return Calibration(1.0, 1.0, 1.0, self.alignment.interval_factor, "")

    def double(self) -> AlignedPredictor:
        """Return the same predictor in float64; the correction is always computed in it."""
        return replace(self, base=self.base.double())

    def predict(self, batch: MixtureBatch | MixtureProduct) -> Prediction:
        """Return the prediction for each mixture of the batch, in its order, in the dtype of the tensors."""
        said = self.base.predict(batch)
        with torch.no_grad():
            mean, epistemic, aleatoric = self._corrected(batch, said.mean, said.epistemic, said.aleatoric)
        factor = torch.full(mean.shape, self.alignment.interval_factor)
        return Prediction(mean, epistemic, aleatoric, said.in_domain, factor)

    def member_outputs(self, batch: MixtureBatch | MixtureProduct) -> tuple[Tensor, Tensor]:
        """Return each member's corrected mean and calibrated variance, each `K x n`.

        The correction moves all members alike; what it does not know draws them apart.
        """
        means, variances = self.base.member_outputs(batch)
        mean = means.mean(0)
        apart = means - mean
        differ = apart.square().sum(0) / (len(means) - 1)
        calibrated = self.base.calibration.apply(differ, variances.mean(0))
        corrected, epistemic, aleatoric = self._corrected(batch, mean, *calibrated)
        stretch = (epistemic / differ.clamp_min(LEAST_VARIANCE)).sqrt()
        return corrected + stretch * apart, aleatoric.expand(len(means), -1)

    def _corrected(
        self, batch: MixtureBatch | MixtureProduct, mean: Tensor, epistemic: Tensor, aleatoric: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return mean, epistemic and aleatoric variance after the correction, in the dtype they came in."""
        if isinstance(batch, MixtureProduct):
            batch = batch.expand()
        parts = (part.double() for part in (mean, epistemic, aleatoric))
        rows = compared(self.base, self.places, batch, *parts)
        shift, unsure = self.alignment.correction(rows)
        epistemic = self.alignment.scattered(epistemic.double(), is_aleatoric=False) + unsure
        aleatoric = self.alignment.scattered(aleatoric.double(), is_aleatoric=True)
        return (mean + shift).to(mean.dtype), epistemic.to(mean.dtype), aleatoric.to(mean.dtype)


def compared(
    base: EnsemblePredictor | LawPredictor,
    places: Places,
    batch: MixtureBatch,
    mean: Tensor,
    epistemic: Tensor,
    aleatoric: Tensor,
    measured: Tensor | None = None,
) -> Compared:
    """Return the rows as an alignment takes them.

    Args:
        base: The model that said it.
        places: Of the molecules that `batch` points into.
        batch: `n` mixtures.
        mean: `n`, what the model says of them.
        epistemic: `n`.
        aleatoric: `n`.
        measured: `n`, if they were measured.
    """
    difference = torch.empty(0, dtype=torch.float64) if measured is None else measured - mean
    return Compared(
        z=(mean - base.shift) / base.scale,
        std=(epistemic + aleatoric).sqrt(),
        points=places.points(batch),
        difference=difference,
    )
