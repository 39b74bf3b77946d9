"""The cells of a mixture: text to solvents, fractions and salt, with all that is wrong in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from rdkit import Chem

from surrogates.chemicals import UnknownChemical, resolve
from surrogates.molecules import (
    Component,
    InvalidMolecule,
    MoleculeTable,
    is_polymer,
    molar_mass,
    parse_smiles,
)
from surrogates.quantities import Floats, numbers
from surrogates.text_tables import Findings

SUM_TOLERANCE = 1e-3
"""How far the fractions of a row may sum from 1; within it they are divided by their sum."""

Fault = tuple[str, str]
"""What is wrong with a chemical, to follow its text, and how to mend it."""


@dataclass(frozen=True)
class Slot:
    """Solvent number `i` of all `n` rows.

    Attributes:
        components: `n`, None where a row has no such solvent.
        fractions: `n`, as the file gives them; 0 where there is no solvent, NaN where the cell is bad.
    """

    components: list[Component | None]
    fractions: Floats


def read_slot(cells: pd.DataFrame, i: int, kind: str, units: Mapping[str, str], found: Findings) -> Slot:
    """Return solvent `i` of every row.

    Args:
        cells: The file, under our column names.
        i: From 1.
        kind: `weight_fraction` or `mole_fraction`.
        units: Units of the file where they are not ours.
        found: Takes every bad cell.
    """
    solvent, fraction = f"solvent_{i}", f"{kind}_{i}"
    is_given = (cells[solvent] != "").to_numpy()
    is_blank = ((cells[fraction] == "") | (pd.to_numeric(cells[fraction], errors="coerce") == 0)).to_numpy()
    is_alone = ~is_given & ~is_blank
    found.cells(
        cells[fraction],
        is_alone,
        lambda text: f'"{text}" stands here, but the row has no {solvent}',
        "Name the solvent or clear the fraction.",
    )
    smiles = _molecules(cells[solvent], _solvent_fault, found)
    masses = _molar_masses(cells, i, smiles, units, found)
    fractions = np.where(is_alone, np.nan, 0.0)
    fractions[is_given] = numbers(cells.loc[is_given, fraction], units.get(fraction), found)
    components = [None if s is None else Component(s, float(m)) for s, m in zip(smiles, masses, strict=True)]
    return Slot(components, fractions)


def read_salts(cells: pd.Series[str], found: Findings) -> list[Component | None]:
    """Return every row's salt, None where the cell is bad."""
    is_empty = (cells == "").to_numpy()
    found.cells(cells, is_empty, lambda _: "the cell is empty; expected a salt", "Name the salt.")
    return [None if s is None else Component.of(s) for s in _molecules(cells, _salt_fault, found)]


def read_neutrals(cells: pd.Series[str], found: Findings) -> list[Component | None]:
    """Return every row's molecule, None where the cell is bad; polymers, ions and salts are refused."""
    is_empty = (cells == "").to_numpy()
    found.cells(cells, is_empty, lambda _: "the cell is empty; expected a molecule", "Name the molecule.")
    return [None if s is None else Component.of(s) for s in _molecules(cells, _neutral_fault, found)]


def check_mixtures(slots: Sequence[Slot], rows: pd.Index[int], kind: str, found: Findings) -> None:
    """Note rows without solvents, with one of them twice, or whose fractions do not sum to 1.

    Args:
        slots: The solvents.
        rows: `n`, as a spreadsheet numbers them.
        kind: `weight_fraction` or `mole_fraction`.
        found: Takes what is wrong.
    """
    solvent_columns = [f"solvent_{i}" for i in range(1, len(slots) + 1)]
    fraction_columns = [f"{kind}_{i}" for i in range(1, len(slots) + 1)]
    fractions = np.stack([slot.fractions for slot in slots], axis=1)
    total = fractions.sum(1)
    for n in np.flatnonzero(np.abs(total - 1) > SUM_TOLERANCE).tolist():
        used = np.flatnonzero(fractions[n]).tolist()
        if not used:
            found.row(rows[n], solvent_columns, "no solvent has a fraction above 0", "Complete the row.")
        else:
            came = ", ".join(f"{fraction:g}" for fraction in fractions[n, used])
            found.row(
                rows[n],
                [fraction_columns[i] for i in used],
                f"{came} sum to {total[n]:g}, expected 1 within {SUM_TOLERANCE:g} among the solvents",
                "Divide them by their sum or correct the row.",
            )
    for n, parts in enumerate(zip(*(slot.components for slot in slots), strict=True)):
        present = [part for part in parts if part is not None]
        if len(set(present)) < len(present):
            found.row(rows[n], solvent_columns, "one solvent stands here twice", "Add up its fractions.")


def _molar_masses(
    cells: pd.DataFrame, i: int, smiles: Sequence[str | None], units: Mapping[str, str], found: Findings
) -> Floats:
    """Return g/mol, the file's before the formula's; NaN where there is no solvent or the cell is bad."""
    solvent, column = f"solvent_{i}", f"molar_mass_{i}"
    by_formula = {s: np.nan if is_polymer(s) else molar_mass(s) for s in set(smiles) if s is not None}
    masses = np.array([np.nan if s is None else by_formula[s] for s in smiles])
    is_missing = np.array([s is not None for s in smiles]) & np.isnan(masses)
    if column in cells:
        is_given = ((cells[solvent] != "") & (cells[column] != "")).to_numpy()
        masses[is_given] = numbers(cells.loc[is_given, column], units.get(column), found)
        is_missing &= ~is_given
    found.cells(
        cells[solvent],
        is_missing,
        lambda text: f'"{text}" is a polymer, and {column} does not give its molar mass',
        f"Give the chain's molar mass [g/mol] in {column}.",
    )
    return masses


def _molecules(
    cells: pd.Series[str], fault_of: Callable[[str], Fault | None], found: Findings
) -> list[str | None]:
    """Return the canonical SMILES each cell means, None where it is empty or bad."""
    known: dict[str, str] = {}
    for text in filter(None, cells.unique()):
        try:
            smiles = resolve(text)
            MoleculeTable.build([Component.of(smiles)])
            fault = fault_of(smiles)
        except UnknownChemical as error:
            _note(cells, text, str(error), error.mend(), found)
            continue
        except InvalidMolecule as error:
            fault = f"cannot be used: {error}", "Remove the row; nothing can be predicted for it."
        if fault is None:
            known[text] = smiles
        else:
            _note(cells, text, f'"{text}" {fault[0]}', fault[1], found)
    return [known.get(text) for text in cells]


def _note(cells: pd.Series[str], text: str, wrong: str, mend: str, found: Findings) -> None:
    found.cells(cells, (cells == text).to_numpy(), lambda _: wrong, mend)


def _solvent_fault(smiles: str) -> Fault | None:
    charge = Chem.GetFormalCharge(parse_smiles(smiles))
    if charge != 0:
        return f"has a charge of {charge:+d}", "Give all its ions, so that it is neutral."
    return None


def _neutral_fault(smiles: str) -> Fault | None:
    if is_polymer(smiles):
        return "is a polymer, of which a mole fraction says little", "Remove the row."
    if "." in smiles or _solvent_fault(smiles):
        return "is not one molecule without charge", "Give such a molecule, or remove the row."
    return None


def _salt_fault(smiles: str) -> Fault | None:
    ions = set(smiles.split("."))
    if 0 in (Chem.GetFormalCharge(parse_smiles(ion)) for ion in ions):
        return "is not made of ions", "Give the ions with their charges, as [Li+].[Cl-]."
    if len(ions) > 2:
        return "is more than one salt", "One salt a row can be read; remove the row."
    return _solvent_fault(smiles)
