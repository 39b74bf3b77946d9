"""A user's own file of excess properties, read as strictly as the published data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pandas as pd
import torch

from surrogates.excess_data import ExcessData, pair_up
from surrogates.mixture_cells import read_neutrals
from surrogates.quantities import check_units, numbers
from surrogates.text_tables import Findings, nearest, read_text, rename

_INPUTS = ("molecule_1", "molecule_2", "mole_fraction_1", "temperature_K")
_NONE: Mapping[str, str] = MappingProxyType({})


def read_excess(
    path: Path, target: str, columns: Mapping[str, str] = _NONE, units: Mapping[str, str] = _NONE
) -> ExcessData:
    """Return the measurements of a CSV or Parquet file, a row a measurement.

    Its columns: `molecule_1` and `molecule_2`, SMILES or known names; `mole_fraction_1`, the rest being the
    second molecule; `temperature_K`; and the target. Other columns are passed over.

    Args:
        path: The file.
        target: What to learn, a key of `excess_data.TARGETS`.
        columns: The file's header for each of our column names that it calls otherwise.
        units: The file's unit, as pint spells it, for each of our column names that is in another.

    Raises:
        InputError: With every bad header, unit and cell of the file.
    """
    table = read_text(path)
    found = Findings(table.file, columns)
    needed = (*_INPUTS, target)
    cells = rename(table, columns, lambda name: name in needed, found)
    others = [str(name) for name in cells if name not in needed]
    for name in needed:
        if name not in cells:
            mend = f"{nearest(name, others)}Add it, or map a header to it in columns."
            found.header(f'column "{name}" is missing', mend)
    check_units(units, cells.columns, found)
    found.stop()
    first, second = (read_neutrals(cells[name], found) for name in _INPUTS[:2])
    x, temperature, measured = (
        numbers(cells[name], units.get(name), found) for name in ("mole_fraction_1", "temperature_K", target)
    )
    for row, one, other in zip(cells.index, first, second, strict=True):
        if one is not None and one == other:
            found.row(row, _INPUTS[:2], "one molecule stands here twice", "Correct or remove the row.")
    found.stop()
    molecules, rows, pair = pair_up([c for c in first if c], [c for c in second if c])
    report = [f"{len(cells)} rows read, none dropped; {len(set(pair.tolist()))} pairs of molecules"]
    report += [
        f"{len(cells)} rows: {name} converted from {units[name]}" for name in units if name not in others
    ]
    if others:
        report.append(f"columns passed over: {', '.join(others)}")
    return ExcessData(
        table=molecules,
        molecules=rows,
        x=torch.from_numpy(x),
        temperature_K=torch.from_numpy(temperature),
        target=torch.from_numpy(measured),
        target_name=target,
        rows=pd.DataFrame(
            {"file": table.file, "paper": "", "pair": pair.numpy(), "suspect": False}, index=range(len(cells))
        ),
        source=table.file,
        sha256=table.sha256,
        report=tuple(report),
    )
