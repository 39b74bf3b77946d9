"""One network that says what an ensemble says: its mean, and either part of its variance.

Source: ensemble knowledge distillation after Gong et al., Nat. Mach. Intell. (BAMBOO, 2025).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, Self

import torch
from torch import Tensor

from surrogates.batches import MixtureBatch, MixtureProduct
from surrogates.domain import BoundDomain
from surrogates.encoders.molsets_stacked import LOG_VARIANCE
from surrogates.prediction import BEYOND, Calibration, Prediction

if TYPE_CHECKING:  # a worker of a screen needs the bound student, not what bound it
    from surrogates.domain import Domain
    from surrogates.ensemble import MixtureEnsemble
    from surrogates.features import MoleculeFeatures
    from surrogates.law_ensemble import LawEnsemble
    from surrogates.molecules import MoleculeTable
    from surrogates.student_card import TaughtSpace

VARIANCES = 2
"""That a student says, noise first; an ensemble's members say their noise only."""
LOG_DOUBT = (-14.0, LOG_VARIANCE[1])
"""Range of the standardised epistemic log variance: members that agree to 0.1 % of the spread agree."""


class HeadPredictor(Protocol):
    """Networks bound to a table, whose heads can be asked. See `EnsemblePredictor` and `LawPredictor`."""

    @property
    def domain(self) -> BoundDomain: ...

    @property
    def calibration(self) -> Calibration: ...

    @property
    def target(self) -> str: ...

    @property
    def shift(self) -> float: ...

    @property
    def scale(self) -> float: ...

    def check_takes(self, batch: MixtureBatch | MixtureProduct) -> None:
        """Raise an `InputError` if the networks cannot be asked about mixtures."""

    def outputs(self, batch: MixtureBatch | MixtureProduct) -> Tensor:
        """Return each network's mean and unbounded log variances, standardised, `K x h x n`."""

    def double(self) -> Self:
        """Return the same predictor in float64."""


_SLACK = 1e-4
"""Share by which an amount or a temperature may lie outside what was taught: float32 rounds."""


@dataclass(frozen=True)
class BoundSpace:
    """What a student was taught, bound to a table of `u` molecules: beyond it the ensemble was never asked.

    Attributes:
        solvents: `u`, bool, which were taught as a solvent.
        salts: `u`, bool, which as a salt.
        numbers: Numbers of solvents in a taught mixture, int64.
        fractions: Lowest and highest weight fraction of a solvent that is not alone.
        molality: Lowest and highest, mol/kg.
        temperature_K: Lowest and highest, K.
    """

    solvents: Tensor
    salts: Tensor
    numbers: Tensor
    fractions: tuple[float, float]
    molality: tuple[float, float]
    temperature_K: tuple[float, float]

    @staticmethod
    def of(space: TaughtSpace, table: MoleculeTable) -> BoundSpace:
        """Return a space bound to a table; a polymer is known whatever the length of its chain."""
        solvents, salts = (
            torch.tensor([one.smiles in {known.smiles for known in taught} for one in table.components])
            for taught in (space.solvents, space.salts)
        )
        molality, temperature_K = space.molality_mol_kg, space.temperature_K
        return BoundSpace(
            solvents,
            salts,
            torch.tensor(space.solvents_per_mixture),
            space.fractions,
            (min(molality), max(molality)),
            (min(temperature_K), max(temperature_K)),
        )

    def holds(self, batch: MixtureBatch | MixtureProduct) -> Tensor:
        """Return which mixtures lie within what was taught, `n`, bool, in the order of either."""
        if isinstance(batch, MixtureBatch):
            return self._mixed(batch.solvents, batch.weights) & self._prepared(
                batch.salts, batch.molality, batch.temperature_K
            )
        mixed = self._mixed(batch.solvents, batch.weights)
        prepared = self._prepared(batch.salt[:, None], batch.molality[:, None], batch.temperature_K)
        return (mixed[:, None] & prepared).flatten()[batch.start : batch.stop]

    def _mixed(self, solvents: Tensor, weights: Tensor) -> Tensor:
        there = weights > 0
        number = there.sum(-1, keepdim=True)
        shares = weights / weights.sum(-1, keepdim=True)
        taught = self.solvents[solvents] & (_between(shares, self.fractions) | (number == 1))
        return (taught | ~there).all(-1) & torch.isin(number[:, 0], self.numbers)

    def _prepared(self, salts: Tensor, molality: Tensor, temperature_K: Tensor) -> Tensor:
        known = (self.salts[salts] | (molality == 0)).all(-1)
        amount = _between(molality.sum(-1), self.molality)
        return known & amount & _between(temperature_K, self.temperature_K)


def _between(values: Tensor, ends: tuple[float, float]) -> Tensor:
    return (values >= ends[0] * (1 - _SLACK)) & (values <= ends[1] * (1 + _SLACK))


@dataclass(frozen=True)
class StudentPredictor:
    """A student bound to a molecule table.

    Attributes:
        network: One network with a head for the mean, one for noise, one for doubt. Its domain and its
            calibration are those of the ensemble.
        taught: What it was taught; what lies beyond is not in its domain, whatever the ensemble knows.
    """

    network: HeadPredictor
    taught: BoundSpace

    @property
    def target(self) -> str:
        """Name of the target with its unit."""
        return self.network.target

    def double(self) -> StudentPredictor:
        """Return the same predictor in float64, as gradients that are compared or followed need it."""
        return replace(self, network=self.network.double())

    def marginals(self, batch: MixtureBatch | MixtureProduct) -> tuple[Tensor, Tensor, Tensor]:
        """Return mean and calibrated epistemic and aleatoric variance, each `n`, in the target's unit.

        Gradients pass through fractions, molality and temperature of a `MixtureBatch`.
        """
        of = self.network
        mean, noise, doubt = of.outputs(batch)[0]
        epistemic, aleatoric = of.calibration.apply(
            of.scale**2 * doubt.clamp(*LOG_DOUBT).exp(), of.scale**2 * noise.clamp(*LOG_VARIANCE).exp()
        )
        return of.shift + of.scale * mean, epistemic, aleatoric

    def predict(self, batch: MixtureBatch | MixtureProduct) -> Prediction:
        """Return the prediction for each mixture of the batch, in its order, in the dtype of the tensors.

        Raises:
            InputError: If a mixture has no salt or more than one and the ensemble is of MolSets.
        """
        self.network.check_takes(batch)
        with torch.no_grad():
            zone = self.network.domain.zones(batch).masked_fill(~self.taught.holds(batch), BEYOND)
            factor = self.network.calibration.factors(zone)
            return Prediction(*self.marginals(batch), zone < BEYOND, factor)


@dataclass(frozen=True)
class Student:
    """What has learnt what an ensemble says, for mixtures of any molecules.

    Attributes:
        network: An ensemble of one network with a second variance, with the ensemble's domain, features
            and calibration.
        space: That it was taught on.
    """

    network: MixtureEnsemble | LawEnsemble
    space: TaughtSpace

    @property
    def target(self) -> str:
        """Name of the target with its unit."""
        return self.network.target

    @property
    def domain(self) -> Domain:
        """What is near enough to the ensemble's training data."""
        return self.network.domain

    @property
    def features(self) -> MoleculeFeatures:
        """Of molecules, by which the domain is judged."""
        return self.network.features

    def bind(self, table: MoleculeTable) -> StudentPredictor:
        """Return the predictor for mixtures of these molecules; each is embedded once, here."""
        return StudentPredictor(self.network.bind(table), BoundSpace.of(self.space, table))
