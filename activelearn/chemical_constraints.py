"""Constraints of mixtures and of compositions, over their amounts.

Of a mixture `x` holds the weight fraction of each solvent of its space among the solvents, the molality
[mol/kg solvent] of each salt and the temperature [K]; of a composition the amounts of its elements for two
anions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from activelearn.constraints import Linear
from surrogates.batches import MixtureBatch
from surrogates.composition_batches import ANIONS, CompositionBatch
from surrogates.compositions import charges_of
from surrogates.molecules import Component, MoleculeTable
from surrogates.text_tables import nearest

TEMPERATURE = "temperature_K"


class Variables(Protocol):
    """The columns of `x` by name."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the `d` columns."""

    def column(self, name: str) -> int:
        """Return the column of a name.

        Raises:
            ValueError: If there is none.
        """

    def unit(self, name: str) -> str:
        """Return the unit of an amount, empty for a pure number."""


@dataclass(frozen=True)
class MixtureVariables:
    """The columns of `x` of mixtures: weight fractions of the solvents, molalities of the salts, temperature.

    Attributes:
        solvents: The `k` solvents by name.
        salts: The `s` salts by name.
    """

    solvents: Mapping[str, Component]
    salts: Mapping[str, Component]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the `k + s + 1` columns."""
        return *self.solvents, *self.salts, TEMPERATURE

    def column(self, name: str) -> int:
        """Return the column of a name.

        Raises:
            ValueError: If there is none, or a solvent and a salt are both called so.
        """
        if self.names.count(name) > 1:
            raise ValueError(f'a solvent and a salt are both called "{name}"; give each its own name')
        return _place(name, self.names)

    def unit(self, name: str) -> str:
        """Return the unit of an amount."""
        return "" if name in self.solvents else "mol/kg" if name in self.salts else "K"

    def places(self, table: MoleculeTable) -> tuple[Tensor, Tensor]:
        """Return which solvent, and which salt, each component of a table is, `u` each; 0 where none."""
        solvents, salts = list(self.solvents.values()), list(self.salts.values())
        rows = [
            (solvents.index(one) if one in solvents else 0, salts.index(one) if one in salts else 0)
            for one in table.components
        ]
        solvent, salt = torch.tensor(rows).T
        return solvent, salt

    def rows(self, batch: MixtureBatch, table: MoleculeTable) -> Tensor:
        """Return `x` of mixtures, `n x (k + s + 1)`, float64; gradients reach their amounts.

        Args:
            batch: `n` mixtures of these solvents and salts.
            table: What the batch points into.
        """
        return self.scatter(batch, *self.places(table))

    def scatter(self, batch: MixtureBatch, solvents: Tensor, salts: Tensor) -> Tensor:
        """Return `x` of mixtures by what `places` says of their table."""
        fractions, molality = batch.weights.double(), batch.molality.double()
        n, k, s = len(batch), len(self.solvents), len(self.salts)
        columns = (
            fractions.new_zeros(n, k).scatter_add(1, solvents[batch.solvents], fractions),
            molality.new_zeros(n, s).scatter_add(1, salts[batch.salts], molality),
            batch.temperature_K.double()[:, None],
        )
        return torch.cat(columns, dim=1)

    def domain(
        self, molality_mol_kg: tuple[float, float], temperature_K: tuple[float, float]
    ) -> tuple[Linear, ...]:
        """Return what holds for all mixtures: fractions sum to 1, no amount is below 0, ranges.

        Args:
            molality_mol_kg: Lowest and highest of all salts together, mol/kg.
            temperature_K: Lowest and highest, K.
        """
        k, s = len(self.solvents), len(self.salts)
        salts = tuple(range(k, k + s))
        positive = [at_least(f"{name} at least 0", self, {name: 1.0}, 0.0) for name in self.names[:-1]]
        return (
            Linear("weight fractions sum to 1", "", tuple((i, 1.0) for i in range(k)), 1.0, True),
            *positive,
            *_between("molality", "mol/kg", salts, molality_mol_kg),
            *_between("temperature", "K", (k + s,), temperature_K),
        )


@dataclass(frozen=True)
class CompositionVariables:
    """The columns of `x` of compositions: amounts for two anions of the cations, of O and of F.

    Attributes:
        cations: The `u` cations of a space, as its table has them; lithium is the first.
    """

    cations: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Symbols of the `u + 2` columns."""
        return *self.cations, *ANIONS

    @property
    def metals(self) -> tuple[str, ...]:
        """The cations but lithium."""
        return tuple(element for element in self.cations if element != "Li")

    def column(self, name: str) -> int:
        """Return the column of an element.

        Raises:
            ValueError: If the space does not hold it.
        """
        return _place(name, self.names)

    def unit(self, name: str) -> str:
        """Return the unit of an amount: none."""
        return ""

    def rows(self, batch: CompositionBatch) -> Tensor:
        """Return `x` of compositions, `n x (u + 2)`, float64; gradients reach their amounts.

        Args:
            batch: `n` compositions of these cations, in this order.
        """
        weights, fluorine = batch.weights.double(), batch.fluorine.double()[:, None]
        none = weights.new_zeros(len(batch), len(self.cations))
        cations = none.scatter_add(1, batch.cations, weights)
        return 2 * torch.cat([cations, 1 - fluorine, fluorine], dim=1)

    def domain(
        self,
        lithium: tuple[float, float],
        fluorine: tuple[float, float],
        charges: Mapping[str, tuple[float, float]],
    ) -> tuple[Linear, ...]:
        """Return what holds for all compositions: balance of sites and of charges, no amount below 0, ranges.

        Args:
            lithium: Lowest and highest content, for two anions.
            fluorine: Likewise.
            charges: Lowest and highest of each metal, e.
        """
        return (
            *site_balance(self.names),
            *charge_neutrality(self.names, charges),
            *_between("lithium content", "", (self.column("Li"),), lithium),
            *_between("fluorine content", "", (self.column("F"),), fluorine),
        )


def at_least(name: str, variables: Variables, terms: Mapping[str, float], rhs: float) -> Linear:
    """Return the constraint that a sum of amounts is at least so much.

    Args:
        name: What people call it.
        variables: The columns.
        terms: A coefficient for each amount, by name.
        rhs: The sum's least value.

    Raises:
        ValueError: If an amount is unknown.
    """
    return Linear(name, _unit(variables, terms), _columns(variables, terms), rhs)


def at_most(name: str, variables: Variables, terms: Mapping[str, float], rhs: float) -> Linear:
    """Return the constraint that a sum of amounts is at most so much; see `at_least`."""
    negative = tuple((column, -value) for column, value in _columns(variables, terms))
    return Linear(name, _unit(variables, terms), negative, -rhs)


def ratio(name: str, variables: Variables, of: str, to: str, value: float) -> Linear:
    """Return the constraint that one amount is a fixed multiple of another.

    Raises:
        ValueError: If an amount is unknown.
    """
    return Linear(
        name, variables.unit(of), ((variables.column(of), 1.0), (variables.column(to), -value)), 0.0, True
    )


def site_balance(elements: Sequence[str]) -> tuple[Linear, ...]:
    """Return the balance of sites of a rocksalt: cations sum to 2, O and F to 2, no amount is below 0.

    Args:
        elements: The columns of `x`: amounts for two anions. O and F are the anions, all others cations.
    """
    anions = [i for i, element in enumerate(elements) if element in ANIONS]
    cations = [i for i in range(len(elements)) if i not in anions]
    return (
        Linear("cations sum to 2", "", tuple((i, 1.0) for i in cations), 2.0, True),
        Linear("anions sum to 2", "", tuple((i, 1.0) for i in anions), 2.0, True),
        *(Linear(f"{element} at least 0", "", ((i, 1.0),), 0.0) for i, element in enumerate(elements)),
    )


def charge_neutrality(
    elements: Sequence[str], windows: Mapping[str, tuple[float, float]] | None = None
) -> tuple[Linear, Linear]:
    """Return the two constraints of charges that balance, in e for two anions.

    An element may stand in several of its charges at once, so that cations carry any charge from the sum of
    the lowest to the sum of the highest; what the anions ask for must lie between.

    Args:
        elements: The columns of `x`, as of `site_balance`.
        windows: Least and highest mean oxidation state of elements; of others those of `ions.csv`.

    Raises:
        ValueError: If an element is no cation of `ions.csv` and has no window.
    """
    given = windows or {}
    ends = [_charges(element, given) for element in elements]
    low = tuple((i, -charges[0]) for i, charges in enumerate(ends))
    high = tuple((i, charges[1]) for i, charges in enumerate(ends))
    return (
        Linear("cations carry no more charge than the anions", "e", low, 0.0),
        Linear("cations can carry the charge of the anions", "e", high, 0.0),
    )


def oxidation_states(
    variables: CompositionVariables,
    charges: Mapping[str, tuple[float, float]],
    asked: Mapping[str, tuple[float, float]],
) -> tuple[Linear, ...]:
    """Return `charge_neutrality` with narrower charges of some metals, which stand in its name.

    Args:
        variables: The elements.
        charges: Lowest and highest of each metal, e.
        asked: Those that are narrower, likewise.
    """
    told = ", ".join(f"{metal} {low:g} to {high:g}" for metal, (low, high) in asked.items())
    both = charge_neutrality(variables.names, {**charges, **asked})
    return tuple(replace(one, name=f"{one.name} ({told})") for one in both)


def _charges(element: str, windows: Mapping[str, tuple[float, float]]) -> tuple[float, float]:
    anion = {"O": -2.0, "F": -1.0}.get(element)
    if anion is not None:
        return anion, anion
    if element in windows:
        return windows[element]
    try:
        low, high = charges_of(element)
    except KeyError:
        raise ValueError(f"{element} is no cation whose charges are known; give it a window") from None
    return float(low), float(high)


def _place(name: str, names: Sequence[str]) -> int:
    if name not in names:
        known = ", ".join(names)
        raise ValueError(f'no amount is called "{name}". {nearest(name, names)}There are {known}')
    return names.index(name)


def _columns(variables: Variables, terms: Mapping[str, float]) -> tuple[tuple[int, float], ...]:
    return tuple((variables.column(name), float(value)) for name, value in terms.items())


def _unit(variables: Variables, terms: Mapping[str, float]) -> str:
    units = {variables.unit(name) for name in terms}
    return units.pop() if len(units) == 1 else ""


def _between(
    name: str, unit: str, columns: Sequence[int], ends: tuple[float, float]
) -> tuple[Linear, Linear]:
    low, high = ends
    return (
        Linear(f"{name} at least {low:g}", unit, tuple((i, 1.0) for i in columns), low),
        Linear(f"{name} at most {high:g}", unit, tuple((i, -1.0) for i in columns), -high),
    )
