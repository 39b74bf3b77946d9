"""What a screen may ask of cathodes, and a discharge model that answers it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from surrogates.composition_batches import CompositionBatch, CompositionTable, Conditions
from surrogates.conditions import outside
from surrogates.discharge import Discharge, deviations, discharge, embed_compositions
from surrogates.discharge_domain import DischargeDomain
from surrogates.members import Members
from surrogates.prediction import JointPrediction, JointPredictor, Prediction

if TYPE_CHECKING:  # a worker of a screen reads no model directory
    from surrogates.discharge_models import AnyDischargeModel

Quantity = Literal["capacity", "average_voltage", "energy_Wh_kg", "retention_30"]
COLUMNS: Mapping[Quantity, str] = MappingProxyType(
    {
        "capacity": "capacity_mAh_g",
        "average_voltage": "average_voltage_V",
        "energy_Wh_kg": "energy_Wh_kg",
        "retention_30": "retention_30",
    }
)
"""Names of the quantities with their units."""
RETAINED = 30
"""The cycle whose capacity over that of the first is `retention_30`."""


@dataclass(frozen=True)
class Objective:
    """A quantity of a discharge under a condition.

    Attributes:
        name: Of its columns, with its unit.
        quantity: Which; `retention_30` is the capacity in cycle 30 over that in cycle 1.
        rate_mA_g: mA/g.
        V_low: V.
        V_high: V.
        cycle: Number of the cycle; 30 of `retention_30`.
    """

    name: str
    quantity: Quantity
    rate_mA_g: float
    V_low: float
    V_high: float
    cycle: float

    @property
    def condition(self) -> tuple[float, float, float, float]:
        """Rate, cycle and window, in the order of `Conditions.of`."""
        return self.rate_mA_g, self.cycle, self.V_low, self.V_high


class EmbeddedPredictor(JointPredictor, Protocol):
    """A predictor of cathodes that can be asked in two steps, of which the first is the costly one."""

    @property
    def freedom(self) -> float:
        """Degrees of freedom of its variances: members less one; infinitely many where none is a sample's."""

    def embed(self, batch: CompositionBatch) -> Tensor:
        """Return what each member makes of the compositions, `K x n x width`."""

    def says(self, embedding: Tensor, batch: CompositionBatch) -> Prediction:
        """Return the prediction of compositions that are embedded already, as `predict` does."""


@dataclass(frozen=True)
class DischargeObjectives:
    """A discharge model that is asked for some objectives; satisfies `Model`."""

    model: AnyDischargeModel
    objectives: tuple[Objective, ...]

    def bind(self, table: CompositionTable) -> EmbeddedPredictor:
        """Return the predictor for compositions of these elements.

        Raises:
            InputError: If the model cannot be asked for an objective.
        """
        return self.model.bind(table, self.objectives)

    def warnings(self) -> list[str]:
        """Return a sentence for each objective whose condition the model was not trained on."""
        rate, cycle, V_low, V_high = np.array([one.condition for one in self.objectives]).T
        values = {"rate_mA_g": rate, "V_low": V_low, "V_high": V_high, "cycle": cycle}
        notes = outside(values, self.model.card.domain.ranges)
        return [
            f"{one.name}: {note}, what {self.model.card.name} was trained on"
            for one, note in zip(self.objectives, notes, strict=True)
            if note
        ]


@dataclass(frozen=True)
class DischargePredictor:
    """A discharge model bound to the elements of a space.

    The epistemic variance is that over the members. There is no aleatoric one: the networks say nothing of
    the noise of a measurement, and its column is 0. So intervals hold 90 % of what such members may say, not
    of measurements, and no measurement has scaled them.

    Attributes:
        members: `K` networks of `DRXNet`.
        domain: What they know.
        table: The elements.
        objectives: What is asked, `o`.
    """

    members: Members
    domain: DischargeDomain
    table: CompositionTable
    objectives: tuple[Objective, ...]

    @property
    def target(self) -> str:
        """Names of the objectives."""
        return ", ".join(one.name for one in self.objectives)

    @property
    def freedom(self) -> float:
        """Degrees of freedom of a variance over the members."""
        return len(self.members) - 1

    def predict(self, batch: CompositionBatch) -> Prediction:
        """Return the prediction for each composition, `n x o`, float32, each in its objective's unit."""
        return self.says(self.embed(batch), batch)

    def embed(self, batch: CompositionBatch) -> Tensor:
        """Return each member's vector of each composition, `K x n x width`."""
        return embed_compositions(self.members, self.table, batch)

    def says(self, embedding: Tensor, batch: CompositionBatch) -> Prediction:
        """Return the same of compositions that are embedded already."""
        with torch.no_grad():
            mean, apart = self._deviations(embedding)
            in_domain = self.domain.holds(self.members, self.table, batch, embedding)
            factor = torch.full((len(mean),), NormalDist().inv_cdf(0.95))
            return Prediction(mean, apart.square().sum(0), torch.zeros_like(mean), in_domain, factor)

    def jointly(self, batch: CompositionBatch) -> JointPrediction:
        """Return what the members say of the compositions together, with their covariance."""
        with torch.no_grad():
            mean, apart = self._deviations(self.embed(batch))
            return JointPrediction(mean.double(), apart.double())

    def _deviations(self, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean, `n x o`, and the deviations of members, `K x n x o`, of each objective."""
        result = discharge(self.members, embedding, Conditions.of(*zip(*self._conditions, strict=True)))
        each = [
            (mean[:, at], apart[..., at])
            for one in self.objectives
            for mean, apart in [_deviations(result, one.quantity)]
            for at in [self._conditions.index(one.condition)]
        ]
        mean, apart = (torch.stack(parts, dim=-1) for parts in zip(*each, strict=True))
        return mean, apart

    @cached_property
    def _conditions(self) -> list[tuple[float, float, float, float]]:
        """The distinct conditions of the objectives."""
        return list(dict.fromkeys(one.condition for one in self.objectives))


def _deviations(result: Discharge, quantity: Quantity) -> tuple[Tensor, Tensor]:
    """Return the mean over members, `n x c`, and how far each is from it, `K x n x c`."""
    if quantity == "average_voltage":
        return result.voltage_deviations()
    if quantity == "retention_30":
        return result.retention_deviations()
    return deviations(result.capacity_mAh_g if quantity == "capacity" else result.energy_Wh_kg)
