"""A law ensemble bound to a molecule table: what each species and each pair says, and the heads."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from surrogates.batches import MixtureBatch, MixtureProduct
from surrogates.domain import BoundDomain
from surrogates.encoders.molsets_stacked import bounded_variance
from surrogates.members import Members
from surrogates.prediction import Calibration, Prediction, of_members
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

    def double(self) -> LawPredictor:
        """Return the same predictor in float64, as gradients that are compared or followed need it."""
        return replace(
            self, laws=self.laws.double(), species=self.species.double(), pairs=self.pairs.double()
        )

    def member_outputs(self, batch: MixtureBatch | MixtureProduct) -> tuple[Tensor, Tensor]:
        """Return each member's mean and variance, uncalibrated, each `K x n`, in the target's unit.

        Gradients pass through fractions, molality and temperature of a `MixtureBatch`.
        """
        mean, log_variance = self.outputs(batch).unbind(1)
        return self.shift + self.scale * mean, self.scale**2 * bounded_variance(log_variance)

    def check_takes(self, batch: MixtureBatch | MixtureProduct) -> None:
        """Do nothing: the networks can be asked about any mixtures."""

    def outputs(self, batch: MixtureBatch | MixtureProduct) -> Tensor:
        """Return each member's mean and unbounded log variances, standardised, `K x h x n`."""
        if isinstance(batch, MixtureProduct):
            batch = batch.expand()
        outputs: Tensor = self.laws.each("outputs", mine=(self.mixed(batch),))
        return outputs

    def mixed(self, batch: MixtureBatch) -> Tensor:
        """Return what `pool` does, `K x n x (2 p + 1)`, by the few species of each mixture, not by all."""
        batch = batch.to(self.species.dtype)
        used = self.speciation.used_slots(batch)
        species, x = (part[:, used] for part in self.speciation.slots(batch))
        a, b = torch.triu_indices(len(used), len(used))
        twice = torch.where(a == b, 1.0, 2.0).to(x)
        parts = (
            _summed(self.species, species, x),
            _summed(self.pairs, self.place[species[:, a], species[:, b]], twice * x[:, a] * x[:, b]),
            batch.temperature_K[:, None, None].expand(-1, len(self.species), 1),
        )
        return torch.cat(parts, dim=-1).transpose(0, 1)

    def predict(self, batch: MixtureBatch | MixtureProduct) -> Prediction:
        """Return the prediction for each mixture of the batch, in its order, in the dtype of the tensors."""
        with torch.no_grad():
            mean, variance = self.member_outputs(batch)
            return of_members(mean, variance, self.calibration, self.domain.zones(batch))


def _summed(of_members: Tensor, rows: Tensor, shares: Tensor) -> Tensor:
    """Return the sum over `s` rows of each mixture, weighted, `n x K x p`, all members at once.

    Args:
        of_members: `K x r x p`.
        rows: `n x s`, int64, which of the `r`.
        shares: `n x s`, the weights.
    """
    together = of_members.transpose(0, 1)  # r x K x p
    summed: Tensor = embedding_bag(rows, together.flatten(1), mode="sum", per_sample_weights=shares)
    return summed.view(-1, *together.shape[1:])
