"""The cells of a mixture: text to solvents, salts and their amounts, with all that is wrong in them."""

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
    """A solvent, or a salt, of all `n` rows.

    Attributes:
        column: The file's column of its names.
        components: `n`, None where a row has none here.
        amounts: `n`, as the file gives them; 0 where a row has none here, NaN where the cell is bad.
    """

    column: str
    components: list[Component | None]
    amounts: Floats


def read_slot(cells: pd.DataFrame, i: int, kind: str, units: Mapping[str, str], found: Findings) -> Slot:
    """Return solvent `i` of every row.

    Args:
        cells: The file, under our column names.
        i: From 1.
        kind: `weight_fraction` or `mole_fraction`.
        units: Units of the file where they are not ours.
        found: Takes every bad cell.
    """
    solvent = f"solvent_{i}"
    smiles = _molecules(cells[solvent], _solvent_fault, found)
    masses = _molar_masses(cells, i, smiles, units, found)
    components = [None if s is None else Component(s, float(m)) for s, m in zip(smiles, masses, strict=True)]
    mend = "Name the solvent or clear the fraction."
    return Slot(solvent, components, _amounts(cells, solvent, f"{kind}_{i}", units, mend, found))


def read_salt(cells: pd.DataFrame, salt: str, amount: str, units: Mapping[str, str], found: Findings) -> Slot:
    """Return a salt of every row; where name and amount are empty, a row has none here.

    Args:
        cells: The file, under our column names.
        salt: The column of its names.
        amount: The column of its molality or mole fraction.
        units: Units of the file where they are not ours.
        found: Takes every bad cell.
    """
    smiles = _molecules(cells[salt], _salt_fault, found)
    components = [None if s is None else Component.of(s) for s in smiles]
    mend = "Name the salt or clear the cell."
    return Slot(salt, components, _amounts(cells, salt, amount, units, mend, found))


def read_neutrals(cells: pd.Series[str], found: Findings) -> list[Component | None]:
    """Return every row's molecule, None where the cell is bad; polymers, ions and salts are refused."""
    is_empty = (cells == "").to_numpy()
    found.cells(cells, is_empty, lambda _: "the cell is empty; expected a molecule", "Name the molecule.")
    return [None if s is None else Component.of(s) for s in _molecules(cells, _neutral_fault, found)]


def check_mixtures(slots: Sequence[Slot], rows: pd.Index[int], kind: str, found: Findings) -> None:
    """Note rows without solvents, or whose fractions do not sum to 1.

    Args:
        slots: The solvents.
        rows: `n`, as a spreadsheet numbers them.
        kind: `weight_fraction` or `mole_fraction`.
        found: Takes what is wrong.
    """
    fraction_columns = [f"{kind}_{i}" for i in range(1, len(slots) + 1)]
    fractions = np.stack([slot.amounts for slot in slots], axis=1)
    total = fractions.sum(1)
    for n in np.flatnonzero(np.abs(total - 1) > SUM_TOLERANCE).tolist():
        used = np.flatnonzero(fractions[n]).tolist()
        if not used:
            columns = [slot.column for slot in slots]
            found.row(rows[n], columns, "no solvent has a fraction above 0", "Complete the row.")
        else:
            came = ", ".join(f"{fraction:g}" for fraction in fractions[n, used])
            found.row(
                rows[n],
                [fraction_columns[i] for i in used],
                f"{came} sum to {total[n]:g}, expected 1 within {SUM_TOLERANCE:g} among the solvents",
                "Divide them by their sum or correct the row.",
            )


def check_twice(slots: Sequence[Slot], rows: pd.Index[int], wrong: str, mend: str, found: Findings) -> None:
    """Note rows in which one component stands in two slots, with an amount in both.

    Args:
        slots: All solvents, or all salts.
        rows: `n`, as a spreadsheet numbers them.
        wrong: The words for it.
        mend: What to do about it, a sentence.
        found: Takes what is wrong.
    """
    for n in range(len(rows)):
        # An amount whose cell is bad is NaN and counts, so that all that is wrong with the row is told.
        present = [
            part for slot in slots if (part := slot.components[n]) is not None and slot.amounts[n] != 0
        ]
        if len(set(present)) < len(present):
            found.row(rows[n], [slot.column for slot in slots], wrong, mend)


def check_salt_fractions(
    slots: Sequence[Slot], columns: Sequence[str], rows: pd.Index[int], found: Findings
) -> None:
    """Note rows whose salts leave no room for solvents.

    Args:
        slots: The salts, in mole fractions of the whole mixture.
        columns: The columns of the fractions.
        rows: `n`, as a spreadsheet numbers them.
        found: Takes what is wrong.
    """
    total = np.sum([slot.amounts for slot in slots], axis=0)
    for n in np.flatnonzero(total >= 1).tolist():
        used = [column for slot, column in zip(slots, columns, strict=True) if slot.amounts[n] > 0]
        wrong = f"the mole fractions of salts sum to {total[n]:g}, expected less than 1 of the whole mixture"
        found.row(rows[n], used, wrong, "Count the moles of solvents too, or correct the row.")


def _amounts(
    cells: pd.DataFrame, name: str, amount: str, units: Mapping[str, str], mend: str, found: Findings
) -> Floats:
    """Return the amounts of what a column names: 0 where it names nothing, NaN where a cell is bad."""
    is_given = (cells[name] != "").to_numpy()
    is_blank = ((cells[amount] == "") | (pd.to_numeric(cells[amount], errors="coerce") == 0)).to_numpy()
    is_alone = ~is_given & ~is_blank
    found.cells(
        cells[amount], is_alone, lambda text: f'"{text}" stands here, but the row has no {name}', mend
    )
    amounts = np.where(is_alone, np.nan, 0.0)
    amounts[is_given] = numbers(cells.loc[is_given, amount], units.get(amount), found)
    return amounts


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
        return "is more than one salt", "Give each its own columns, as salt_1 and molality_mol_kg_1."
    return _solvent_fault(smiles)
