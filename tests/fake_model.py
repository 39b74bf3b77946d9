"""A model simple enough to be checked by hand, for tests of what stands on models."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from surrogates.batches import MixtureBatch, MixtureProduct
from surrogates.molecules import MoleculeTable
from surrogates.prediction import Prediction


@dataclass(frozen=True)
class FakePredictor:
    """Its mean is linear in the fractions and falls with the salt's mass and the molality.

    Attributes:
        log_molar_mass: `u`, of the molecule table.
        gate: Directory from which each call takes a file away, and waits for one; None: no waiting.
        broken: Molality above which the mean is NaN.
    """

    log_molar_mass: Tensor
    gate: Path | None = None
    broken: float = float("inf")
    target: str = "log10_conductivity_S_cm"

    def predict(self, batch: MixtureBatch | MixtureProduct) -> Prediction:
        if self.gate is not None:
            _pass(self.gate)
        if isinstance(batch, MixtureProduct):
            batch = batch.expand()
        solvent = (batch.weights * self.log_molar_mass[batch.solvents]).sum(-1)
        salt = self.log_molar_mass[batch.salts[:, 0]]
        mean = torch.sin(7 * solvent) - 0.5 * salt - 0.25 * batch.molality[:, 0]
        return Prediction(
            mean=mean.masked_fill(batch.molality[:, 0] > self.broken, float("nan")),
            epistemic=(solvent - 2) ** 2 + 0.01,
            aleatoric=torch.full_like(mean, 0.04),
            in_domain=solvent < 2,
            interval_factor=torch.full_like(mean, 1.5),
        )


@dataclass(frozen=True)
class FakeModel:
    """What `load_model` would give; `settings` go to the predictor."""

    gate: Path | None = None
    broken: float = float("inf")

    def bind(self, table: MoleculeTable) -> FakePredictor:
        return FakePredictor(table.log_molar_mass, self.gate, self.broken)


def _pass(gate: Path) -> None:
    while True:
        for ticket in gate.iterdir():
            try:
                ticket.unlink()
            except FileNotFoundError:  # another process took it
                continue
            return
        time.sleep(0.02)
