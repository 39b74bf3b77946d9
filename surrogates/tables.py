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
from surrogates.mixture_cells import Slot, check_mixtures, read_salts, read_slot
from surrogates.mixture_data import MixtureData, mixture_rows, tabulate
from surrogates.molecules import Component, MoleculeTable
from surrogates.quantities import Floats, check_units, conductivities, convert_target, numbers
from surrogates.text_tables import Findings, TextTable, nearest, read_text, rename

ROOM_TEMPERATURE_K = 298.15
_KINDS = ("weight_fraction", "mole_fraction")
_INPUTS = ("salt", "molality_mol_kg", "temperature_K")
_NUMBERED = re.compile(rf"(solvent|molar_mass|{'|'.join(_KINDS)})_([1-9]\d*)")
_LIKE_TEMPERATURE = re.compile(r"(?i)temp|t([\W_]|$)")
_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class _Layout:
    """What the columns of a file say.

    Attributes:
        solvents: How many a row may have.
        kind: `weight_fraction` or `mole_fraction`.
        measured: The column that the target is taken from; None of candidates.
        has_temperature: Whether there is a column for it.
        ignored: Columns that are passed over.
    """

    solvents: int
    kind: str
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
    `mole_fraction_1`, ... among the solvents; `molality_mol_kg`; `temperature_K` (298.15 K if there is no
    such column); `molar_mass_1`, ... [g/mol], needed for polymers only; and the target. Other columns are
    passed over.

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
    if target in _INPUTS or _NUMBERED.fullmatch(target):
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
    salts = read_salts(cells["salt"], found)
    molality = numbers(cells["molality_mol_kg"], units.get("molality_mol_kg"), found)
    temperature = np.full(len(cells), ROOM_TEMPERATURE_K)
    if layout.has_temperature:
        temperature = numbers(cells["temperature_K"], units.get("temperature_K"), found)
    measured = np.empty(0)
    if target is not None and layout.measured is not None:
        values = numbers(cells[layout.measured], units.get(layout.measured), found)
        measured = convert_target(values, layout.measured, target)
    found.stop()

    solvents, weights = _weights(slots, layout.kind)
    molecules, batch = tabulate(
        solvents, weights, [salt for salt in salts if salt is not None], molality, temperature
    )
    rows = mixture_rows(molecules, batch, cells.index.to_numpy(), np.zeros(len(cells), dtype=bool))
    report = _report(table, cells, layout, target, units, slots, salts, rows)
    return Mixtures(molecules, batch, rows, report), measured


def _is_ours(name: str, target: str | None) -> bool:
    fixed = (*_INPUTS, target, *conductivities())
    return name in fixed or _NUMBERED.fullmatch(name) is not None


def _layout(header: list[str], target: str | None, found: Findings) -> _Layout:
    matches = [match for name in header if (match := _NUMBERED.fullmatch(name))]
    solvents = max((int(match[2]) for match in matches if match[1] != "molar_mass"), default=1)
    kinds = [kind for kind in _KINDS if kind in {match[1] for match in matches}] or ["weight_fraction"]
    measured = None if target is None else _measured(header, target, found)
    slots = range(1, min(solvents, len(header)) + 1)
    needed = [f"{word}_{i}" for i in slots for word in ("solvent", kinds[0])]
    needed += ["salt", "molality_mol_kg", *([measured] if measured else [])]
    optional = ["temperature_K", *(f"molar_mass_{i}" for i in slots)]
    if len(kinds) > 1:
        found.header("fractions are given by weight and by mole", "Remove the columns of one kind.")
        needed += [f"{kinds[1]}_{i}" for i in slots]
    ignored = [name for name in header if name not in (*needed, *optional)]
    several = [name for name in ignored if re.fullmatch(r"salt_?\d+", name)]
    if several:
        found.header(
            f"columns {', '.join(several)} name more than one salt",
            "One salt a row can be read: call it salt.",
        )
    for name in needed:
        if name not in header:
            close = nearest(name, ignored)
            found.header(f'column "{name}" is missing', f"{close}Add it, or map a header to it in columns.")
    if "temperature_K" not in header:
        for name in filter(_LIKE_TEMPERATURE.match, ignored):
            found.header(
                f'column "{name}" may hold the temperature, but is not called temperature_K',
                "Map temperature_K to it in columns, or rename or remove it.",
            )
    return _Layout(solvents, kinds[0], measured, "temperature_K" in header, tuple(ignored))


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


def _weights(slots: Sequence[Slot], kind: str) -> tuple[list[list[Component]], list[list[float]]]:
    """Return the solvents that are present in each row and their weight fractions, summing to 1."""
    amounts = np.stack([slot.fractions for slot in slots], axis=1)
    parts = list(zip(*(slot.components for slot in slots), strict=True))
    if kind == "mole_fraction":
        amounts = amounts * [[part.molar_mass if part else 0.0 for part in row] for row in parts]
    weights: Floats = amounts / amounts.sum(1, keepdims=True)
    solvents = [
        [part for part, weight in zip(*row, strict=True) if part is not None and weight > 0]
        for row in zip(parts, weights, strict=True)
    ]
    return solvents, [[float(weight) for weight in row if weight > 0] for row in weights]


def _report(
    table: TextTable,
    cells: pd.DataFrame,
    layout: _Layout,
    target: str | None,
    units: Mapping[str, str],
    slots: Sequence[Slot],
    salts: Sequence[Component | None],
    rows: pd.DataFrame,
) -> tuple[str, ...]:
    total = np.sum([slot.fractions for slot in slots], axis=0)
    scaled = int((np.abs(total - 1) > 1e-9).sum())
    parts = {f"solvent_{i}": slot.components for i, slot in enumerate(slots, 1)} | {"salt": salts}
    read = {
        text: part.smiles
        for column, components in parts.items()
        for text, part in zip(cells[column], components, strict=True)
        if part is not None and text != part.smiles
    }
    lines = [table.report()]
    if read:
        lines.append("chemicals read: " + ", ".join(f"{text} as {smiles}" for text, smiles in read.items()))
    lines += [f"{len(cells)} rows: {name} converted from {unit}" for name, unit in units.items()]
    if layout.kind == "mole_fraction":
        lines.append(f"{len(cells)} rows: weight fractions computed from mole fractions and molar masses")
    if scaled:
        lines.append(f"{scaled} rows: fractions divided by their sum, which differs from 1 by at most 0.001")
    if not layout.has_temperature:
        lines.append(f"{len(cells)} rows: no column temperature_K, {ROOM_TEMPERATURE_K:g} K taken")
    if layout.measured != target:
        lines.append(f"{len(cells)} rows: {target} computed from {layout.measured}")
    if layout.ignored:
        lines.append(f"columns passed over: {', '.join(layout.ignored)}")
    lines.append(
        f"{int(rows['repeat'].sum())} rows: mixture and temperature of an earlier row, flagged repeat"
    )
    return tuple(lines)
