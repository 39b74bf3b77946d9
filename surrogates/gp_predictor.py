"""A Gaussian process bound to a molecule table: tensors only, light enough to be sent to workers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from surrogates.batches import MixtureBatch, MixtureProduct
from surrogates.encoders.molsets_stacked import condition_columns
from surrogates.ensemble_predictor import EnsemblePredictor
from surrogates.gaussian_process import GaussianProcess
from surrogates.prediction import BEYOND, Calibration, Prediction

if TYPE_CHECKING:  # it imports RDKit, which a worker of a screen with another encoder need not wait for
    from surrogates.law_predictor import LawPredictor

_ROWS = 2048
"""Mixtures of which the covariance with all centres is held at once: 50 MB with 3,000 centres."""
_PRINCIPAL = 10
"""Principal components of the descriptors that are told, of the solvents and of the salts."""


@dataclass(frozen=True)
class GPInputs:
    """What a Gaussian process is told of a mixture, each number of the order of 1.

    First `p` directions of what the members' encoders make of it, all side by side; then its columns
    (`columns_of`), standardised.

    Attributes:
        shift: `w`, mean over the training rows of what the members make of a mixture; `w` is `K e`.
        directions: `w x p`.
        column_shift: `r`, mean of the columns.
        column_scale: `r`, 1 / standard deviation; 0 of what never varies.
    """

    shift: Tensor
    directions: Tensor
    column_shift: Tensor
    column_scale: Tensor

    def of(self, mixed: Tensor, columns: Tensor) -> Tensor:
        """Return the inputs, `n x (p + r)`, float64.

        Args:
            mixed: `K x n x e`, what the members' encoders make of the mixtures.
            columns: `n x r`, see `columns_of`.
        """
        embedded = (side_by_side(mixed) - self.shift) @ self.directions
        return torch.cat([embedded, (columns - self.column_shift) * self.column_scale], dim=-1)


def side_by_side(mixed: Tensor) -> Tensor:
    """Return `n x K e`, float64, from `K x n x e`."""
    return mixed.transpose(0, 1).flatten(1).double()


def columns_of(features: Tensor, batch: MixtureBatch) -> Tensor:
    """Return descriptors of solvents and salts, molality and temperature, `n x r`, float64.

    Args:
        features: `u x width` of the molecules (`MoleculeFeatures.of`).
        batch: `n` mixtures.
    """
    features = features.double()
    some = min(_PRINCIPAL, features.shape[1] - 2)
    told = torch.cat([features[:, :some], features[:, -2:]], dim=1)  # the last are chain length and kind
    solvents = (batch.fractions().double().unsqueeze(-1) * told[batch.solvents]).sum(-2)
    salts = (batch.salt_shares().double().unsqueeze(-1) * features[batch.salts, :some]).sum(-2)
    conditions = condition_columns(batch.molality.double().sum(-1), batch.temperature_K.double())
    return torch.cat([solvents, salts, conditions], dim=-1)


@dataclass(frozen=True)
class GPPredictor:
    """A Gaussian process bound to a molecule table. Inside it all is float64.

    Attributes:
        encoder: The ensemble whose members embed mixtures, bound to the same table.
        features: `u x width`, of the molecules.
        inputs: From both to the inputs of the process.
        process: Of the standardised target.
        calibration: Of the interval; it leaves the variances as they are.
    """

    encoder: EnsemblePredictor | LawPredictor
    features: Tensor
    inputs: GPInputs
    process: GaussianProcess
    calibration: Calibration

    @property
    def target(self) -> str:
        """Name of the target with its unit."""
        return self.encoder.target

    def double(self) -> GPPredictor:
        """Return the same predictor with its encoder in float64, for gradients to be followed and checked."""
        return replace(self, encoder=self.encoder.double())

    def inputs_of(self, batch: MixtureBatch) -> Tensor:
        """Return the inputs of the process, `n x d`, float64; gradients reach fractions and conditions."""
        return self.inputs.of(self.encoder.mixed(batch), columns_of(self.features, batch))

    def with_process(self, process: GaussianProcess) -> GPPredictor:
        """Return the same predictor with another process."""
        return replace(self, process=process)

    def location(self, batch: MixtureBatch) -> tuple[Tensor, Tensor]:
        """Return what the process is added to and multiplied with, `n` each, float64."""
        ones = torch.ones(len(batch), dtype=torch.float64)
        return self.encoder.shift * ones, self.encoder.scale * ones

    def standardised(self, batch: MixtureBatch, target: Tensor) -> Tensor:
        """Return measurements of mixtures as the process has them, `n`, float64."""
        shift, scale = self.location(batch)
        return (target.double() - shift) / scale

    def member_outputs(self, batch: MixtureBatch) -> tuple[Tensor, Tensor]:
        """Return mean and noise as a single member says them, each `1 x n`, in the target's unit, float64.

        Gradients pass through fractions, molality and temperature.
        """
        mean, _ = self.process.mean_and_variance(self.inputs_of(batch))
        scale = self.encoder.scale
        noise = (scale**2 * self.process.noise).expand_as(mean)
        return (self.encoder.shift + scale * mean).unsqueeze(0), noise.unsqueeze(0)

    def predict(self, batch: MixtureBatch | MixtureProduct) -> Prediction:
        """Return the prediction for each mixture of the batch, in its order, in the dtype of the encoder.

        Raises:
            InputError: If the encoder cannot be asked about a mixture.
        """
        self.encoder.check_takes(batch)
        zone = self.encoder.domain.zones(batch)
        if isinstance(batch, MixtureProduct):
            batch = batch.expand()
        with torch.no_grad():
            each = [
                self.process.mean_and_variance(self.inputs_of(batch[start : start + _ROWS]))
                for start in range(0, len(batch), _ROWS)
            ]
        mean, variance = (torch.cat(parts) for parts in zip(*each, strict=True))
        scale, dtype = self.encoder.scale, self._dtype()
        noise = (scale**2 * self.process.noise).expand(len(batch))
        return Prediction(
            (self.encoder.shift + scale * mean).to(dtype),
            (scale**2 * variance).to(dtype),
            noise.to(dtype),
            zone < BEYOND,
            self.calibration.factors(zone),
        )

    def _dtype(self) -> torch.dtype:
        encoder = self.encoder
        return encoder.embedding.dtype if isinstance(encoder, EnsemblePredictor) else encoder.species.dtype
