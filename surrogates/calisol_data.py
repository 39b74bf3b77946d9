"""The CALiSol-23 data: measured conductivities of liquid electrolytes over composition and temperature."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from surrogates.mixture_data import MixtureData, mixture_rows, tabulate
from surrogates.molecules import Component

TARGET = "log10_conductivity_S_cm"
LOW_PAPER = "10.1007/s10008-002-0300-9"
"""All of its conductivities stand 100 times too low."""
LOST_DIGIT = ("10.1149/1.1403730", 3.260952381, 13.260952381)
"""Paper, conductivity [mS/cm] as given and as its neighbours, 13.1 to 13.3 mS/cm, say."""
NOTHING = 1e-12
"""mS/cm: three digitised zeros stand as 1e-16 and 2e-15; the lowest conductivity measured is 9e-7."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class CalisolChemical:
    """A solvent or salt of the data.

    Attributes:
        component: The molecule.
        density: At 25 C, g/cm3; NaN of a salt.
        is_doubtful: Whether the structure does not fit the name that stands in the papers.
    """

    component: Component
    density: float
    is_doubtful: bool


def load_calisol(path: Path) -> MixtureData:
    """Return the rows that can be learned from; its hash must have been checked.

    Dropped and counted in the report: rows without a conductivity above 1e-12 mS/cm or with a concentration
    below 0. Solvent ratios by volume (with the densities of the pure solvents at 25 C) and by mole become
    weight fractions, which are divided by their sum. mol/l becomes mol/kg solvent as if the salt took no
    room: too low by some 3 % at 1 mol/l. The target is log10 of the conductivity [S/cm].

    `rows` has four more columns: `paper` (the doi), `estimated` (the molality comes from mol/l), `doubtful`
    (the structure of a solvent does not fit the name it has in the paper) and `suspect` (the conductivity is
    that of a lower temperature; calisol_suspects.csv says how it was found).

    Args:
        path: The table, as published.

    Source: de Blasio et al., Sci. Data 11, 750 (2024).
    """
    cells = pd.read_csv(path, index_col=0)
    measured = _mended(cells)
    usable = (measured > NOTHING) & (cells["c"] >= 0).to_numpy()
    kept = cells[usable]
    names = [str(name) for name in kept.columns[7:]]
    amounts = kept[names].to_numpy(dtype=np.float64)
    masses = _masses(amounts, names, kept["solvent ratio type"])
    is_molar = (kept["c units"] == "mol/l").to_numpy()
    molality = np.where(is_molar, kept["c"] / _density(masses, names), kept["c"])
    present = [np.flatnonzero(row) for row in masses]
    table, batch = tabulate(
        [[calisol_chemicals()[names[i]].component for i in used] for used in present],
        [row[used].tolist() for row, used in zip(masses, present, strict=True)],
        [[calisol_chemicals()[salt.strip()].component] for salt in kept["salt"]],
        [[one] for one in molality],
        kept["T"].to_numpy(),
    )
    doubtful = (masses > 0) @ np.array([calisol_chemicals()[name].is_doubtful for name in names])
    rows = mixture_rows(table, batch, np.flatnonzero(usable) + 2, np.zeros(len(kept), dtype=bool))
    rows = rows.assign(
        paper=kept["doi"].to_numpy(),
        estimated=is_molar,
        doubtful=doubtful,
        suspect=_is_suspect(cells)[usable],
    )
    return MixtureData(
        table=table,
        batch=batch,
        target=torch.tensor(np.log10(measured[usable]) - 3),
        target_name=TARGET,
        rows=rows,
        source=path.name,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        report=_report(cells, kept, amounts, rows),
    )


@cache
def calisol_chemicals() -> dict[str, CalisolChemical]:
    """Return the molecules by the name they have in the data; the file's header says what was mended."""
    with files("surrogates").joinpath("calisol_chemicals.csv").open(encoding="utf-8") as lines:
        return {
            row["name"]: CalisolChemical(
                Component.of(row["smiles"]), float(row["density_g_cm3"] or "nan"), row["doubtful"] == "1"
            )
            for row in csv.DictReader(line for line in lines if not line.startswith("#"))
        }


def _mended(cells: pd.DataFrame) -> Floats:
    """Return the conductivities, mS/cm."""
    measured = cells["k"].to_numpy(dtype=np.float64, copy=True)
    measured[_is_low(cells)] *= 100
    measured[_has_lost_digit(cells)] = LOST_DIGIT[2]
    return measured


def _is_low(cells: pd.DataFrame) -> npt.NDArray[np.bool_]:
    return (cells["doi"] == LOW_PAPER).to_numpy()


def _has_lost_digit(cells: pd.DataFrame) -> npt.NDArray[np.bool_]:
    paper, given, _ = LOST_DIGIT
    return ((cells["doi"] == paper) & np.isclose(cells["k"], given, rtol=0, atol=1e-8)).to_numpy()


def _is_suspect(cells: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Return which rows the list of suspects names; paper and conductivity must be as it says."""
    with files("surrogates").joinpath("calisol_suspects.csv").open(encoding="utf-8") as lines:
        listed = pd.read_csv(lines, comment="#", index_col="row").reindex(np.arange(len(cells)) + 2)
    same = (listed["paper"].to_numpy() == cells["doi"].to_numpy()) & np.isclose(
        listed["conductivity_mS_cm"], cells["k"], rtol=1e-4
    )
    return np.asarray(same, dtype=bool)


def _masses(amounts: Floats, names: list[str], kind: pd.Series[str]) -> Floats:
    """Return weight fractions, rows summing to 1, of amounts by weight `w`, volume `v` or mole `mol`."""
    density = np.array([calisol_chemicals()[name].density for name in names])
    molar_mass = np.array([calisol_chemicals()[name].component.molar_mass for name in names])
    weigh = {"w": np.ones(len(names)), "v": density, "mol": molar_mass}
    masses = amounts * np.stack([weigh[text] for text in kind])
    fractions: Floats = masses / masses.sum(1, keepdims=True)
    return fractions


def _density(masses: Floats, names: list[str]) -> Floats:
    """Return the density of the solvent mixtures as if volumes added up, g/cm3."""
    density: Floats = 1 / (masses @ np.array([1 / calisol_chemicals()[name].density for name in names]))
    return density


def _report(cells: pd.DataFrame, kept: pd.DataFrame, amounts: Floats, rows: pd.DataFrame) -> tuple[str, ...]:
    salt = kept["salt"].str.strip()
    kind = kept["solvent ratio type"].value_counts()
    is_missing, is_zero = cells["k"].isna(), cells["k"] <= NOTHING
    is_negative = (cells["c"] < 0) & ~is_missing & ~is_zero
    doubtful = [
        name for name, chemical in calisol_chemicals().items() if chemical.is_doubtful and name in kept
    ]
    return (
        f"{len(cells)} rows read, {len(cells) - len(kept)} dropped, {len(kept)} kept from "
        f"{kept['doi'].nunique()} papers; {int(((amounts > 0).sum(1) > 1).sum())} hold 2 to 4 solvents",
        f"{int(is_missing.sum())} rows: no conductivity, dropped",
        f"{int(is_zero.sum())} rows: a conductivity of 0, or below {NOTHING:g} mS/cm for it, dropped",
        f"{int(is_negative.sum())} rows: a concentration below 0, dropped",
        f"{int(_is_low(kept).sum())} rows: conductivity of paper {LOW_PAPER} multiplied by 100",
        f"{int(_has_lost_digit(kept).sum())} rows: conductivity {LOST_DIGIT[1]} of paper {LOST_DIGIT[0]} "
        f"read as {LOST_DIGIT[2]}, as its neighbours say",
        f"{int((kept['salt'] != salt).sum())} rows: blanks around the name of the salt removed",
        f"{int((salt == 'LiN(CF3SO2)2').sum())} rows: LiN(CF3SO2)2 read as LiTFSI",
        f"{int((salt == 'LiTFSI').sum())} rows: LiTFSI, covalent in the published SMILES, read as ions",
        f"{int((salt == 'LiPDI').sum())} rows: LiPDI, without lithium in the published SMILES, read with it",
        f"{int(kind.get('v', 0))} rows: weight fractions computed from volumes and densities at 25 C",
        f"{int(kind.get('mol', 0))} rows: weight fractions computed from moles and molar masses",
        f"{int((np.abs(amounts.sum(1) - 1) > 1e-6).sum())} rows: fractions divided by their sum, which "
        "differs from 1",
        f"{int(rows['estimated'].sum())} rows: molality computed from mol/l as if the salt took no room, "
        "flagged estimated",
        f"{int(rows['doubtful'].sum())} rows: the structure of {', '.join(doubtful)} may not be what the "
        "paper means, flagged doubtful",
        f"{int(rows['suspect'].sum())} rows: conductivity of a lower temperature, flagged suspect",
        f"{int(rows['repeat'].sum())} rows: mixture and temperature of an earlier row, flagged repeat",
    )
