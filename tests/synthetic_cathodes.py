"""A space of cathodes with a model simple enough to be checked by hand, in a screen for two objectives."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from activelearn.chemical_constraints import CompositionVariables
from activelearn.composition_spaces import CompositionSpace
from surrogates.composition_batches import CompositionBatch, CompositionTable
from surrogates.prediction import JointPrediction, Prediction

SPACE = CompositionSpace(
    metals=("Mn2+", "Mn3+", "Cr3+", "V3+", "Ti4+", "Nb5+"),
    metals_per_composition=(3, 4),
    lithium=(1.2,),
    fluorine=(0.0, 0.1, 0.2),
    step=0.05,
)
"""2,131 candidates, three chunks."""
NAMES = ("capacity_mAh_g", "retention_30")


@dataclass(frozen=True)
class FakeCathodePredictor:
    """Two numbers that pull apart: what one metal raises the next one lowers.

    Attributes:
        elements: Number of the space's elements.
        broken: Fluorine per anion above which the second mean is NaN.
    """

    elements: int
    broken: float = float("inf")
    target: str = ", ".join(NAMES)

    def predict(self, batch: CompositionBatch) -> Prediction:
        one = torch.sin(torch.arange(1.0, 1 + self.elements))
        first = (batch.weights * one[batch.cations]).sum(-1)
        second = (batch.weights.square() * one.flip(0)[batch.cations]).sum(-1) + batch.fluorine
        mean = torch.stack([100 * first, second.masked_fill(batch.fluorine > self.broken, torch.nan)], -1)
        return Prediction(
            mean, mean.square(), torch.zeros_like(mean), first > 0.3, torch.full_like(first, 2.0)
        )


@dataclass(frozen=True)
class FakeCathodeModel:
    """What a discharge model with its objectives would be."""

    broken: float = float("inf")

    def bind(self, table: CompositionTable) -> FakeCathodePredictor:
        return FakeCathodePredictor(len(table.elements), self.broken)


@dataclass(frozen=True)
class FourMembers:
    """Four linear functions of the amounts for each objective; they know what holds little niobium."""

    table: CompositionTable
    objectives: int
    target: str = "two"

    def jointly(self, batch: CompositionBatch) -> JointPrediction:
        x = CompositionVariables(self.table.elements).rows(batch)[:, :-2]
        width = torch.tensor([sum(map(ord, element)) for element in self.table.elements]).double()
        k = torch.arange(4.0).double()[:, None, None] + torch.arange(self.objectives).double()[:, None] * 9
        each = torch.einsum("nu,kou->kno", x, torch.sin(k * width) + torch.cos(width * (1 + k[:1])))
        each = each * torch.tensor([100.0, 0.1])[: self.objectives]
        mean = each.mean(0)
        return JointPrediction(mean, (each - mean) / 3**0.5)

    def predict(self, batch: CompositionBatch) -> Prediction:
        said = self.jointly(batch)
        is_niobium = torch.tensor([element == "Nb" for element in self.table.elements])
        knows = (batch.weights * is_niobium[batch.cations]).sum(1) < 0.06
        variance = said.apart.square().sum(0)
        parts = (said.mean.float(), variance.float(), torch.zeros_like(variance).float())
        return Prediction(*parts, knows, torch.full((len(batch),), 1.645))


@dataclass(frozen=True)
class LinearMembers:
    """What a discharge model with so many objectives would be."""

    objectives: int = 2

    def bind(self, table: CompositionTable) -> FourMembers:
        return FourMembers(table, self.objectives)
