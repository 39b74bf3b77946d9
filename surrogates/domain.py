"""Applicability domain: which mixtures are near enough to the training data to trust the model's word."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from surrogates.batches import MixtureBatch, MixtureProduct

if TYPE_CHECKING:  # scikit-learn and RDKit would add a second to the start of each worker of a screen
    from surrogates.features import MoleculeFeatures
    from surrogates.molecules import MoleculeTable

FALSE_ALARM = 0.05
"""Share of held-out mixtures that the threshold calls unknown."""
_SMALLEST_THRESHOLD = 0.1
"""Standard deviations. Mixtures nearer than this count as one; rounding errors stay below it."""
_TEMPERATURE_SLACK_K = 1.0
_MOLALITY_SLACK = 1.05


@dataclass(frozen=True)
class Domain:
    """Distance to the nearest training mixture, in the space of standardised molecule features.

    A mixture is a point: its solvents' features, weighted by fraction, beside its salt's. It is in the
    domain if its salt is one of the training salts, the nearest training mixture is within the threshold,
    and molality and temperature are within the training range (5 % and 1 K slack).

    Attributes:
        solvent_scale: `width`, 1 / standard deviation of the training mixtures' solvent features.
        salt_scale: `width`, the same for the salts.
        mixtures: `r x width`, scaled solvent features of the distinct training mixtures.
        mixture_salt: `r`, int64, the salt of each, a row of `salts`.
        salts: `t x width`, scaled features of the training salts.
        salt_smiles: `t`, canonical SMILES.
        molality: Lowest and highest, mol/kg.
        temperature_K: Lowest and highest, K.
        threshold: Distance beyond which a mixture counts as unknown.
    """

    solvent_scale: Tensor
    salt_scale: Tensor
    mixtures: Tensor
    mixture_salt: Tensor
    salts: Tensor
    salt_smiles: tuple[str, ...]
    molality: tuple[float, float]
    temperature_K: tuple[float, float]
    threshold: float

    @staticmethod
    def fit(
        table: MoleculeTable, features: MoleculeFeatures, batch: MixtureBatch, held_out: Tensor
    ) -> Domain:
        """Learn the domain of training mixtures; the threshold comes from rows that are held out of it.

        The threshold is the distance that 95 % of the held-out rows keep to the nearest of the other rows,
        at least 0.1: rows that differ in molality only are at no distance.

        Args:
            table: Molecules that `batch` points into.
            features: Of molecules.
            batch: `n` training mixtures.
            held_out: `n`, bool, the rows that set the threshold.
        """
        of_molecule = features.of(table)
        solvents = _mix(of_molecule, batch.solvents, batch.weights)
        solvent_scale = _inverse_spread(solvents)
        used = batch.salt.unique()
        salt_scale = _inverse_spread(of_molecule[used])
        points = torch.cat([solvents * solvent_scale, of_molecule[batch.salt] * salt_scale], dim=-1)
        exact = "donot_use_mm_for_euclid_dist"
        nearest = torch.cdist(points[held_out], points[~held_out], compute_mode=exact).amin(1)
        threshold = float(nearest.quantile(1 - FALSE_ALARM)) if len(nearest) else torch.inf
        distinct = torch.cat([solvents * solvent_scale, batch.salt[:, None]], dim=-1).unique(dim=0)
        return Domain(
            solvent_scale=solvent_scale,
            salt_scale=salt_scale,
            mixtures=distinct[:, :-1].contiguous(),
            mixture_salt=torch.searchsorted(used, distinct[:, -1].long()),
            salts=of_molecule[used] * salt_scale,
            salt_smiles=tuple(table.components[int(salt)].smiles for salt in used),
            molality=(float(batch.molality.min()), float(batch.molality.max())),
            temperature_K=(float(batch.temperature_K.min()), float(batch.temperature_K.max())),
            threshold=max(threshold, _SMALLEST_THRESHOLD),
        )

    def bind(self, table: MoleculeTable, features: MoleculeFeatures) -> BoundDomain:
        """Return the domain for mixtures of the molecules of a table."""
        of_molecule = features.of(table)
        known = torch.tensor([component.smiles in self.salt_smiles for component in table.components])
        centre = self.mixtures.mean(0)  # float32 loses small distances between points far from 0
        by_salt = self.mixture_salt.argsort(stable=True)
        salts, counts = self.mixture_salt[by_salt].unique_consecutive(return_counts=True)
        return BoundDomain(
            replace(self, mixtures=self.mixtures[by_salt] - centre, mixture_salt=self.mixture_salt[by_salt]),
            solvents=of_molecule * self.solvent_scale - centre,
            salt_distance=torch.cdist(of_molecule * self.salt_scale, self.salts[salts]).square(),
            mixtures_of=tuple(counts.tolist()),
            known_salt=known,
        )


@dataclass(frozen=True)
class BoundDomain:
    """A domain with what it needs to know of `u` molecules computed once.

    Attributes:
        domain: The domain, its mixtures centred and sorted by salt.
        solvents: `u x width`, scaled features of each molecule as a solvent, centred alike.
        salt_distance: `u x t`, squared distance of each molecule, as a salt, to each training salt.
        mixtures_of: `t`, the number of training mixtures with each training salt.
        known_salt: `u`, bool, whether it is a training salt.
    """

    domain: Domain
    solvents: Tensor
    salt_distance: Tensor
    mixtures_of: tuple[int, ...]
    known_salt: Tensor

    def distance(self, batch: MixtureBatch) -> Tensor:
        """Return the distance of each mixture to the nearest training mixture, `n`."""
        return self._squared(batch).sqrt()

    def holds(self, batch: MixtureBatch) -> Tensor:
        """Return which mixtures are in the domain, `n`, bool."""
        near = self._squared(batch) <= self.domain.threshold**2
        return near & self._conditions_hold(batch.salt, batch.molality, batch.temperature_K)

    def holds_product(self, product: MixtureProduct) -> Tensor:
        """Return `holds(product.expand())`, with distances computed once a mixture and a salt.

        A salt that is itself too far from a training salt need not be compared with its mixtures.
        """
        limit = self.domain.threshold**2
        salts, which = product.salt.unique(return_inverse=True)
        salt, training = ((self.salt_distance[salts] <= limit) & self.known_salt[salts, None]).nonzero().T
        to_salts = self._to_salts(product.solvents, product.weights)
        hits = to_salts[training] + self.salt_distance[salts[salt], training, None] <= limit
        near = torch.zeros(len(salts), len(product.solvents), dtype=torch.int32).index_add_(
            0, salt, hits.int()
        )
        allowed = self._conditions_hold(product.salt, product.molality, product.temperature_K)
        return ((near > 0).T[:, which] & allowed).flatten()[product.start : product.stop]

    def _squared(self, batch: MixtureBatch) -> Tensor:
        """Return the squared distance of each mixture to the nearest training mixture, `n`."""
        return (self._to_salts(batch.solvents, batch.weights) + self.salt_distance[batch.salt].T).amin(0)

    def _to_salts(self, solvents: Tensor, weights: Tensor) -> Tensor:
        """Return the squared distance to the nearest training mixture with each training salt, `t x m`."""
        distance = torch.cdist(self.domain.mixtures, _mix(self.solvents, solvents, weights))
        return torch.stack([of_salt.amin(0) for of_salt in distance.split(self.mixtures_of)]).square()

    def _conditions_hold(self, salt: Tensor, molality: Tensor, temperature_K: Tensor) -> Tensor:
        low, high = self.domain.molality
        cold, hot = self.domain.temperature_K
        return (
            self.known_salt[salt]
            & (molality >= low / _MOLALITY_SLACK)
            & (molality <= high * _MOLALITY_SLACK)
            & (temperature_K >= cold - _TEMPERATURE_SLACK_K)
            & (temperature_K <= hot + _TEMPERATURE_SLACK_K)
        )


def _mix(of_molecule: Tensor, solvents: Tensor, weights: Tensor) -> Tensor:
    fractions = (weights / weights.sum(-1, keepdim=True)).to(of_molecule)
    return (fractions.unsqueeze(-1) * of_molecule[solvents]).sum(-2)


def _inverse_spread(values: Tensor) -> Tensor:
    std = values.std(0, correction=0)
    return torch.where(std > 1e-6, 1 / std.clamp_min(1e-6), 0.0)
