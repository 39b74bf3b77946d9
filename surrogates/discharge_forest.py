"""The baseline that a model of capacities has to beat: extremely randomised trees on amounts of elements."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.model_selection import GroupKFold
from torch import Tensor

from surrogates.calibration import fit_calibration
from surrogates.discharge_gp import capacities_of, condition_columns
from surrogates.discharge_profiles import ProfileData
from surrogates.forest import FOLDS, TREES, Inputs, mean_and_variance
from surrogates.prediction import LEAST_VARIANCE, Calibration


@dataclass(frozen=True)
class CapacityForest:
    """A fitted forest of the capacity [mAh/g].

    Attributes:
        trees: Fitted to all training rows.
        noise: Mean squared error in cross-validation, (mAh/g)^2.
        calibration: Of the variance between trees and the noise, in cross-validation.
    """

    trees: ExtraTreesRegressor
    noise: float
    calibration: Calibration

    @staticmethod
    def fit(data: ProfileData, rows: Tensor, seed: int) -> CapacityForest:
        """Return the forest fitted to some profiles.

        Folds of the cross-validation hold whole compositions, or single profiles of one composition.

        Args:
            data: Discharge profiles.
            rows: `r`, int64, at least 2, the rows to train on.
            seed: Of trees and folds.

        Source: Geurts et al., Mach. Learn. 63, 3 (2006).
        """
        inputs, target = capacity_inputs(data, rows), capacities_of(data)[rows].numpy()
        groups = data.composition[rows].numpy()
        if not np.ptp(groups):
            groups = np.arange(len(rows))
        folds = GroupKFold(min(FOLDS, len(np.unique(groups))), shuffle=True, random_state=seed)
        mean, spread = np.empty(len(rows)), np.empty(len(rows))
        for train, held in folds.split(inputs, groups=groups):
            fold = _trees(TREES // FOLDS, seed).fit(inputs[train], target[train])
            mean[held], spread[held] = mean_and_variance(fold, inputs[held])
        noise = max(float(((target - mean) ** 2).mean()), LEAST_VARIANCE)
        return CapacityForest(
            trees=_trees(TREES, seed).fit(inputs, target),
            noise=noise,
            calibration=fit_calibration(target, mean, spread, np.full(len(rows), noise)),
        )

    def predict(self, data: ProfileData, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation of the capacity of some profiles, `r` each, float64, mAh/g.

        Args:
            data: The profiles that `fit` was given, or others of the same elements.
            rows: `r`, int64.
        """
        mean, spread = map(torch.from_numpy, mean_and_variance(self.trees, capacity_inputs(data, rows)))
        epistemic, aleatoric = self.calibration.apply(spread, torch.full_like(mean, self.noise))
        return mean, (epistemic + aleatoric).sqrt()


def capacity_inputs(data: ProfileData, rows: Tensor) -> Inputs:
    """Return the amount of each element for one anion, the share of fluorine, and the condition.

    Args:
        data: Discharge profiles of `u` cations.
        rows: `r`, int64.

    Returns:
        `r x (u + 5)`; for the condition see `condition_columns`.
    """
    batch = data.batch[data.composition[rows]]
    amounts = torch.zeros(len(rows), len(data.table), dtype=torch.float64)
    amounts.scatter_add_(1, batch.cations, batch.weights.double())
    fluorine = batch.fluorine.double()[:, None]
    return torch.cat([amounts, fluorine, condition_columns(data.conditions[rows])], dim=1).numpy()


def _trees(number: int, seed: int) -> ExtraTreesRegressor:
    return ExtraTreesRegressor(number, max_features=1.0, random_state=seed)
