"""A conductivity whose landscape is known: highest at one composition, and less by a square around it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from surrogates.batches import MixtureBatch
from surrogates.chemicals import resolve
from surrogates.molecules import Component, MoleculeTable
from surrogates.prediction import Calibration, Prediction

LIPF6 = Component.of(resolve("LiPF6"))
PEAK = (0.1, 0.6, 0.3)
HIGHEST = 20.0
CURVATURE = 4.0
APART = 0.02
CALIBRATION = Calibration(1.0, 1.0, 1.0, 1.5, "")


def solvents(*names: str) -> dict[str, Component]:
    return {name: Component.of(resolve(name)) for name in names}


@dataclass(frozen=True)
class FakePredictor:
    """Two members, each 0.02 from their mean in log10; its domain ends at half the first solvent by weight.

    Attributes:
        molar_mass: `u`, g/mol, float64, of the molecule table.
        target: As the landscape reads it.
    """

    molar_mass: Tensor
    target: str = "log10_conductivity_S_cm"
    calibration: Calibration = CALIBRATION

    def member_outputs(self, batch: MixtureBatch) -> tuple[Tensor, Tensor]:
        moles = batch.weights / self.molar_mass[batch.solvents]
        x = moles / moles.sum(-1, keepdim=True)
        away = (x - x.new_tensor(PEAK)).square().sum(-1)
        log = torch.log10(x.new_tensor(HIGHEST)) - 3 - CURVATURE * away + (batch.temperature_K - 300) / 1000
        return torch.stack([log - APART, log + APART]), torch.full((2, len(batch)), 0.0025).to(log)

    def predict(self, batch: MixtureBatch) -> Prediction:
        mean, variance = self.member_outputs(batch)
        return Prediction(
            mean.mean(0), mean.var(0), variance.mean(0), batch.weights[:, 0] < 0.5, self._factors(batch)
        )

    def _factors(self, batch: MixtureBatch) -> Tensor:
        return torch.full((len(batch),), self.calibration.interval_factor)

    def double(self) -> FakePredictor:
        return self


@dataclass(frozen=True)
class FakeModel:
    """What `load_model` would give."""

    target: str = "log10_conductivity_S_cm"

    def bind(self, table: MoleculeTable) -> FakePredictor:
        mass = torch.tensor([part.molar_mass for part in table.components], dtype=torch.float64)
        return FakePredictor(mass, self.target)
