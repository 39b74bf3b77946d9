"""How much salt a mixture of solvents dissolves, and down to which temperature it is liquid.

Estimates from few facts, each with its source; what is without data is never taken for soluble or liquid.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path

import torch
from torch import Tensor

from activelearn.chemical_constraints import MixtureVariables
from activelearn.constraints import TOLERANCE, Linear
from surrogates.errors import InputError, Problem
from surrogates.molecule_facts import solvent_facts
from surrogates.molecules import Component
from surrogates.tables import candidate_mixtures
from surrogates.text_tables import read_text

GAS_CONSTANT = 8.314462618
"""J/(mol K)."""
WEAKEST_DONOR = 5.0
"""Donor number, kcal/mol, below which a solvent does not count as one for lithium: GUESS. Of the known ones
dichloromethane (0) and toluene (0.1) lie below, the next is fluoroethylene carbonate (9.1)."""
_SAME_TEMPERATURE_K = 5.0
_BARELY = 1e-3  # mol/kg; a lower limit counts as so much among several salts, so that rounding stays small
_ABSENT = 1e-9  # mole fraction below which a solvent counts as so much, so that gradients stay finite


@dataclass(frozen=True)
class SaltLimit:
    """How many molecules of solvent one lithium of a salt needs, with where that is from."""

    solvents_per_lithium: float
    source: str


@cache
def salt_limits() -> dict[str, SaltLimit]:
    """Return the limits of `salt_limits.csv` by canonical SMILES; its header explains the marks."""
    with files("activelearn").joinpath("salt_limits.csv").open(encoding="utf-8") as lines:
        return {
            Component.of(row["smiles"]).smiles: SaltLimit(
                float(row["solvents_per_lithium"]), f"{row['mark']}: {row['source']}"
            )
            for row in csv.DictReader(line for line in lines if not line.startswith("#"))
        }


@dataclass(frozen=True)
class MeasuredLimit:
    """A saturated solution of the user's own table.

    Attributes:
        salt: Canonical SMILES.
        solvents: Canonical SMILES of its solvents.
        temperature_K: K.
        solvents_per_salt: Molecules of solvent for one formula unit of salt.
        source: File and row.
    """

    salt: str
    solvents: frozenset[str]
    temperature_K: float
    solvents_per_salt: float
    source: str


def read_limits(
    path: Path, columns: Mapping[str, str] | None = None, units: Mapping[str, str] | None = None
) -> tuple[MeasuredLimit, ...]:
    """Read a table of saturated solutions, in the columns of a file of mixtures: the most that dissolves.

    Args:
        path: CSV or Parquet; see `surrogates.tables.read_mixtures`.
        columns: The file's header for each of our column names that it calls otherwise.
        units: The file's unit for each of our column names that is in another.

    Raises:
        InputError: With all that is wrong in the file, or if a row holds no salt or several.
    """
    found = candidate_mixtures(read_text(path), columns or {}, units or {})
    batch, components = found.batch, found.table.components
    problems, limits = [], []
    for i, row in enumerate(found.rows["row"].tolist()):
        salts = batch.salts[i][batch.molality[i] > 0].tolist()
        where = f"{path.name}, row {row}"
        if len(salts) != 1:
            wrong = (
                f"{len(salts) or 'no'} salt{'s' * (len(salts) > 1)} came; the most of one salt was expected"
            )
            mend = "Give one salt above 0, a small amount where next to nothing dissolves."
            problems.append(Problem(where, wrong, mend, row))
            continue
        solvents = batch.solvents[i][batch.weights[i] > 0].tolist()
        masses = torch.tensor([components[j].molar_mass for j in solvents], dtype=torch.float64)
        moles = (1000 * batch.weights[i][batch.weights[i] > 0].double() / masses).sum()
        limits.append(
            MeasuredLimit(
                salt=components[salts[0]].smiles,
                solvents=frozenset(components[j].smiles for j in solvents),
                temperature_K=float(batch.temperature_K[i]),
                solvents_per_salt=float(moles / batch.molality[i].sum()),
                source=where,
            )
        )
    if problems:
        raise InputError(problems)
    return tuple(limits)


@dataclass(frozen=True)
class Solubility:
    """What limits the salts of mixtures, each by itself.

    A salt needs so many molecules of solvent a lithium, and weight fractions `w_i` of solvents hold
    `1000 w_i / M_i` of them a kg, so that the limit [mol/kg] is linear: `sum_i w_i limit_i`. Of the user's
    own table count the rows between the coldest and the warmest candidate (5 K more on either side); a
    solvent that stands in some of a salt's rows counts by that which asks for most molecules, so that no
    limit exceeds a measured one, and one that stands in none by `salt_limits.csv`. Solvents of which nothing
    is known, and those that lithium does not bind to, do not count.

    Attributes:
        variables: The solvents and salts.
        temperature_K: Lowest and highest of the candidates, K.
        measured: The user's own table.
    """

    variables: MixtureVariables
    temperature_K: tuple[float, float]
    measured: tuple[MeasuredLimit, ...] = ()

    @cached_property
    def limits(self) -> Tensor:
        """Limit of each salt in each solvent alone, `k x s`, mol/kg, float64; 0 where it does not count."""
        return torch.tensor(
            [[self._limit(solvent, salt)[0] for salt in self._salts] for solvent in self._solvents],
            dtype=torch.float64,
        )

    @cached_property
    def unknown_salts(self) -> tuple[str, ...]:
        """Names of the salts of which nothing is known."""
        rows = self._rows
        return tuple(
            name
            for name, salt in self.variables.salts.items()
            if salt.smiles not in salt_limits() and all(row.salt != salt.smiles for row in rows)
        )

    def constraints(self) -> tuple[Linear, ...]:
        """Return a constraint for each salt, in mol/kg, and one that keeps out those without data.

        Salts are looked at one by one: that two of them share the solvent is in `together`.
        """
        k, names, known = len(self._solvents), list(self.variables.salts), []
        for s, name in enumerate(names):
            if s in self._known:
                by_solvent = [(i, float(self.limits[i, s])) for i in range(k)]
                counting = tuple((i, limit) for i, limit in by_solvent if limit)
                known.append(Linear(f"solubility of {name}", "mol/kg", (*counting, (k + s, -1.0)), 0.0))
        none = tuple((k + names.index(name), -1.0) for name in self.unknown_salts)
        return (*known, *([Linear("solubility: no data on the salt", "mol/kg", none, 0.0)] if none else []))

    def together(self) -> tuple[Linear | SharedSolvent, ...]:
        """Return the constraint that all salts with data share the solvent, for mixtures of several salts.

        What it allows of a mixture with one salt is what that salt's own limit allows; of fewer than two
        salts there is none. `sum_i 1000 w_i / M_i - sum_s r_s m_s >= 0` over the solvents that count is
        linear, in mol solvent/kg; where the user's table has salts need more of one solvent than of another,
        the sum of what each takes of its limit may be at most 1, which is not.
        """
        limits = self.limits[:, self._known]
        counts = (limits > 0).any(1)
        if len(self._known) < 2 or not counts.any():
            return ()
        k, name = len(limits), "solubility of all salts together"
        molecules = self._molecules[counts]
        needed = (
            molecules[:, None] / limits[counts]
        )  # of a solvent by a salt; infinite where it does not count
        if torch.allclose(needed, needed[:1]) and needed.isfinite().all():
            solvents = zip(counts.nonzero()[:, 0].tolist(), molecules.tolist(), strict=True)
            salts = zip((k + s for s in self._known), (-needed[0]).tolist(), strict=True)
            return (Linear(name, "mol/kg", (*solvents, *salts), 0.0),)
        return (SharedSolvent(name, tuple(k + s for s in self._known), tuple(map(tuple, limits.T.tolist()))),)

    def limit(self, x: Tensor) -> Tensor:
        """Return the limit of the salt that each candidate holds, `n`, mol/kg; NaN where nothing is known.

        Args:
            x: `n x (k + s + 1)`, with at most one salt each; without any, the limit is infinite.
        """
        k, s = self.limits.shape
        fractions, molality = x[:, :k], x[:, k : k + s]
        limit = (fractions @ self.limits).gather(1, molality.argmax(1, keepdim=True))[:, 0]
        unknown = [list(self.variables.salts).index(name) for name in self.unknown_salts]
        limit = limit.masked_fill((molality[:, unknown] > 0).any(1), torch.nan)
        return limit.masked_fill((molality == 0).all(1), torch.inf)

    def source(self, solvents: Sequence[str], salt: str) -> str:
        """Return where the limit of a salt in some solvents is from.

        Args:
            solvents: Names.
            salt: Name.
        """
        if salt in self.unknown_salts:
            return f"no data on {salt}"
        smiles = self.variables.salts[salt].smiles
        said = [self._limit(self.variables.solvents[name], smiles)[1] for name in solvents]
        uncounted = [name for name, text in zip(solvents, said, strict=True) if not text]
        told = list(dict.fromkeys(filter(None, said)))
        return "; ".join([*told, *([f"not counted: {', '.join(uncounted)}"] if uncounted else [])])

    @cached_property
    def unused_rows(self) -> tuple[str, ...]:
        """File and row of what the table says of other temperatures or salts."""
        salts = {salt.smiles for salt in self.variables.salts.values()}
        return tuple(row.source for row in self.measured if row not in self._rows or row.salt not in salts)

    @cached_property
    def _known(self) -> list[int]:
        """Which salts something is known of."""
        return [s for s, name in enumerate(self.variables.salts) if name not in self.unknown_salts]

    @cached_property
    def _molecules(self) -> Tensor:
        """Molecules of each solvent in a kg of it, `k`, mol."""
        return torch.tensor([1000 / one.molar_mass for one in self._solvents], dtype=torch.float64)

    @property
    def _solvents(self) -> list[Component]:
        return list(self.variables.solvents.values())

    @property
    def _salts(self) -> list[str]:
        return [salt.smiles for salt in self.variables.salts.values()]

    @cached_property
    def _rows(self) -> tuple[MeasuredLimit, ...]:
        low, high = self.temperature_K
        low, high = low - _SAME_TEMPERATURE_K, high + _SAME_TEMPERATURE_K
        return tuple(row for row in self.measured if low <= row.temperature_K <= high)

    def _limit(self, solvent: Component, salt: str) -> tuple[float, str]:
        """Return the limit of a salt in a solvent alone, mol/kg, and its source; 0 and none if unknown."""
        own = [row for row in self._rows if row.salt == salt and solvent.smiles in row.solvents]
        if own:
            worst = max(own, key=lambda row: row.solvents_per_salt)
            return 1000 / solvent.molar_mass / worst.solvents_per_salt, f"measured: {worst.source}"
        facts, shipped = solvent_facts().get(solvent.smiles), salt_limits().get(salt)
        if shipped is None or facts is None or facts.donor_number < WEAKEST_DONOR:
            return 0.0, ""
        needed = shipped.solvents_per_lithium
        return 1000 / solvent.molar_mass / needed, f"{needed:g} solvents a Li, {shipped.source}"


@dataclass(frozen=True)
class SharedSolvent:
    """That salts share the solvents: `1 - sum_s m_s / sum_i w_i limit_is`, what is left of the solvent.

    Attributes:
        name: What people call it.
        salts: The columns of the salts.
        limits: Of each salt in each solvent alone, mol/kg; the solvents are the first columns.
    """

    name: str
    salts: tuple[int, ...]
    limits: tuple[tuple[float, ...], ...]
    unit: str = ""
    tolerance: float = TOLERANCE
    is_equality: bool = False

    @property
    def columns(self) -> tuple[int, ...]:
        """The solvents and the salts."""
        return *range(len(self.limits[0])), *self.salts

    def residual(self, x: Tensor) -> Tensor:
        """Return which part of the solvent is left, `...`."""
        limits = torch.tensor(self.limits, dtype=torch.float64).to(x)
        alone = x[..., : limits.shape[1]] @ limits.T
        return 1 - (x[..., list(self.salts)] / alone.clamp_min(_BARELY)).sum(-1)


@dataclass(frozen=True)
class LiquidRange:
    """That a mixture is no colder than its ideal liquidus, in K: a constraint.

    `T >= max_i dH_i / (dH_i / Tm_i - R ln a_i)`, with `a_i` the mole fraction of a solvent among all solvents
    and ions. Solvents without data cannot be told to freeze, and `unknown_solvents` names them. Electrolytes
    supercool: many are liquid, and measured, far below it.

    Attributes:
        variables: The solvents and salts.

    Source: Schroeder-van Laar equation; melting points and enthalpies with their sources in
    surrogates/solvent_facts.csv.
    """

    variables: MixtureVariables
    name: str = "liquid range"
    unit: str = "K"
    tolerance: float = field(default=1e-3, repr=False)
    is_equality: bool = field(default=False, repr=False)

    @property
    def columns(self) -> tuple[int, ...]:
        """All."""
        return tuple(range(len(self.variables.names)))

    def residual(self, x: Tensor) -> Tensor:
        """Return how far the temperature is above the liquidus, `...`, K."""
        return x[..., -1] - self.liquidus_K(x)

    def liquidus_K(self, x: Tensor) -> Tensor:
        """Return the temperature at which the first solid appears, `...`, K; 0 where no solvent has data."""
        masses, ions, melting, enthalpy = (fact.to(x) for fact in self._facts)
        k = len(masses)
        moles = 1000 * x[..., :k] / masses
        salt = (x[..., k : k + len(ions)] * ions).sum(-1, keepdim=True)
        activity = (moles / (moles.sum(-1, keepdim=True) + salt)).clamp_min(_ABSENT)
        freezing = enthalpy / (enthalpy / melting - GAS_CONSTANT * activity.log())
        return torch.where(moles > 0, freezing, 0.0).amax(-1)

    @cached_property
    def unknown_solvents(self) -> tuple[str, ...]:
        """Names of the solvents without a melting point or an enthalpy of fusion."""
        return tuple(name for name, one in self.variables.solvents.items() if not _has_fusion(one.smiles))

    def constraints(self) -> tuple[LiquidRange | Linear, ...]:
        """Return itself, and a constraint that keeps out solvents without data."""
        names = list(self.variables.solvents)
        none = tuple((names.index(name), -1.0) for name in self.unknown_solvents)
        return (self, *([Linear("liquid range: no data on a solvent", "", none, 0.0)] if none else []))

    def source(self, solvents: Sequence[str]) -> str:
        """Return where the facts of some solvents, by name, are from."""
        said = []
        for name in solvents:
            smiles = self.variables.solvents[name].smiles
            known = _has_fusion(smiles)
            said.append(f"{name}: {solvent_facts()[smiles].fusion_source}" if known else f"no data on {name}")
        return "; ".join(said)

    @cached_property
    def _facts(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Molar masses, `k`; ions in a formula unit, `s`; melting points and enthalpies, `k`."""
        solvents = [one.smiles for one in self.variables.solvents.values()]
        known = [solvent_facts().get(one) if _has_fusion(one) else None for one in solvents]
        columns = (
            [one.molar_mass for one in self.variables.solvents.values()],
            [len(one.smiles.split(".")) for one in self.variables.salts.values()],
            [one.melting_point_K if one else 1e-3 for one in known],  # so that it never freezes first
            [one.fusion_enthalpy_J_mol if one else 1.0 for one in known],
        )
        masses, ions, melting, enthalpy = (torch.tensor(c, dtype=torch.float64) for c in columns)
        return masses, ions, melting, enthalpy


def _has_fusion(smiles: str) -> bool:
    facts = solvent_facts().get(smiles)
    return facts is not None and facts.melting_point_K > 0 and facts.fusion_enthalpy_J_mol > 0
