"""Mixtures as mole fractions of species: solvents, cations and anions, each counted apart.

Source: ions counted apart as in Zhu et al., Nat. Commun. 15, 8649 (2024).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from rdkit import Chem
from torch import Tensor

from surrogates.batches import MixtureBatch
from surrogates.mole_fractions import mole_fractions, solvent_kg
from surrogates.molecules import Component, MoleculeTable, parse_smiles


@dataclass(frozen=True)
class SpeciesBatch:
    """`n` mixtures of the `u` species of a table.

    A mixture is a row of mole fractions over all species, so that the order of its components cannot matter
    and a component that stands in it twice counts once.

    Attributes:
        x: `n x u`, mole fractions, rows sum to 1.
        pairs: `2 x p`, int64, the pairs of species that may stand in one mixture, `pairs[0] <= pairs[1]`; a
            species with itself is one. A superset does no harm. Solvents count at any fraction, salts only
            at a molality above 0.
        temperature_K: `n`, K.
    """

    x: Tensor
    pairs: Tensor
    temperature_K: Tensor

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, rows: Tensor | slice) -> SpeciesBatch:
        return SpeciesBatch(self.x[rows], self.pairs, self.temperature_K[rows])


@dataclass(frozen=True)
class Speciation:
    """How the components of a molecule table fall into species, up to `f` from one.

    Attributes:
        table: The `u` species: the components of one fragment, then the fragments of the others.
        parts: `c x f`, int64, the species of each of the `c` components, cations first.
        counts: `c x f`, float64, how many of each there are in a formula unit; 0 where a component has fewer.
        molar_mass: `c`, float64, g/mol.
    """

    table: MoleculeTable
    parts: Tensor
    counts: Tensor
    molar_mass: Tensor

    @staticmethod
    def of(components: Sequence[Component]) -> Speciation:
        """Return the species of components: each fragment of a SMILES is one, of a salt each ion.

        An ionic liquid is a component of two fragments whether it stands among the solvents or is the salt.
        """
        falls_into = [_fragments(component) for component in components]
        single = [one for fragments in falls_into if len(fragments) == 1 for one in fragments]
        table = MoleculeTable.build([*single, *(one for fragments in falls_into for one in fragments)])
        row = table.index()
        shape = len(components), max(map(len, falls_into))
        parts, counts = torch.zeros(shape, dtype=torch.int64), torch.zeros(shape, dtype=torch.float64)
        for component, fragments in enumerate(falls_into):
            parts[component] = row[next(iter(fragments))]
            for place, (fragment, count) in enumerate(fragments.items()):
                parts[component, place], counts[component, place] = row[fragment], count
        mass = torch.tensor([component.molar_mass for component in components], dtype=torch.float64)
        return Speciation(table, parts, counts, mass)

    @property
    def cations(self) -> Tensor:
        """Cations in a formula unit of each component, `c`, float64; 0 of what has none."""
        return self._charged(1)

    @property
    def anions(self) -> Tensor:
        """Anions in a formula unit of each component, `c`, float64; 0 of what has none."""
        return self._charged(-1)

    def _charged(self, sign: int) -> Tensor:
        charges = [Chem.GetFormalCharge(parse_smiles(one.smiles)) for one in self.table.components]
        return (self.counts * (torch.tensor(charges).sign()[self.parts] == sign)).sum(1)

    def split(self, batch: MixtureBatch) -> SpeciesBatch:
        """Return mixtures as mole fractions of species, in the floating-point type of their weights.

        Gradients reach weights, molality and temperature.

        Args:
            batch: `n` mixtures of the components.
        """
        species, fractions = self.slots(batch)
        x = torch.zeros(len(batch), len(self.table), dtype=fractions.dtype).scatter_add(1, species, fractions)
        may_stand = torch.cat([torch.ones_like(batch.solvents, dtype=torch.bool), batch.molality > 0], dim=1)
        may_stand = may_stand.repeat_interleave(self.parts.shape[1], dim=1)
        return SpeciesBatch(x, _pairs(species, may_stand, len(self.table)), batch.temperature_K)

    def slots(self, batch: MixtureBatch) -> tuple[Tensor, Tensor]:
        """Return the species of mixtures in the order of their components, and the mole fraction of each.

        Args:
            batch: `n` mixtures of the components with `k` slots for solvents and `s` for salts.

        Returns:
            `n x (k + s) f`, int64: the species of each solvent, then of each salt; and their mole fractions,
            of the same shape, 0 in slots that are not used, rows sum to 1.
        """
        mass = self.molar_mass.to(batch.weights)[batch.solvents]
        solvents = mole_fractions(batch.weights, mass)
        moles = torch.cat([solvents, batch.molality * solvent_kg(solvents, mass)], dim=1)
        components = _components(batch)
        amounts = (moles[..., None] * self.counts.to(moles)[components]).flatten(1)
        return self.parts[components].flatten(1), amounts / amounts.sum(1, keepdim=True)

    def used_slots(self, batch: MixtureBatch) -> Tensor:
        """Return the slots of `slots` that a component of some mixture fills, int64, ascending."""
        return (self.counts[_components(batch)] > 0).flatten(1).any(0).nonzero()[:, 0]


def _components(batch: MixtureBatch) -> Tensor:
    return torch.cat([batch.solvents, batch.salts], dim=1)


def _fragments(component: Component) -> dict[Component, int]:
    """Return what a component falls into and how often, cations first; all else is one fragment, itself."""
    pieces = component.smiles.split(".")
    if len(pieces) == 1:
        return {component: 1}
    count = Counter(pieces)
    order = sorted(count, key=lambda one: (-Chem.GetFormalCharge(parse_smiles(one)), one))
    return {Component.of(one): count[one] for one in order}


def _pairs(species: Tensor, may_stand: Tensor, u: int) -> Tensor:
    """Return the pairs of species that may stand in one row of `species`, `n x k`, as `2 x p`, each once."""
    present = torch.zeros(len(species), u).scatter_add_(1, species, may_stand.float())
    together = (present.T @ present).triu() > 0
    return together.nonzero().T
