"""Mixtures as a campaign's file holds them, and which of them a person would call the same."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field, PositiveFloat, model_validator

from campaigns.candidate_tables import TEMPERATURE_STEP_K, identity
from campaigns.config import STRICT
from surrogates.batches import MixtureBatch
from surrogates.chemicals import name_of
from surrogates.mixture_data import tabulate
from surrogates.molecules import Component, MoleculeTable, canonical_smiles

_ROUNDED = (7e-4, 7e-4, TEMPERATURE_STEP_K)
"""Weight fraction, mol/kg and K by which numbers differ that were rounded: thirds in a file, 0.333, 0.333,
0.334, or what is printed here."""
_WEIGHED = (0.02, 0.05, 2.0)
"""Weight fraction, mol/kg and K by which what was made may differ from what was proposed: a slip of the
balance or of the thermostat, not another experiment."""
_SLACK = 1 + 1e-9
_SUM_TOLERANCE = 1e-6


@cache
def _usable(smiles: str) -> str:
    """Return the canonical spelling of a molecule that a table can hold.

    Raises:
        InvalidMolecule: If none can.
    """
    MoleculeTable.build([Component.of(smiles)])
    return canonical_smiles(smiles)


class StoredComponent(BaseModel):
    """A solvent or a salt with its amount.

    Attributes:
        smiles: SMILES, canonical for the RDKit that reads it.
        molar_mass: g/mol; of a polymer its chain's.
        amount: Weight fraction among the solvents, or mol/kg of a salt.
    """

    model_config = STRICT

    smiles: Annotated[str, AfterValidator(_usable)]
    molar_mass: PositiveFloat
    amount: PositiveFloat

    def component(self) -> Component:
        """Return the component of a mixture."""
        return Component(self.smiles, self.molar_mass)


class StoredMixture(BaseModel):
    """A mixture at a temperature.

    Attributes:
        kind: That it is one.
        solvents: With weight fractions that sum to 1.
        salts: With molalities; none of a mixture without salt.
        temperature_K: K.
    """

    model_config = STRICT

    kind: Literal["mixture"] = "mixture"
    solvents: Annotated[tuple[StoredComponent, ...], Field(min_length=1)]
    salts: tuple[StoredComponent, ...]
    temperature_K: PositiveFloat

    @model_validator(mode="after")
    def _sums_to_one(self) -> StoredMixture:
        total = sum(one.amount for one in self.solvents)
        if abs(total - 1) > _SUM_TOLERANCE:
            raise ValueError(f"weight fractions sum to {total:g}, not to 1")
        return self

    def words(self) -> str:
        """Return the mixture in a line."""
        parts = " + ".join(f"{name_of(one.smiles)} {one.amount:.4g}" for one in self.solvents)
        salts = "".join(f", {one.amount:.4g} mol/kg {name_of(one.smiles)}" for one in self.salts)
        return f"{parts}{salts}, {self.temperature_K:.5g} K"

    def components(self) -> frozenset[str]:
        """Return what mixtures share if they hold the same solvents and salts."""
        return frozenset(self._amounts())

    def is_same(self, other: object) -> bool:
        """Return whether two mixtures differ by no more than the rounding of a file."""
        return self._is_within(other, _ROUNDED)

    def is_near(self, other: object) -> bool:
        """Return whether one may have been made for the other."""
        return self._is_within(other, _WEIGHED)

    def _is_within(self, other: object, steps: tuple[float, float, float]) -> bool:
        if not isinstance(other, StoredMixture):
            return False
        mine, theirs = self._amounts(), other._amounts()
        if mine.keys() != theirs.keys():
            return False
        of_solvents, of_salts, kelvin = (step * _SLACK for step in steps)
        return abs(self.temperature_K - other.temperature_K) <= kelvin and all(
            abs(amount - theirs[name]) <= (of_salts if name.startswith("salt") else of_solvents)
            for name, amount in mine.items()
        )

    def _amounts(self) -> dict[str, float]:
        """Return amounts by what the component is; one that stands there twice counts together."""
        found: dict[str, float] = {}
        for part, components in (("solvent", self.solvents), ("salt", self.salts)):
            for one in components:
                name = f"{part} {identity(one.component())}"
                found[name] = found.get(name, 0.0) + one.amount
        return found


def stored_mixtures(table: MoleculeTable, batch: MixtureBatch) -> list[StoredMixture]:
    """Return mixtures as a file holds them, with all digits.

    Args:
        table: The components.
        batch: `n` mixtures.
    """
    shares, molality = batch.fractions().double().tolist(), batch.molality.double().tolist()
    solvents, salts, kelvin = batch.solvents.tolist(), batch.salts.tolist(), batch.temperature_K.tolist()
    return [
        StoredMixture(
            solvents=_stored(table, solvents[row], shares[row]),
            salts=_stored(table, salts[row], molality[row]),
            temperature_K=kelvin[row],
        )
        for row in range(len(batch))
    ]


def mixture_batch(mixtures: Sequence[StoredMixture]) -> tuple[MoleculeTable, MixtureBatch]:
    """Return `n` mixtures, at least one, as tensors of indices into the table of their components."""
    return tabulate(
        [[part.component() for part in one.solvents] for one in mixtures],
        [[part.amount for part in one.solvents] for one in mixtures],
        [[part.component() for part in one.salts] for one in mixtures],
        [[part.amount for part in one.salts] for one in mixtures],
        [one.temperature_K for one in mixtures],
    )


def _stored(table: MoleculeTable, rows: list[int], amounts: list[float]) -> tuple[StoredComponent, ...]:
    there = [(table.components[row], amount) for row, amount in zip(rows, amounts, strict=True) if amount > 0]
    return tuple(StoredComponent(smiles=c.smiles, molar_mass=c.molar_mass, amount=a) for c, a in there)
