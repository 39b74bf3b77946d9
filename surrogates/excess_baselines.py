"""What DiffMix has to beat on excess properties: fingerprints one after the other, and a forest."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from sklearn.ensemble import ExtraTreesRegressor
from torch import Tensor
from torch.nn.functional import softplus

from surrogates.calibration import fit_calibration
from surrogates.descriptors import molecule_descriptors
from surrogates.encoders.fingerprint import FingerprintSettings, MixFingerprint, morgan_fingerprints
from surrogates.excess_data import ExcessData
from surrogates.excess_training import both_fractions, learn, scale_of
from surrogates.forest import Inputs
from surrogates.members import Members
from surrogates.prediction import LEAST_VARIANCE, UNCALIBRATED, Calibration
from surrogates.training import TrainingSettings

TREES = 200
_BITS = 256
_TRAINING = TrainingSettings(epochs=300, batch_size=64, learning_rate=3e-3, weight_decay=1e-4)


@dataclass(frozen=True)
class FingerprintExcess:
    """An ensemble of `MixFingerprint`, linear in temperature as the Redlich-Kister coefficients are.

    Attributes:
        members: The networks; what they say is in units of `scale`.
        calibration: What makes the variances and the interval true.
        scale: Standard deviation of the target in training.
    """

    members: Members
    calibration: Calibration
    scale: float

    @staticmethod
    def fit(data: ExcessData, train: Tensor, validate: Tensor, members: int, seed: int) -> FingerprintExcess:
        """Return the ensemble fitted to some rows, stopped and calibrated on others."""
        known = data.take(torch.cat([train, validate]))
        torch.manual_seed(seed)
        shape = FingerprintSettings(slots=2, bits=_BITS, targets=3)
        networks = [MixFingerprint(shape) for _ in range(members)]
        fingerprints, x = morgan_fingerprints(known.table, _BITS), both_fractions(known).float()
        t = _standard(known.temperature_K)

        def said(members: Members, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            out = members.each("forward", fingerprints, known.molecules[rows], x[rows])
            return *_mean_and_variance(out, t[rows]), torch.zeros(len(members))

        scale = scale_of(known, len(train))
        trained = learn(networks, said, known.target / scale, len(train), _TRAINING, seed)
        ensemble = FingerprintExcess(trained, UNCALIBRATED, scale)
        held = data.take(validate)
        calibration = fit_calibration(held.target, *ensemble._parts(held))
        return replace(ensemble, calibration=calibration)

    def predict(self, data: ExcessData) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation of measurements, `n` each, in the target's unit.

        They depend on the order of components.
        """
        mean, epistemic, aleatoric = self._parts(data)
        both = self.calibration.apply(epistemic, aleatoric)
        return mean, (both[0] + both[1]).sqrt()

    def _parts(self, data: ExcessData) -> tuple[Tensor, Tensor, Tensor]:
        with torch.no_grad():
            fingerprints, x = morgan_fingerprints(data.table, _BITS), both_fractions(data).float()
            out = self.members.each("forward", fingerprints, data.molecules, x).double()
            mean, variance = _mean_and_variance(out, _standard(data.temperature_K).double())
        unit = self.scale**2
        return mean.mean(0) * self.scale, mean.var(0) * unit, variance.mean(0) * unit


def _standard(temperature_K: Tensor) -> Tensor:
    return ((temperature_K - 298.15) / 50).float()


def _mean_and_variance(out: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    return out[..., 0] + out[..., 1] * t, softplus(out[..., 2] - 3).square() + 1e-8


@dataclass(frozen=True)
class ExcessForest:
    """Extremely randomised trees on the descriptors of both molecules, mole fraction and temperature.

    They learn from each row in both orders and say the mean of both, so that the order does not matter.

    Attributes:
        columns: Which of the inputs varied in the training rows.
        trees: Fitted to the training rows.
        noise: Mean squared error [target's unit squared] on the rows that calibrate.
        calibration: Of the variance between trees and the noise.
    """

    columns: np.ndarray
    trees: ExtraTreesRegressor
    noise: float
    calibration: Calibration

    @staticmethod
    def fit(data: ExcessData, train: Tensor, validate: Tensor, seed: int) -> ExcessForest:
        """Return the forest fitted to some rows and calibrated on others."""
        known = data.take(train)
        inputs = np.concatenate([_inputs(known), _inputs(known.exchanged())])
        columns = np.ptp(inputs, axis=0) > 0
        trees = ExtraTreesRegressor(TREES, max_features=0.3, random_state=seed)
        trees.fit(inputs[:, columns], np.tile(known.target.numpy(), 2))
        forest = ExcessForest(columns, trees, 0.0, UNCALIBRATED)
        held = data.take(validate)
        mean, spread = forest._mean_and_variance(held)
        noise = max(float(((held.target.numpy() - mean) ** 2).mean()), LEAST_VARIANCE)
        calibration = fit_calibration(held.target, mean, spread, np.full(len(mean), noise))
        return replace(forest, noise=noise, calibration=calibration)

    def predict(self, data: ExcessData) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation of measurements, `n` each, in the target's unit."""
        mean, spread = map(torch.from_numpy, self._mean_and_variance(data))
        epistemic, aleatoric = self.calibration.apply(spread, torch.full_like(mean, self.noise))
        return mean, (epistemic + aleatoric).sqrt()

    def _mean_and_variance(self, data: ExcessData) -> tuple[Inputs, Inputs]:
        both = (_inputs(data)[:, self.columns], _inputs(data.exchanged())[:, self.columns])
        each = np.stack([sum(tree.predict(inputs) for inputs in both) / 2 for tree in self.trees.estimators_])
        return each.mean(axis=0), each.var(axis=0)


def _inputs(data: ExcessData) -> Inputs:
    values = molecule_descriptors(data.table).values.numpy()
    first, second = data.molecules.numpy().T
    conditions = np.stack([data.x.numpy(), data.temperature_K.numpy()], axis=1)
    return np.concatenate([values[first], values[second], conditions], axis=1)
