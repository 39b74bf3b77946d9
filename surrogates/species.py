"""Mixtures as mole fractions of species: solvents, cations and anions, each counted apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from surrogates.batches import MixtureBatch
from surrogates.mole_fractions import ion_fractions, mole_fractions
from surrogates.molecules import Component, InvalidMolecule, MoleculeTable, parse_smiles


@dataclass(frozen=True)
class SpeciesBatch:
    """`n` mixtures of the `u` species of a table.

    A mixture is a row of mole fractions over all species, so that the order of its components cannot matter
    and a component that stands in it twice counts once.

    Attributes:
        x: `n x u`, mole fractions, rows sum to 1.
        pairs: `2 x p`, int64, the pairs of species that may stand in one mixture, `pairs[0] <= pairs[1]`; a
            species with itself is one. A superset does no harm.
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
    """How the components of a molecule table fall into species.

    Attributes:
        table: The `u` species: the neutral components, then the ions.
        solvent: `c`, int64, the species of each of the `c` components; of a salt any.
        cation: `c`, int64, the cation of each component; of a solvent any.
        anion: `c`, int64, likewise.
        cations: `c`, float64, cations in a formula unit; 0 of a solvent.
        anions: `c`, float64, likewise.
        molar_mass: `c`, float64, g/mol.
    """

    table: MoleculeTable
    solvent: Tensor
    cation: Tensor
    anion: Tensor
    cations: Tensor
    anions: Tensor
    molar_mass: Tensor

    @staticmethod
    def of(components: Sequence[Component]) -> Speciation:
        """Return the species of components: a SMILES of several fragments is a salt, all else a solvent.

        Raises:
            InvalidMolecule: If a salt has not just one kind of cation and one of anion.
        """
        ions = [_ions(component.smiles) for component in components]
        neutral = [one for one, parts in zip(components, ions, strict=True) if parts is None]
        charged = [Component.of(ion) for parts in ions if parts is not None for ion in parts[:2]]
        table = MoleculeTable.build([*neutral, *charged])
        row = table.index()
        facts = [
            (row[one], 0, 0, 0.0, 0.0, one.molar_mass)
            if parts is None
            else (0, row[Component.of(parts[0])], row[Component.of(parts[1])], *parts[2:], one.molar_mass)
            for one, parts in zip(components, ions, strict=True)
        ]
        solvent, cation, anion, cations, anions, mass = zip(*facts, strict=True)
        return Speciation(
            table,
            torch.tensor(solvent),
            torch.tensor(cation),
            torch.tensor(anion),
            torch.tensor(cations, dtype=torch.float64),
            torch.tensor(anions, dtype=torch.float64),
            torch.tensor(mass, dtype=torch.float64),
        )

    def split(self, batch: MixtureBatch) -> SpeciesBatch:
        """Return mixtures as mole fractions of species, in the floating-point type of their weights.

        Gradients reach weights, molality and temperature.

        Args:
            batch: `n` mixtures of the components.
        """
        species, parts = self.slots(batch)
        x = torch.zeros(len(batch), len(self.table), dtype=parts.dtype).scatter_add(1, species, parts)
        return SpeciesBatch(x, _pairs(species, len(self.table)), batch.temperature_K)

    def slots(self, batch: MixtureBatch) -> tuple[Tensor, Tensor]:
        """Return the species of mixtures in the order of their components, and the mole fraction of each.

        Args:
            batch: `n` mixtures of the components with `k` slots for solvents.

        Returns:
            `n x (k + 2)`, int64: solvents, cation, anion; and their mole fractions, `n x (k + 2)`, 0 in
            slots that are not used.
        """
        weights = batch.weights
        mass = self.molar_mass.to(weights)[batch.solvents]
        fractions = ion_fractions(
            mole_fractions(weights, mass),
            mass,
            batch.molality[:, None],
            self.cations.to(weights)[batch.salt, None],
            self.anions.to(weights)[batch.salt, None],
        )
        ions = self.cation[batch.salt, None], self.anion[batch.salt, None]
        species = torch.cat([self.solvent[batch.solvents], *ions], dim=1)
        return species, torch.cat([fractions.solvents, fractions.cations, fractions.anions], dim=1)


def _ions(smiles: str) -> tuple[str, str, float, float] | None:
    """Return cation, anion and the number of each in a salt; None of a single molecule."""
    fragments = smiles.split(".")
    if len(fragments) == 1:
        return None
    charge = {one: sum(a.GetFormalCharge() for a in parse_smiles(one).GetAtoms()) for one in fragments}
    cations = sorted(one for one, z in charge.items() if z > 0)
    anions = sorted(one for one, z in charge.items() if z < 0)
    if len(cations) != 1 or len(anions) != 1 or len(charge) != 2:
        wrong = f"falls into {len(cations)} kinds of cation, {len(anions)} of anion and "
        wrong += (
            f"{len(charge) - len(cations) - len(anions)} without charge; a salt has one cation and one anion"
        )
        raise InvalidMolecule(f"{smiles!r} {wrong}")
    return cations[0], anions[0], float(fragments.count(cations[0])), float(fragments.count(anions[0]))


def _pairs(species: Tensor, u: int) -> Tensor:
    """Return the pairs of species that stand in one row of `species`, `n x k`, as `2 x p`, each once."""
    present = torch.zeros(len(species), u).scatter_(1, species, 1.0)
    together = (present.T @ present).triu() > 0
    return together.nonzero().T
