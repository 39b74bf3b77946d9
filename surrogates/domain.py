"""Applicability domain: which mixtures are near enough to the training data to trust the model's word."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from surrogates.batches import MixtureBatch, MixtureProduct
from surrogates.prediction import BEYOND, KNOWN, WITHIN

if TYPE_CHECKING:  # scikit-learn and RDKit would add a second to the start of each worker of a screen
    from surrogates.features import MoleculeFeatures
    from surrogates.molecules import MoleculeTable

FALSE_ALARM = 0.05
"""Share of held-out mixtures that the threshold calls unknown."""
_SMALLEST_THRESHOLD = 0.1
"""Standard deviations. Mixtures nearer than this count as one; rounding errors stay below it."""
_TEMPERATURE_SLACK_K = 1.0
_MOLALITY_SLACK = 1.05
_NO_SALT = -1


@dataclass(frozen=True)
class Domain:
    """Distance to the nearest training mixture, in the space of standardised molecule features.

    A mixture is a point for each of its salts: its solvents' features, weighted by fraction, beside the
    salt's. It is in the domain if its salts are training salts, each of its points is within the threshold of
    one of a training mixture, and the molality of all salts together and the temperature are within the
    training range (5 % and 1 K slack). Without salt, solvents are compared alone, with all training mixtures.

    Attributes:
        solvent_scale: `width`, 1 / standard deviation of the training mixtures' solvent features.
        salt_scale: `width`, the same for the salts.
        mixtures: `r x width`, scaled solvent features of the distinct points of training mixtures.
        mixture_salt: `r`, int64, the salt of each, a row of `salts`; -1 without salt.
        salts: `t x width`, scaled features of the training salts.
        salt_smiles: `t`, canonical SMILES.
        molality: Lowest and highest of all salts together, mol/kg.
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
        row, slot = (batch.molality > 0).nonzero().T
        salt = batch.salts[row, slot]
        used = salt.unique()
        salt_scale = _inverse_spread(of_molecule[used])
        scaled = solvents * solvent_scale
        bare = (batch.salt_counts() == 0).nonzero()[:, 0]
        which = torch.cat([torch.searchsorted(used, salt), torch.full_like(bare, _NO_SALT)])
        distinct = torch.cat([scaled[torch.cat([row, bare])], which[:, None]], dim=-1).unique(dim=0)
        total = batch.molality.sum(-1)
        return Domain(
            solvent_scale=solvent_scale,
            salt_scale=salt_scale,
            mixtures=distinct[:, :-1].contiguous(),
            mixture_salt=distinct[:, -1].long(),
            salts=of_molecule[used] * salt_scale,
            salt_smiles=tuple(table.components[int(salt)].smiles for salt in used),
            molality=(float(total.min()), float(total.max())),
            temperature_K=(float(batch.temperature_K.min()), float(batch.temperature_K.max())),
            threshold=_threshold(scaled, row, of_molecule[salt] * salt_scale, held_out),
        )

    def bind(self, table: MoleculeTable, features: MoleculeFeatures) -> BoundDomain:
        """Return the domain for mixtures of the molecules of a table."""
        of_molecule = features.of(table)
        known = torch.tensor([component.smiles in self.salt_smiles for component in table.components])
        centre = self.mixtures.mean(0)  # float32 loses small distances between points far from 0
        by_salt = self.mixture_salt.argsort(stable=True)
        salts, counts = self.mixture_salt[by_salt].unique_consecutive(return_counts=True)
        with_none = torch.cat([self.salts, torch.zeros_like(self.salt_scale)[None]])  # `_NO_SALT` is the last
        salt_distance = torch.cdist(of_molecule * self.salt_scale, with_none[salts]).square()
        return BoundDomain(
            replace(self, mixtures=self.mixtures[by_salt] - centre, mixture_salt=self.mixture_salt[by_salt]),
            solvents=of_molecule * self.solvent_scale - centre,
            salt_distance=salt_distance.masked_fill(salts == _NO_SALT, torch.inf),
            mixtures_of=tuple(counts.tolist()),
            known_salt=known,
        )


@dataclass(frozen=True)
class BoundDomain:
    """A domain with what it needs to know of `u` molecules computed once.

    Attributes:
        domain: The domain, its mixtures centred and sorted by salt.
        solvents: `u x width`, scaled features of each molecule as a solvent, centred alike.
        salt_distance: `u x t`, squared distance of each molecule, as a salt, to each training salt; mixtures
            without salt count as one more, from which all are infinitely far.
        mixtures_of: `t`, the number of points of training mixtures with each of these.
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

    def zones(self, batch: MixtureBatch | MixtureProduct) -> Tensor:
        """Return the zone of each mixture, `n`, int8: `KNOWN`, `WITHIN` or `BEYOND`, in either's order."""
        return self._of_product(batch) if isinstance(batch, MixtureProduct) else self._of_batch(batch)

    def holds(self, batch: MixtureBatch | MixtureProduct) -> Tensor:
        """Return which mixtures are in the domain, `n`, bool, in the order of either."""
        return self.zones(batch) < BEYOND

    def _of_batch(self, batch: MixtureBatch) -> Tensor:
        squared = self._squared(batch)
        allowed = self._conditions_hold(batch.salts, batch.molality, batch.temperature_K)
        return _zones(squared <= _SMALLEST_THRESHOLD**2, squared <= self.domain.threshold**2, allowed)

    def _of_product(self, product: MixtureProduct) -> Tensor:
        """Return `zones(product.expand())`, with distances computed once a mixture and a salt."""
        salts, which = product.salt.unique(return_inverse=True)
        which = torch.where(product.molality > 0, which, len(salts))
        to_salts = self._to_salts(product.solvents, product.weights)
        known, near = (
            self._nearer(to_salts, salts, limit)[:, which]
            for limit in (_SMALLEST_THRESHOLD, self.domain.threshold)
        )
        allowed = self._conditions_hold(
            product.salt[:, None], product.molality[:, None], product.temperature_K
        )
        return _zones(known, near, allowed).flatten()[product.start : product.stop]

    def _nearer(self, to_salts: Tensor, salts: Tensor, limit: float) -> Tensor:
        """Return which solvents are near training mixtures, `m x (salts + 1)`, the last without salt.

        A salt that is itself too far from a training salt need not be compared with its mixtures.
        """
        apart = self.salt_distance[salts]
        salt, training = ((apart <= limit**2) & self.known_salt[salts, None]).nonzero().T
        hits = to_salts[training] + apart[salt, training, None] <= limit**2
        near = torch.zeros(len(salts) + 1, to_salts.shape[1], dtype=torch.int32)
        near.index_add_(0, salt, hits.int())
        near[-1] = to_salts.amin(0) <= limit**2
        return (near > 0).T

    def _squared(self, batch: MixtureBatch) -> Tensor:
        """Return the squared distance of each mixture to the nearest training mixture, `n`.

        Of several salts the one that is farthest counts.
        """
        to_salts = self._to_salts(batch.solvents, batch.weights)
        with_salt = torch.stack([(to_salts + self.salt_distance[salt].T).amin(0) for salt in batch.salts.T])
        farthest = with_salt.masked_fill(batch.molality.T == 0, 0.0).amax(0)
        return torch.where(batch.salt_counts() > 0, farthest, to_salts.amin(0))

    def _to_salts(self, solvents: Tensor, weights: Tensor) -> Tensor:
        """Return the squared distance of solvents to the nearest ones with each training salt, `t x m`."""
        distance = torch.cdist(self.domain.mixtures, _mix(self.solvents, solvents, weights))
        return torch.stack([of_salt.amin(0) for of_salt in distance.split(self.mixtures_of)]).square()

    def _conditions_hold(self, salts: Tensor, molality: Tensor, temperature_K: Tensor) -> Tensor:
        low, high = self.domain.molality
        cold, hot = self.domain.temperature_K
        total = molality.sum(-1)
        return (
            (self.known_salt[salts] | (molality == 0)).all(-1)
            & (total >= low / _MOLALITY_SLACK)
            & (total <= high * _MOLALITY_SLACK)
            & (temperature_K >= cold - _TEMPERATURE_SLACK_K)
            & (temperature_K <= hot + _TEMPERATURE_SLACK_K)
        )


def _zones(known: Tensor, near: Tensor, allowed: Tensor) -> Tensor:
    """Return the zones of mixtures of a known composition, near one, and at conditions that are known."""
    zones = torch.where(known, KNOWN, WITHIN).to(torch.int8)
    return zones.masked_fill(~(near & allowed), BEYOND)


def _threshold(scaled: Tensor, row: Tensor, salts: Tensor, held_out: Tensor) -> float:
    """Return the distance that 95 % of the held-out mixtures keep to the nearest of the others.

    Held-out mixtures with salt have no say if all others are without.

    Args:
        scaled: `n x width`, the solvents of all mixtures.
        row: `p`, int64, the mixture of each salt that is present.
        salts: `p x width`, these salts.
        held_out: `n`, bool.
    """
    apart = torch.full((len(held_out),), -torch.inf)
    points, held = torch.cat([scaled[row], salts], dim=-1), held_out[row]
    apart.scatter_reduce_(0, row[held], _nearest(points[held], points[~held]), "amax")
    bare = held_out & ~torch.isin(torch.arange(len(held_out)), row)
    apart[bare] = _nearest(scaled[bare], scaled[~held_out])
    if not held_out.any():
        return torch.inf
    comparable = apart[held_out & apart.isfinite()]
    distance = float(comparable.quantile(1 - FALSE_ALARM)) if len(comparable) else 0.0
    return max(distance, _SMALLEST_THRESHOLD)


def _nearest(points: Tensor, others: Tensor) -> Tensor:
    """Return the distance of each point to the nearest of the others, infinite if there are none."""
    if not len(others):
        return torch.full((len(points),), torch.inf)
    return torch.cdist(points, others, compute_mode="donot_use_mm_for_euclid_dist").amin(1)


def _mix(of_molecule: Tensor, solvents: Tensor, weights: Tensor) -> Tensor:
    fractions = (weights / weights.sum(-1, keepdim=True)).to(of_molecule)
    return (fractions.unsqueeze(-1) * of_molecule[solvents]).sum(-2)


def _inverse_spread(values: Tensor) -> Tensor:
    if not len(values):
        return torch.zeros(values.shape[-1])
    std = values.std(0, correction=0)
    return torch.where(std > 1e-6, 1 / std.clamp_min(1e-6), 0.0)
