"""A space of cathodes with a model simple enough to be checked by hand, in a screen for two objectives."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from activelearn.composition_spaces import CompositionSpace
from surrogates.composition_batches import CompositionBatch, CompositionTable
from surrogates.prediction import Prediction

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
