"""A user's own file of mixtures, read as strictly as the published data."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd
import torch

from surrogates.batches import MixtureBatch
from surrogates.errors import InputError, Problem
from surrogates.mixture_cells import (
    Slot,
    check_mixtures,
    check_salt_fractions,
    check_twice,
    read_salt,
    read_slot,
)
from surrogates.mixture_data import MixtureData, mixture_rows, tabulate
from surrogates.mole_fractions import molalities, mole_fractions, weight_fractions
from surrogates.molecules import Component, MoleculeTable
from surrogates.quantities import Floats, check_units, conductivities, convert_target, numbers
from surrogates.text_tables import Findings, TextTable, nearest, read_text, rename

ROOM_TEMPERATURE_K = 298.15
_KINDS = ("weight_fraction", "mole_fraction")
_SALT_KINDS = ("molality_mol_kg", "salt_mole_fraction")
_INPUTS = ("salt", *_SALT_KINDS, "temperature_K")
_NUMBERED = re.compile(rf"(solvent|molar_mass|{'|'.join(_KINDS)})_([1-9]\d*)")
_NUMBERED_SALT = re.compile(rf"(salt|{'|'.join(_SALT_KINDS)})_([1-9]\d*)")
_LIKE_SALT = re.compile(r"(?i)(lithium[ _-]?)?(salt|molality(_mol_kg)?)s?[ _-]?\d*")
_LIKE_TEMPERATURE = re.compile(r"(?i)temp|t([\W_]|$)")
_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class _Layout:
    """What the columns of a file say.

    Attributes:
        solvents: How many a row may have.
        kind: `weight_fraction` or `mole_fraction`.
        salts: The columns of each salt that a row may have: of its name, and of its amount.
        salt_kind: `molality_mol_kg` or `salt_mole_fraction`.
        measured: The column that the target is taken from; None of candidates.
        has_temperature: Whether there is a column for it.
        ignored: Columns that are passed over.
    """

    solvents: int
    kind: str
    salts: tuple[tuple[str, str], ...]
    salt_kind: str
    measured: str | None
    has_temperature: bool
    ignored: tuple[str, ...]


@dataclass(frozen=True)
class Mixtures:
    """`n` mixtures of a file, in its order, whatever was measured of them.

    Attributes:
        table: The distinct components.
        batch: `n` mixtures; weights, molality and temperature in float64.
        rows: `n` rows, as `MixtureData` has them.
        report: One line for each thing that was done, and to how many rows.
    """

    table: MoleculeTable
    batch: MixtureBatch
    rows: pd.DataFrame
    report: tuple[str, ...]


def read_mixtures(
    path: Path, target: str, columns: Mapping[str, str] = _NONE, units: Mapping[str, str] = _NONE
) -> MixtureData:
    """Return the measured mixtures of a CSV or Parquet file.

    Its columns: `solvent_1`, `solvent_2`, ... and `salt`, SMILES or known names; `weight_fraction_1`, ... or
    `mole_fraction_1`, ... among the solvents; `molality_mol_kg` or `salt_mole_fraction`, formula units over
    those of all salts and the molecules of all solvents; `temperature_K` (298.15 K if there is no such
    column); `molar_mass_1`, ... [g/mol], needed for polymers only; and the target. Several salts have their
    columns numbered, `salt_1`, `molality_mol_kg_1`, ...; a row without a salt leaves its cells empty. Other
    columns are passed over.

    Args:
        path: The file.
        target: What to learn. `conductivity_mS_cm`, `conductivity_S_cm` and their `log10_` forms convert: the
            file may hold another of them than is asked for.
        columns: The file's header for each of our column names that it calls otherwise.
        units: The file's unit, as pint spells it, for each of our column names that is in another.

    Raises:
        InputError: With every bad header, unit and cell of the file.
    """
    return measured_mixtures(read_text(path), target, columns, units)


def measured_mixtures(
    table: TextTable, target: str, columns: Mapping[str, str] = _NONE, units: Mapping[str, str] = _NONE
) -> MixtureData:
    """Return the measured mixtures of a file that has been read as text; see `read_mixtures`.

    Raises:
        InputError: With every bad header, unit and cell of the file.
    """
    if is_input(target):
        wrong = f'the target "{target}" is part of what the mixture is, nothing to learn'
        raise InputError(Problem(table.file, wrong, "Name the column of a measured property."))
    mixtures, measured = _read(table, target, columns, units)
    return MixtureData(
        table=mixtures.table,
        batch=mixtures.batch,
        target=torch.tensor(measured),
        target_name=target,
        rows=mixtures.rows,
        source=table.file,
        sha256=table.sha256,
        report=mixtures.report,
    )


def candidate_mixtures(
    table: TextTable, columns: Mapping[str, str] = _NONE, units: Mapping[str, str] = _NONE
) -> Mixtures:
    """Return the mixtures of a file that need not hold a target; see `read_mixtures`.

    Raises:
        InputError: With every bad header, unit and cell of the file.
    """
    return _read(table, None, columns, units)[0]


def measured_values(
    table: TextTable, target: str, columns: Mapping[str, str] = _NONE, units: Mapping[str, str] = _NONE
) -> Floats:
    """Return the measurements of a file alone, `n`, whatever it says of mixtures; see `read_mixtures`.

    Raises:
        InputError: With every bad header, unit and cell of the target.
    """
    found = Findings(table.file, columns)
    cells = rename(table, columns, lambda name: _is_ours(name, target), found)
    header = [str(name) for name in cells]
    measured = _measured(header, target, found)
    if measured not in header:
        found.header(f'column "{target}" is missing', f"{nearest(target, header)}{_add(target, target)}")
    check_units(units, cells.columns, found)
    found.stop()
    values = numbers(cells[measured], units.get(measured), found)
    found.stop()
    return convert_target(values, measured, target)


def is_input(column: str) -> bool:
    """Return whether a column of ours says what a mixture is."""
    return column in _INPUTS or _is_numbered(column)


def _read(
    table: TextTable, target: str | None, columns: Mapping[str, str], units: Mapping[str, str]
) -> tuple[Mixtures, Floats]:
    """Return the mixtures and their targets, `n`; none if there is no target."""
    found = Findings(table.file, columns)
    cells = rename(table, columns, lambda name: _is_ours(name, target), found)
    layout = _layout([str(name) for name in cells], target, found)
    check_units(units, cells.columns, found)
    found.stop()

    slots = [read_slot(cells, i, layout.kind, units, found) for i in range(1, layout.solvents + 1)]
    check_mixtures(slots, cells.index, layout.kind, found)
    check_twice(slots, cells.index, "one solvent stands here twice", "Add up its fractions.", found)
    salts = [read_salt(cells, salt, amount, units, found) for salt, amount in layout.salts]
    check_twice(salts, cells.index, "one salt stands here twice", "Add up its amounts.", found)
    if layout.salt_kind == "salt_mole_fraction":
        check_salt_fractions(salts, [amount for _, amount in layout.salts], cells.index, found)
    temperature = np.full(len(cells), ROOM_TEMPERATURE_K)
    if layout.has_temperature:
        temperature = numbers(cells["temperature_K"], units.get("temperature_K"), found)
    measured = np.empty(0)
    if target is not None and layout.measured is not None:
        values = numbers(cells[layout.measured], units.get(layout.measured), found)
        measured = convert_target(values, layout.measured, target)
    found.stop()

    weights, molality = _amounts(slots, layout.kind, salts, layout.salt_kind)
    molecules, batch = tabulate(*_present(slots, weights), *_present(salts, molality), temperature)
    rows = mixture_rows(molecules, batch, cells.index.to_numpy(), np.zeros(len(cells), dtype=bool))
    report = _report(table, cells, layout, target, units, slots, salts, rows)
    return Mixtures(molecules, batch, rows, report), measured


def _is_ours(name: str, target: str | None) -> bool:
    return is_input(name) or name in (target, *conductivities())


def _is_numbered(name: str) -> bool:
    return bool(_NUMBERED.fullmatch(name) or _NUMBERED_SALT.fullmatch(name))


def _layout(header: list[str], target: str | None, found: Findings) -> _Layout:
    matches = [match for name in header if (match := _NUMBERED.fullmatch(name))]
    solvents = max((int(match[2]) for match in matches if match[1] != "molar_mass"), default=1)
    kinds = [kind for kind in _KINDS if kind in {match[1] for match in matches}] or ["weight_fraction"]
    measured = None if target is None else _measured(header, target, found)
    slots = range(1, min(solvents, len(header)) + 1)
    needed = [f"{word}_{i}" for i in slots for word in ("solvent", kinds[0])]
    salts, salt_kind = _salts(header, found)
    needed += [name for columns in salts for name in columns] + ([measured] if measured else [])
    optional = ["temperature_K", *(f"molar_mass_{i}" for i in slots)]
    if len(kinds) > 1:
        found.header("fractions are given by weight and by mole", "Remove the columns of one kind.")
        needed += [f"{kinds[1]}_{i}" for i in slots]
    ignored = [name for name in header if name not in (*needed, *optional)]
    missing = [name for name in needed if name not in header]
    for name in filter(_LIKE_SALT.fullmatch, ignored):
        if name.lower() in missing:
            continue  # told below, as the one that is missing
        found.header(
            f'column "{name}" may hold a salt or its amount, but several salts are numbered as salt_1 and '
            "salt_2",
            "Number salts and their amounts alike, or remove it.",
        )
    for name in missing:
        found.header(f'column "{name}" is missing', f"{nearest(name, ignored)}{_add(name, target)}")
    if "temperature_K" not in header:
        for name in filter(_LIKE_TEMPERATURE.match, ignored):
            found.header(
                f'column "{name}" may hold the temperature, but is not called temperature_K',
                "Map temperature_K to it in columns, or rename or remove it.",
            )
    has_temperature = "temperature_K" in header
    return _Layout(solvents, kinds[0], salts, salt_kind, measured, has_temperature, tuple(ignored))


def _add(name: str, target: str | None) -> str:
    """Return how to mend that a column is missing, a sentence."""
    if name != target or name not in conductivities():
        return "Add it, or map a header to it in columns."
    others = ", ".join(other for other in conductivities() if other != name)
    return f"Add it or one that converts to it ({others}), or map a header to one of them in columns."


def _salts(header: list[str], found: Findings) -> tuple[tuple[tuple[str, str], ...], str]:
    """Return the columns of each salt, and whether amounts are molalities or mole fractions."""
    numbered = [match for name in header if (match := _NUMBERED_SALT.fullmatch(name))]
    named = {*header, *(match[1] for match in numbered)}
    kinds = [kind for kind in _SALT_KINDS if kind in named] or ["molality_mol_kg"]
    if len(kinds) > 1:
        found.header("salts are given by molality and by mole fraction", "Remove the columns of one kind.")
    if not numbered:
        return (("salt", kinds[0]),), kinds[0]
    last = min(max(int(match[2]) for match in numbered), len(header))
    return tuple((f"salt_{i}", f"{kinds[0]}_{i}") for i in range(1, last + 1)), kinds[0]


def _measured(header: list[str], target: str, found: Findings) -> str:
    """Return the column that the target is taken from."""
    if target in header or target not in conductivities():
        return target
    others = [name for name in conductivities() if name in header]
    if len(others) > 1:
        found.header(
            f'the target "{target}" could be taken from {" or ".join(others)}', "Remove all but one of them."
        )
    return others[0] if others else target


def _amounts(
    slots: Sequence[Slot], kind: str, salts: Sequence[Slot], salt_kind: str
) -> tuple[Floats, Floats]:
    """Return weight fractions of the solvents, `n x k`, rows summing to 1, and molalities, `n x s`."""
    given, of_salts = (
        torch.tensor(np.stack([slot.amounts for slot in some], axis=1)) for some in (slots, salts)
    )
    masses = [[part.molar_mass if part else 1.0 for part in slot.components] for slot in slots]
    molar_mass = torch.tensor(masses, dtype=torch.float64).T
    weights = given / given.sum(1, keepdim=True)
    if kind == "mole_fraction":
        weights = weight_fractions(given, molar_mass)
    if salt_kind == "salt_mole_fraction":
        left = 1 - of_salts.sum(1, keepdim=True)
        of_salts = molalities(of_salts, left * mole_fractions(weights, molar_mass), molar_mass)
    return weights.numpy(), of_salts.numpy()


def _present(slots: Sequence[Slot], amounts: Floats) -> tuple[list[list[Component]], list[list[float]]]:
    """Return what is present in each row, and how much of it."""
    components = [
        [part for part, amount in zip(parts, row, strict=True) if part is not None and amount > 0]
        for parts, row in zip(zip(*(slot.components for slot in slots), strict=True), amounts, strict=True)
    ]
    return components, [[float(amount) for amount in row if amount > 0] for row in amounts]


def _report(
    table: TextTable,
    cells: pd.DataFrame,
    layout: _Layout,
    target: str | None,
    units: Mapping[str, str],
    slots: Sequence[Slot],
    salts: Sequence[Slot],
    rows: pd.DataFrame,
) -> tuple[str, ...]:
    total = np.sum([slot.amounts for slot in slots], axis=0)
    counts = np.sum([slot.amounts > 0 for slot in salts], axis=0)
    scaled = int((np.abs(total - 1) > 1e-9).sum())
    read = {
        text: part.smiles
        for slot in (*slots, *salts)
        for text, part in zip(cells[slot.column], slot.components, strict=True)
        if part is not None and text != part.smiles
    }
    lines = [table.report()]
    if read:
        lines.append("chemicals read: " + ", ".join(f"{text} as {smiles}" for text, smiles in read.items()))
    lines += [
        f"{len(cells)} rows: {name} converted from {units[name]}"
        for name in units
        if name not in layout.ignored
    ]
    if layout.kind == "mole_fraction":
        lines.append(f"{len(cells)} rows: weight fractions computed from mole fractions and molar masses")
    if layout.salt_kind == "salt_mole_fraction":
        lines.append(f"{len(cells)} rows: molalities computed from mole fractions of salts, as formula units")
    for several, words in ((counts == 0, "no salt"), (counts > 1, "more than one salt")):
        if several.any():
            lines.append(f"{int(several.sum())} rows: {words}")
    if scaled:
        lines.append(f"{scaled} rows: fractions divided by their sum, which differs from 1 by at most 0.001")
    if not layout.has_temperature:
        lines.append(f"{len(cells)} rows: no column temperature_K, {ROOM_TEMPERATURE_K:g} K taken")
    if layout.measured != target:
        lines.append(f"{len(cells)} rows: {target} computed from {layout.measured}")
    if layout.ignored:
        lines.append(f"columns passed over: {', '.join(layout.ignored)}")
    if target is not None:  # a candidate may be asked for twice
        repeats = int(rows["repeat"].sum())
        lines.append(f"{repeats} rows: mixture and temperature of an earlier row, flagged repeat")
    return tuple(lines)
