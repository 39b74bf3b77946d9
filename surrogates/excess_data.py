"""Measured excess properties of binary mixtures, as the excess-properties data set lays them out."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import tarfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from surrogates.molecules import Component, MoleculeTable

TARGETS = {
    "excess_molar_enthalpy_J_mol": ("excess molar enthalpy", {"J/mol": 1.0, "kJ/mol": 1000.0}),
    "excess_molar_volume_cm3_mol": ("excess molar volume", {"cm^3/mol": 1.0}),
}
"""What the source calls each target, and the factors that bring its units to ours."""
_COMMENT = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
_MEMBER = re.compile(r"[^/]+/data/([^/]+/[^/]+\.jsonc?)")


@dataclass(frozen=True)
class ExcessData:
    """`n` measurements of binary mixtures.

    Attributes:
        table: The distinct molecules.
        molecules: `n x 2`, int64, rows of the table.
        x: `n`, float64, mole fraction of the first molecule, 0 to 1.
        temperature_K: `n`, float64, K.
        target: `n`, float64, in the unit that `target_name` ends with.
        target_name: A key of `TARGETS`.
        rows: `n` rows: `file` (within the source's folder data), `paper` (the doi), `pair` (a number that
            rows of the same two molecules share, in either order), `suspect` (far from the curve of its
            series).
        source: File name.
        sha256: Of the file.
        report: One line for each thing that was done, and to how many rows.
    """

    table: MoleculeTable
    molecules: Tensor
    x: Tensor
    temperature_K: Tensor
    target: Tensor
    target_name: str
    rows: pd.DataFrame
    source: str
    sha256: str
    report: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.target)

    def take(self, rows: Tensor) -> ExcessData:
        """Return some rows, with a table of just the molecules that stand in them.

        Args:
            rows: Indices of the rows, int64.
        """
        used, molecules = self.molecules[rows].unique(return_inverse=True)
        return replace(
            self,
            table=MoleculeTable.build(self.table.components[int(row)] for row in used),
            molecules=molecules,
            x=self.x[rows],
            temperature_K=self.temperature_K[rows],
            target=self.target[rows],
            rows=self.rows.iloc[rows.numpy()].reset_index(drop=True),
        )

    def exchanged(self) -> ExcessData:
        """Return the same measurements with the two molecules of each in the other order."""
        return replace(self, molecules=self.molecules.flip(1), x=1 - self.x)


def load_excess(path: Path, target_name: str) -> ExcessData:
    """Return one property of the curated files; nothing is unpacked to disk.

    Args:
        path: The repository's archive (tar.gz) with `*/data/DOI/PAIR.json` and `.jsonc`, as published.
        target_name: A key of `TARGETS`.

    Source: Wadell and Bhutani, excess-properties-dataset, doi 10.5281/zenodo.19825668.
    """
    measurement, factors = TARGETS[target_name]
    points: list[tuple[str, str, str, str, float, float, float]] = []
    done: Counter[str] = Counter()
    passed: Counter[str] = Counter()
    for name, content in _documents(path):
        done["files"] += 1
        for series in content["mixture_data"]:
            unread = _unread(series, measurement, factors)
            if unread:
                passed[unread] += len(series["values"])
                continue
            number = len(series["values"])
            done["converted"] += number * (factors[series["units"]] != 1)
            done["celsius"] += number * isinstance(series["temperature"], dict)
            done["unnamed"] += number * ("xtype" not in series)
            points += [
                (
                    name,
                    content["doi"],
                    content["smi1"],
                    content["smi2"],
                    _kelvin(series["temperature"]),
                    float(x),
                    value * factors[series["units"]],
                )
                for x, value in zip(series["x1"], series["values"], strict=True)
            ]
    columns = ["file", "paper", "smi1", "smi2", "temperature_K", "x1", "value"]
    frame = pd.DataFrame(points, columns=columns)
    first, second = ([Component.of(smiles) for smiles in frame[column]] for column in ("smi1", "smi2"))
    table, molecules, pair = pair_up(first, second)
    known_suspects = suspects()
    suspected = [
        (file, measurement, round(kelvin, 2), x, value) in known_suspects
        for file, _, _, _, kelvin, x, value in points
    ]
    return ExcessData(
        table=table,
        molecules=molecules,
        x=torch.tensor(frame["x1"].to_numpy()),
        temperature_K=torch.tensor(frame["temperature_K"].to_numpy()),
        target=torch.tensor(frame["value"].to_numpy()),
        target_name=target_name,
        rows=frame[["file", "paper"]].assign(pair=pair.numpy(), suspect=suspected),
        source=path.name,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        report=(
            f"{len(frame)} values of {measurement} read from {done['files']} files, none dropped; "
            f"{len(set(pair.tolist()))} pairs of molecules",
            f"{done['converted']} rows: unit converted",
            f"{done['celsius']} rows: temperature converted from degC",
            f"{done['unnamed']} rows: kind of fraction not named, read as mole fraction",
            f"{sum(suspected)} rows: far from the curve of their series, kept, flagged suspect",
            "other measurements passed over: "
            + (", ".join(f"{what} {number}" for what, number in sorted(passed.items())) or "none"),
        ),
    )


def pair_up(first: Sequence[Component], second: Sequence[Component]) -> tuple[MoleculeTable, Tensor, Tensor]:
    """Return the table of `n` pairs, `n x 2` rows of it, and `n` numbers that are equal for equal pairs."""
    table = MoleculeTable.build([*first, *second])
    index = table.index()
    molecules = torch.tensor([[index[a], index[b]] for a, b in zip(first, second, strict=True)])
    return table, molecules, torch.unique(molecules.sort(1).values, dim=0, return_inverse=True)[1]


def _documents(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield each file below data, by name, without its comments and trailing commas."""
    found = {}
    with tarfile.open(path) as archive:
        for member in archive:
            match = _MEMBER.fullmatch(member.name)
            content = archive.extractfile(member) if match and member.isfile() else None
            if match and content is not None:
                text = _COMMENT.sub(lambda part: part[1] or "", content.read().decode("utf-8"))
                found[match[1]] = json.loads(re.sub(r",(\s*[}\]])", r"\1", text))
    yield from sorted(found.items())


def _unread(series: dict[str, Any], measurement: str, factors: Mapping[str, float]) -> str:
    """Return what a series holds if it is not read; nothing if it is."""
    if series["measurement"] != measurement:
        return str(series["measurement"])
    if series["units"] not in factors:
        return f"{measurement} in {series['units']}"
    kind = series.get("xtype", "mole fraction")
    return "" if kind == "mole fraction" else f"{measurement} by {kind}"


def _kelvin(temperature: float | dict[str, Any]) -> float:
    if isinstance(temperature, dict):
        return float(temperature["value"]) + {"degC": 273.15, "K": 0.0}[temperature["unit"]]
    return float(temperature)


@cache
def suspects() -> frozenset[tuple[str, str, float, float, float]]:
    """Return file, measurement, temperature [K], fraction and value of each line of `excess_suspects.csv`."""
    with files("surrogates").joinpath("excess_suspects.csv").open(encoding="utf-8") as lines:
        return frozenset(
            (
                row["file"],
                row["measurement"],
                float(row["temperature_K"]),
                float(row["x1"]),
                float(row["value"]),
            )
            for row in csv.DictReader(line for line in lines if not line.startswith("#"))
        )
