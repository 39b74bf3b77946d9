"""An ensemble bound to a molecule table: tensors only, light enough to be sent to the workers of a screen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from surrogates.batches import MixtureBatch, MixtureProduct, check_one_salt
from surrogates.domain import BoundDomain
from surrogates.encoders.molsets_stacked import bounded_variance, head, mix, product_outputs
from surrogates.prediction import Calibration, Prediction, of_members


@dataclass(frozen=True)
class EnsemblePredictor:
    """An ensemble bound to a molecule table.

    Attributes:
        state: Parameters and buffers of the `K` members, each `K x ...` (`Members.state`).
        embedding: `K x u x d`, each member's embedding of each molecule.
        domain: Bound to the same table.
        calibration: What makes the variances and the interval true.
        target: Name of the target with its unit.
        shift: Mean of the target in training.
        scale: Standard deviation of the target in training.
    """

    state: Mapping[str, Tensor]
    embedding: Tensor
    domain: BoundDomain
    calibration: Calibration
    target: str
    shift: float
    scale: float

    def member_outputs(self, batch: MixtureBatch | MixtureProduct) -> tuple[Tensor, Tensor]:
        """Return each member's mean and variance, uncalibrated, each `K x n`, in the target's unit.

        Gradients pass through fractions, molality and temperature of a `MixtureBatch`. An optimiser may take
        molality to 0, which counts as next to nothing of the salt.

        Raises:
            InputError: If a mixture holds more than one salt.
        """
        mean, log_variance = self.outputs(batch).unbind(1)
        return self.shift + self.scale * mean, self.scale**2 * bounded_variance(log_variance)

    def check_takes(self, batch: MixtureBatch | MixtureProduct) -> None:
        """Check that the networks can be asked about mixtures.

        Raises:
            InputError: If a mixture holds no salt or more than one.
        """
        check_one_salt(batch.salt_counts())

    def outputs(self, batch: MixtureBatch | MixtureProduct) -> Tensor:
        """Return each member's mean and unbounded log variances, standardised, `K x h x n`."""
        if isinstance(batch, MixtureProduct):
            return product_outputs(self.state, self.embedding, batch)
        return head(self.state, self.mixed(batch))

    def mixed(self, batch: MixtureBatch) -> Tensor:
        """Return what enters each member's head, `K x n x e`, with gradients as `member_outputs` has them."""
        return mix(self.state, self.embedding, batch.to(self.embedding.dtype))

    def double(self) -> EnsemblePredictor:
        """Return the same predictor with float64 tensors, for gradients to be followed and checked.

        Molecules are embedded already, in the precision of training; from there on all is float64.
        """
        state = {
            name: tensor.double() if tensor.is_floating_point() else tensor
            for name, tensor in self.state.items()
        }
        return replace(self, state=state, embedding=self.embedding.double())

    def predict(self, batch: MixtureBatch | MixtureProduct) -> Prediction:
        """Return the prediction for each mixture of the batch, in its order, in the dtype of the tensors.

        Raises:
            InputError: If a mixture holds no salt or more than one.
        """
        self.check_takes(batch)
        with torch.no_grad():
            mean, variance = self.member_outputs(batch)
            return of_members(mean, variance, self.calibration, self.domain.zones(batch))
