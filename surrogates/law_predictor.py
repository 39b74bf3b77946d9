"""A law ensemble bound to a molecule table: what each species and each pair says, and the heads."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from surrogates.batches import MixtureBatch, MixtureProduct
from surrogates.domain import BoundDomain
from surrogates.encoders.mixture_law import pool
from surrogates.members import Members
from surrogates.prediction import Calibration, Prediction
from surrogates.species import Speciation


@dataclass(frozen=True)
class LawPredictor:
    """A law ensemble bound to a molecule table.

    Attributes:
        laws: The `K` members' heads, each a `MixtureLaw`.
        species: `K x u x p`, what each member says of each species.
        pairs: `K x r x p`, of each of the pairs `place` numbers.
        place: `u x u`, int64, the number of each pair of species, symmetric.
        speciation: How mixtures fall into species.
        domain: Bound to the same table.
        calibration: What makes the variances and the interval true.
        target: Name of the target with its unit.
        shift: Mean of the target in training.
        scale: Standard deviation of the target in training.
    """

    laws: Members
    species: Tensor
    pairs: Tensor
    place: Tensor
    speciation: Speciation
    domain: BoundDomain
    calibration: Calibration
    target: str
    shift: float
    scale: float

    @property
    def interval_factor(self) -> float:
        """Standard deviations on either side of the mean that hold 90 % of measurements."""
        return self.calibration.interval_factor

    def double(self) -> LawPredictor:
        """Return the same predictor in float64, as gradients that are compared or followed need it."""
        return replace(
            self, laws=self.laws.double(), species=self.species.double(), pairs=self.pairs.double()
        )

    def member_outputs(self, batch: MixtureBatch | MixtureProduct) -> tuple[Tensor, Tensor]:
        """Return each member's mean and variance, uncalibrated, each `K x n`, in the target's unit.

        Gradients pass through fractions, molality and temperature of a `MixtureBatch`.
        """
        if isinstance(batch, MixtureProduct):
            batch = batch.expand()
        mixtures = self.speciation.split(batch.to(self.species.dtype))
        pairs = self.pairs[:, self.place[mixtures.pairs[0], mixtures.pairs[1]]]
        mixed = torch.stack([pool(mixtures, *parts) for parts in zip(self.species, pairs, strict=True)])
        mean, variance = self.laws.each("forward", mine=(mixed,))
        return self.shift + self.scale * mean, self.scale**2 * variance

    def predict(self, batch: MixtureBatch | MixtureProduct) -> Prediction:
        """Return the prediction for each mixture of the batch, in its order, float32."""
        with torch.no_grad():
            mean, variance = self.member_outputs(batch)
            holds = self.domain.holds_product if isinstance(batch, MixtureProduct) else self.domain.holds
            together = mean.mean(0)
            differ = (mean - together).square().sum(0) / (len(mean) - 1)
            epistemic, aleatoric = self.calibration.apply(differ, variance.mean(0))
            return Prediction(together, epistemic, aleatoric, holds(batch))  # type: ignore[arg-type]
