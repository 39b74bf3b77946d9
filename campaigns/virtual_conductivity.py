"""The virtual laboratory's law: conductivity of lithium electrolytes from their solvents' and salts' facts.

Semi-empirical: transport by the solution's viscosity, free ions by a pairing constant, seven global constants
and two a salt calibrated on the rows of CALiSol-23 (CC BY 4.0) that hold carbonates alone, 233 to 345 K. It
plays the world in a campaign; no surrogate learns from it unless a campaign says so. With mole fractions `x`
among the solvents and the salt's concentration `c` [mol/L]:

    ln eta  = sum_i x_i (A_i + B_i / (T - tau v c - T0_i)) + G x_cyclic (1 - x_cyclic) + b v c
    ln K    = k0 + k1 (298.15 K / T) / (eps + d c) - 4 ln(solvent / 10 mol/L) - sum_i x_i sigma_i
    K a^2 c = 1 - a
    kappa   = c a W walden eta^-gamma

`python -m tests.benchmarks.bench_virtual_laboratory` prints how far it is from the measurements.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import torch
from torch import Tensor

from surrogates.batches import MixtureBatch
from surrogates.chemicals import name_of
from surrogates.errors import InputError, Problem
from surrogates.laws import linear_mixing
from surrogates.mole_fractions import mole_fractions
from surrogates.molecules import Component, MoleculeTable

TARGET = "conductivity_mS_cm"
COLDEST_K, WARMEST_K = 233.0, 345.0
"""Between these the law was calibrated; it says nothing beyond."""
LABELS = ("", "dubious", "indicative")
"""How far the law is to be trusted, see `VirtualConductivity.labels`."""
MOST_MOLALITY = 1.8
"""mol/kg, above which the law is dubious: its error there is about 17 %."""
MOST_OF_ONE = 0.5
"""Mole fraction of EC, or of FEC, above which the law is dubious; GUESS. EC is solid when pure."""
_FEW_ROWS = "LiFSI"
_MEND = "Correct it, or leave such mixtures out."
_ROOM_K = 298.15
_VISCOSITY_EXCESS = 0.2732  # G
_PERMITTIVITY_OF_SALT = 4.5759  # d, L/mol
_PAIRING = 38.588  # k1
_GLASS_K = 23.9936  # tau, K L/mol
_VISCOSITY_POWER = 0.9182  # gamma
_WALDEN = 0.6819  # W
_THICKENING = 0.5863  # b, L/mol
_COORDINATION = 4.0  # solvents about a lithium
_ABOVE_ARREST_K = 15.0  # the least that T - tau v c is above T0
_SOLVENT_COLUMNS = (
    "density_g_cm3",
    "density_slope_g_cm3_K",
    "viscosity_A",
    "viscosity_B_K",
    "viscosity_T0_K",
    "permittivity",
    "permittivity_log_slope_1_K",
    "sigma",
    "is_cyclic",
    "is_calibrated",
)
_SALT_COLUMNS = ("molar_volume_cm3_mol", "v", "log_k0", "walden_S_cm2_mPa_s_mol")


@cache
def solvent_constants() -> dict[str, tuple[float, ...]]:
    """Return the constants by canonical SMILES, in the order of the file; its header explains them."""
    return _constants("virtual_solvents.csv", _SOLVENT_COLUMNS)


@cache
def salt_constants() -> dict[str, tuple[float, ...]]:
    """Return the constants by canonical SMILES, in the order of the file; its header explains them."""
    return _constants("virtual_salts.csv", _SALT_COLUMNS)


@dataclass(frozen=True)
class VirtualConductivity:
    """The law, bound to a molecule table.

    Attributes:
        table: The `u` molecules that batches point into.
        solvents: `u x 10`, float64, `virtual_solvents.csv` from density to is_calibrated; 1 of others.
        salts: `u x 4`, float64, `virtual_salts.csv` from molar volume to walden; 1 of others.
        molar_mass: `u`, float64, g/mol.
        is_solvent: `u`, bool, whether it is one of the 27 solvents.
        is_salt: `u`, bool, whether it is one of the 8 salts.
    """

    table: MoleculeTable
    solvents: Tensor
    salts: Tensor
    molar_mass: Tensor
    is_solvent: Tensor
    is_salt: Tensor

    @staticmethod
    def bind(table: MoleculeTable) -> VirtualConductivity:
        """Return the law for mixtures of a table's molecules; it may hold others, if no mixture does."""
        smiles = [component.smiles for component in table.components]
        return VirtualConductivity(
            table=table,
            solvents=_rows(smiles, solvent_constants(), len(_SOLVENT_COLUMNS)),
            salts=_rows(smiles, salt_constants(), len(_SALT_COLUMNS)),
            molar_mass=torch.tensor([Component.of(one).molar_mass for one in smiles], dtype=torch.float64),
            is_solvent=torch.tensor([one in solvent_constants() for one in smiles]),
            is_salt=torch.tensor([one in salt_constants() for one in smiles]),
        )

    def conductivity(self, batch: MixtureBatch) -> Tensor:
        """Return the conductivity of each mixture, `n`, mS/cm, float64; 0 without a salt.

        Gradients reach weights, molality and temperature. Of several salts the constants are averaged by
        mole, which nothing has tested.

        Args:
            batch: `n` mixtures of the bound table.

        Raises:
            InputError: If a mixture holds another solvent or salt, a bad amount, or is colder than 233 K or
                warmer than 345 K.
        """
        self.check(batch)
        return self._law(batch.to(torch.float64))

    def labels(self, batch: MixtureBatch) -> Tensor:
        """Return how far the law is to be trusted on each mixture, `n`, int64, a place in `LABELS`.

        Indicative: not of EC, PC, FEC, DMC, EMC and DEC alone, or with several salts. Else dubious: above
        1.8 mol/kg, more than half of the molecules EC or FEC, or LiFSI, of which few rows are known.
        """
        carbonates = self._solvents_of(batch)[..., -1] > 0
        is_indicative = (~carbonates & (batch.weights > 0)).any(-1) | (batch.salt_counts() > 1)
        x = mole_fractions(batch.fractions().double(), self.molar_mass[batch.solvents])
        rich = torch.stack([(x * self._is(name)[batch.solvents]).sum(-1) for name in ("EC", "FEC")])
        few = (self._is(_FEW_ROWS)[batch.salts] & (batch.molality > 0)).any(-1)
        is_dubious = (batch.molality.sum(-1) > MOST_MOLALITY) | (rich > MOST_OF_ONE).any(0) | few
        return torch.where(is_indicative, 2, is_dubious.long())

    def check(self, batch: MixtureBatch) -> None:
        """Check that the law says something of each mixture.

        Raises:
            InputError: With each molecule that it does not know, and the first bad mixture of each kind.
        """
        used, dissolved = batch.weights > 0, batch.molality > 0
        problems = [
            *self._strangers(batch.solvents[used & ~self.is_solvent[batch.solvents]], "solvent"),
            *self._strangers(batch.salts[dissolved & ~self.is_salt[batch.salts]], "salt"),
        ]
        T = batch.temperature_K
        for is_bad, came, expected in (
            (~_sane(batch.weights) | ~used.any(-1), batch.weights, "weight fractions from 0, not all 0,"),
            (~_sane(batch.molality), batch.molality, "molalities [mol/kg] from 0"),
            (
                ~((T >= COLDEST_K) & (T <= WARMEST_K)),
                T[:, None],
                f"a temperature from {COLDEST_K:g} to {WARMEST_K:g} K, in which the law was calibrated,",
            ),
        ):
            if is_bad.any():
                first = int(is_bad.long().argmax())
                numbers = ", ".join(f"{number:g}" for number in came[first].tolist())
                verb = "was" if expected.startswith("a ") else "were"
                where = f"mixture {first + 1} of {len(batch)}"
                problems.append(Problem(where, f"{numbers} came; {expected} {verb} expected", _MEND))
        if problems:
            raise InputError(problems)

    def _strangers(self, rows: Tensor, kind: str) -> list[Problem]:
        known = solvent_constants() if kind == "solvent" else salt_constants()
        names = ", ".join(name_of(smiles) for smiles in known)
        return [
            Problem(
                f"{kind} {name_of(self.table.components[row].smiles)}",
                f"the virtual laboratory does not have it; its {kind}s are {names}",
                "Take one of these.",
            )
            for row in rows.unique().tolist()
        ]

    def _is(self, name: str) -> Tensor:
        return torch.tensor([name_of(component.smiles) == name for component in self.table.components])

    def _solvents_of(self, batch: MixtureBatch) -> Tensor:
        return self.solvents[batch.solvents]

    def _law(self, batch: MixtureBatch) -> Tensor:
        T = batch.temperature_K
        warmer = T[:, None] - _ROOM_K
        rho, rho_slope, A, B, T0, eps_room, eps_slope, sigma, is_cyclic, _ = self._solvents_of(batch).unbind(
            -1
        )
        molar_mass = self.molar_mass[batch.solvents]
        volume_salt, v, log_k0, walden = self._salts_of(batch).unbind(-1)

        x = mole_fractions(batch.weights, molar_mass)
        volume = molar_mass / (rho + rho_slope * warmer)  # cm3/mol
        volume_mixed = linear_mixing(x, volume)
        salt = batch.molality.sum(-1) * linear_mixing(x, molar_mass) / 1000  # mol for a mol of solvents
        c = 1000 * salt / (volume_mixed + salt * volume_salt)  # mol/L

        # Looyenga, Physica 31, 401 (1965): cubic roots of permittivities mix by volume.
        roots = (eps_room * (eps_slope * warmer).exp()) ** (1 / 3)
        eps = linear_mixing(x * volume / volume_mixed[:, None], roots) ** 3

        cooler = T - _GLASS_K * v * c  # salt raises the glass temperature
        above = (cooler[:, None] - T0).clamp_min(_ABOVE_ARREST_K)
        cyclic = linear_mixing(x, is_cyclic)
        log_viscosity = linear_mixing(x, A + B / above)
        log_viscosity = log_viscosity + _VISCOSITY_EXCESS * cyclic * (1 - cyclic) + _THICKENING * v * c

        attraction = _PAIRING * (_ROOM_K / T) / (eps + _PERMITTIVITY_OF_SALT * c)
        solvent_mol_L = 1000 / volume_mixed
        log_k = log_k0 + attraction - _COORDINATION * (solvent_mol_L / 10).log() - linear_mixing(x, sigma)
        # The root of K free**2 c = 1 - free between 0 and 1, in a form without a difference.
        free = 2 / (1 + (1 + 4 * log_k.exp() * c).sqrt())
        return c * free * _WALDEN * walden * (-_VISCOSITY_POWER * log_viscosity).exp()

    def _salts_of(self, batch: MixtureBatch) -> Tensor:
        """Return the constants of the salts together, `n x 4`, averaged by mole."""
        total = batch.molality.sum(-1, keepdim=True)
        equal = torch.full_like(batch.molality, 1 / batch.molality.shape[-1])
        # One salt has a share of 1 at any molality, 0 included, so that the slope there is its own.
        shares = torch.where(total > 0, batch.molality / torch.where(total > 0, total, 1.0), equal)
        return (shares[..., None] * self.salts[batch.salts]).sum(1)


def _sane(amounts: Tensor) -> Tensor:
    return (amounts.isfinite() & (amounts >= 0)).all(-1)


def _rows(smiles: Sequence[str], constants: dict[str, tuple[float, ...]], width: int) -> Tensor:
    """Return constants, `u x width`; 1 where there are none, so that an empty slot's gradients are finite."""
    return torch.tensor([constants.get(one, (1.0,) * width) for one in smiles], dtype=torch.float64)


def _constants(file: str, columns: Sequence[str]) -> dict[str, tuple[float, ...]]:
    with files("campaigns").joinpath(file).open(encoding="utf-8") as lines:
        return {
            Component.of(row["smiles"]).smiles: tuple(float(row[column] or 0) for column in columns)
            for row in csv.DictReader(line for line in lines if not line.startswith("#"))
        }
