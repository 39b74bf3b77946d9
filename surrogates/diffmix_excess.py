"""The excess properties that DiffMix was trained on."""

from __future__ import annotations

import csv
import hashlib
from functools import cache
from importlib.resources import files
from pathlib import Path

import pandas as pd
import torch

from surrogates.chemicals import resolve
from surrogates.excess_data import TARGETS, ExcessData, pair_up, suspects
from surrogates.molecules import Component

COLUMNS = {
    "excess_molar_enthalpy/(J/mol)": "excess_molar_enthalpy_J_mol",
    "excess_molar_volume/(cm3/mol)": "excess_molar_volume_cm3_mol",
}
"""The measured column of either file, and its name here."""


def load_diffmix_excess(path: Path) -> ExcessData:
    """Return all rows of `published_excess_molar_enthalpy.csv` or `..._volume.csv`.

    The file's hash must have been checked. `paper` is the link that the file gives.

    Args:
        path: The table, as published.

    Source: Zhu et al., Nat. Commun. 15, 8649 (2024).
    """
    cells = pd.read_csv(path)
    measured = next(column for column in cells if column in COLUMNS)
    first, second = ([Component.of(_smiles(str(name))) for name in cells[f"sub{i}_name"]] for i in (1, 2))
    table, molecules, pair = pair_up(first, second)
    measurement = TARGETS[COLUMNS[measured]][0]
    points = zip(cells["temperature (K)"], cells["x1 (mole fraction)"], cells[measured], strict=True)
    known = suspects()
    suspected = [(path.name, measurement, float(t), float(x), float(y)) in known for t, x, y in points]
    return ExcessData(
        table=table,
        molecules=molecules,
        x=torch.tensor(cells["x1 (mole fraction)"].to_numpy(dtype=float)),
        temperature_K=torch.tensor(cells["temperature (K)"].to_numpy(dtype=float)),
        target=torch.tensor(cells[measured].to_numpy(dtype=float)),
        target_name=COLUMNS[measured],
        rows=pd.DataFrame({"file": path.name, "paper": cells["link"], "pair": pair, "suspect": suspected}),
        source=path.name,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        report=(
            f"{len(cells)} rows read, none dropped; {len(set(pair.tolist()))} pairs of molecules",
            f"{sum(suspected)} rows: out of place in their series, kept, flagged suspect",
        ),
    )


def _smiles(name: str) -> str:
    return _named().get(name) or resolve(name)


@cache
def _named() -> dict[str, str]:
    with files("surrogates").joinpath("diffmix_chemicals.csv").open(encoding="utf-8") as lines:
        return {
            row["name"]: row["smiles"]
            for row in csv.DictReader(line for line in lines if not line.startswith("#"))
        }
