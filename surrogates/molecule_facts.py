"""Facts of solvents and anions, looked up, recalled or guessed as their files mark, for an encoder."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from statistics import fmean, pstdev

import torch
from torch import Tensor

from surrogates.molecules import Component, MoleculeTable, parse_smiles

_ROOM_K = 298.15


@dataclass(frozen=True)
class SolventFacts:
    """What is known of a pure solvent; NaN where nothing is.

    Attributes:
        molar_volume_cm3_mol: At 25 C.
        viscosity_A: Of `ln(viscosity / mPa s) = A + B / (T - T0)`.
        viscosity_B_K: Likewise.
        viscosity_T0_K: Likewise.
        permittivity: Relative, at 25 C.
        melting_point_K: Of the pure solvent.
        donor_number: Gutmann's, kcal/mol.
        fusion_enthalpy_J_mol: At the melting point.
        fusion_source: Where the melting point and the enthalpy of fusion are from, with the file's marks.
    """

    molar_volume_cm3_mol: float
    viscosity_A: float
    viscosity_B_K: float
    viscosity_T0_K: float
    permittivity: float
    melting_point_K: float
    donor_number: float
    fusion_enthalpy_J_mol: float
    fusion_source: str

    def log_viscosity(self, temperature_K: float = _ROOM_K) -> float:
        """Return the natural logarithm of the viscosity in mPa s; nothing is known of it near `T0`."""
        return self.viscosity_A + self.viscosity_B_K / (temperature_K - self.viscosity_T0_K)


@dataclass(frozen=True)
class AnionFacts:
    """What is known of an anion.

    Attributes:
        radius_A: In angstrom.
        walden_S_cm2_mPa_s_mol: Limiting molar conductivity of its lithium salt in propylene carbonate times
            the viscosity.
    """

    radius_A: float
    walden_S_cm2_mPa_s_mol: float


@cache
def solvent_facts() -> dict[str, SolventFacts]:
    """Return the facts by canonical SMILES; the file's header and columns say where each comes from."""
    return {Component.of(row["smiles"]).smiles: _solvent(row) for row in _rows("solvent_facts.csv")}


@cache
def anion_facts() -> dict[str, AnionFacts]:
    """Return the facts by canonical SMILES; the file's header and columns say where each comes from."""
    return {
        Component.of(row["smiles"]).smiles: AnionFacts(
            float(row["radius_A"]), float(row["walden_S_cm2_mPa_s_mol"])
        )
        for row in _rows("anion_facts.csv")
    }


def _solvent(row: dict[str, str]) -> SolventFacts:
    def number(name: str) -> float:
        return float(row[name] or "nan")

    return SolventFacts(
        molar_volume_cm3_mol=Component.of(row["smiles"]).molar_mass / number("density_g_cm3"),
        viscosity_A=number("viscosity_A"),
        viscosity_B_K=number("viscosity_B_K"),
        viscosity_T0_K=number("viscosity_T0_K"),
        permittivity=number("permittivity"),
        melting_point_K=number("melting_point_K"),
        donor_number=number("donor_number"),
        fusion_enthalpy_J_mol=number("fusion_enthalpy_J_mol"),
        fusion_source="; ".join(dict.fromkeys([row["melting_source"], row["fusion_source"]])),
    )


WIDTH = 12


def species_facts(table: MoleculeTable) -> Tensor:
    """Return the facts of species, `u x 12`, float32, standardised over those known; 0 where unknown.

    In this order: of a solvent ln viscosity at 25 C, ln permittivity, molar volume, `B` and `T0` of the
    viscosity, donor number, melting point; of an anion radius and Walden product. Then 1 for an anion that is
    known, 1 for a cation, and 1 for any other species of which nothing is known.

    Args:
        table: The `u` species.
    """
    solvents, anions = _standardised_solvents(), _standardised_anions()
    rows = []
    for component in table.components:
        solvent, anion = solvents.get(component.smiles), anions.get(component.smiles)
        is_cation = sum(atom.GetFormalCharge() for atom in parse_smiles(component.smiles).GetAtoms()) > 0
        is_unknown = not (solvent or anion or is_cation)
        flags = [float(anion is not None), float(is_cation), float(is_unknown)]
        rows.append([*(solvent or [0.0] * 7), *(anion or [0.0] * 2), *flags])
    return torch.tensor(rows).reshape(len(rows), WIDTH)


@cache
def _standardised_solvents() -> dict[str, list[float]]:
    return _standardised(
        {
            smiles: [
                one.log_viscosity(),
                math.log(one.permittivity),
                one.molar_volume_cm3_mol,
                one.viscosity_B_K,
                one.viscosity_T0_K,
                one.donor_number,
                one.melting_point_K,
            ]
            for smiles, one in solvent_facts().items()
        }
    )


@cache
def _standardised_anions() -> dict[str, list[float]]:
    return _standardised(
        {smiles: [one.radius_A, one.walden_S_cm2_mPa_s_mol] for smiles, one in anion_facts().items()}
    )


def _standardised(facts: dict[str, list[float]]) -> dict[str, list[float]]:
    """Return each column with mean 0 and standard deviation 1 over the known values, and 0 for the others."""
    known = [
        [value for value in column if not math.isnan(value)] for column in zip(*facts.values(), strict=True)
    ]
    scales = [(fmean(column), pstdev(column)) for column in known]
    return {
        name: [
            0.0 if math.isnan(v) else (v - mean) / spread
            for v, (mean, spread) in zip(row, scales, strict=True)
        ]
        for name, row in facts.items()
    }


def _rows(name: str) -> list[dict[str, str]]:
    with files("surrogates").joinpath(name).open(encoding="utf-8") as lines:
        return list(csv.DictReader(line for line in lines if not line.startswith("#")))
