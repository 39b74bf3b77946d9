"""A user's own file of discharge profiles: as the published example has them, or as a cycler wrote them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from scipy.interpolate import UnivariateSpline
from torch import Tensor

from surrogates.composition_batches import CompositionBatch, CompositionTable, Conditions, read_formulas
from surrogates.composition_tables import formula_faults
from surrogates.conditions import CONDITIONS, no_window
from surrogates.quantities import numbers
from surrogates.text_tables import Findings, TextTable, nearest, read_text, rename

POINTS = 100
"""Of a profile, evenly between its lowest and highest voltage."""
FEWEST_POINTS = 10
_SMOOTHING = 0.1
"""Mean of squared residuals, (mAh/g)^2, that the spline may leave: in sum the 10 of the published script
for 100 points. The script leaves 10 whatever the number; noise on more points would then enter the slope."""
_NOISE_MAH_G = 0.5
"""By how much the charge may fall as the voltage falls before the profile counts as not monotonic."""
_BEYOND_V = 0.05
"""How far outside its window a voltage may lie."""
_NEEDED = ("formula", *CONDITIONS, "voltage_V", "charge_mAh_g")
_SHAPED = ("first_charge_mAh_g", "slope_mAh_g_V")
_PUBLISHED = {
    "formula": "composition",
    "rate_mA_g": "rate",
    "voltage_V": "Vii",
    "charge_mAh_g": "Qii",
    "first_charge_mAh_g": "Q0ii",
    "slope_mAh_g_V": "dQdVii",
}
"""Headers of the published example, zhongpc/drxnet, examples/train_example."""
_KEY = ("material_id", "formula", "rate_mA_g", "V_low", "V_high")
_NONE: Mapping[str, str] = MappingProxyType({})
_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ProfileData:
    """`n` discharge profiles of 100 points each.

    Attributes:
        rows: `n` rows: `row` (the first of the profile, as a spreadsheet numbers it), `material_id`,
            `formula`, `rate_mA_g`, `V_low`, `V_high`, `cycle`.
        composition: `n`, int64, which of the distinct compositions each profile is of.
        table: Their elements.
        batch: The distinct compositions.
        conditions: `n`.
        voltage: `n x 100`, V, from the lowest up.
        charge: `n x 100`, mAh/g.
        slope: `n x 100`, its derivative by the voltage, mAh/g/V.
        first_charge: `n x 100`, charge of the first cycle at the same voltages; NaN where it is not known.
        source: File name.
        sha256: Of the file.
        report: One line for each thing that was done.
    """

    rows: pd.DataFrame
    composition: Tensor
    table: CompositionTable
    batch: CompositionBatch
    conditions: Conditions
    voltage: Tensor
    charge: Tensor
    slope: Tensor
    first_charge: Tensor
    source: str
    sha256: str
    report: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.rows)


def read_profiles(path: Path, columns: Mapping[str, str] = _NONE) -> ProfileData:
    """Return the discharge profiles of a CSV or Parquet file, a row a point.

    Its columns: `formula`, `rate_mA_g`, `V_low`, `V_high`, `cycle`, `voltage_V`, `charge_mAh_g` (counted from
    V_high down), `material_id` where two materials share a formula, or those of the published example
    (`composition`, `rate`, `Vii`, `Qii`, ...). If every profile has 100 points and `first_charge_mAh_g` and
    `slope_mAh_g_V` stand there, they are taken as they are; else each profile is resampled to 100 points by a
    smoothing spline, as the paper does, and the first cycle's charge is read from its own profile.

    Args:
        path: The file.
        columns: The file's header for each of our column names that it calls otherwise.

    Raises:
        InputError: With every bad header and cell, and every profile that is too short, not monotonic or
            reversed.
    """
    table = read_text(path)
    headers = _headers(table, columns)
    found = Findings(table.file, headers)
    cells = rename(table, headers, lambda name: name in (*_NEEDED, *_SHAPED, "material_id"), found)
    others = [str(name) for name in cells if name not in _NEEDED]
    for name in _NEEDED:
        if name not in cells:
            mend = f"{nearest(name, others)}Add it, or map a header to it in columns."
            found.header(f'column "{name}" is missing', mend)
    found.stop()
    points = _points(cells, found)
    profiles = [profile for _, profile in points.groupby([*_KEY, "cycle"], sort=False)]
    for profile in profiles:
        _check(profile, found)
    found.stop()
    shaped = all(name in points for name in _SHAPED) and all(len(p) == POINTS for p in profiles)
    return (_taken if shaped else _resampled)(profiles, table)


def metal_combinations(data: ProfileData) -> Tensor:
    """Return which combination of cations besides lithium each profile is of, `n`, int64."""
    amounts = torch.zeros(len(data.batch), len(data.table))
    amounts.scatter_add_(1, data.batch.cations, data.batch.weights)
    metals = torch.tensor([element != "Li" for element in data.table.elements])
    combination: Tensor = (amounts[:, metals] > 0).unique(dim=0, return_inverse=True)[1]
    return combination[data.composition]


def _headers(table: TextTable, columns: Mapping[str, str]) -> dict[str, str]:
    """Return the file's header for each of our names; published ones need not be told."""
    published = {
        ours: theirs
        for ours, theirs in _PUBLISHED.items()
        if theirs in table.cells and ours not in table.cells
    }
    return published | dict(columns)


def _points(cells: pd.DataFrame, found: Findings) -> pd.DataFrame:
    """Return the points with numbers in place of text, indexed by row.

    Raises:
        InputError: With every bad cell.
    """
    named = [name for name in (*CONDITIONS, "voltage_V", "charge_mAh_g", *_SHAPED) if name in cells]
    points = pd.DataFrame({name: numbers(cells[name], None, found) for name in named}, index=cells.index)
    for text, rows in cells.groupby("formula", sort=False).groups.items():
        for wrong, mend in formula_faults(str(text)):
            found.row(int(rows[0]), ["formula"], wrong, mend)
    for row in points.index[points["V_low"] >= points["V_high"]].tolist():
        wrong = no_window(cells["V_low"][row], cells["V_high"][row])
        found.row(row, ["V_low", "V_high"], wrong, "Exchange or correct them.")
    found.stop()
    points["formula"] = cells["formula"].str.replace(" ", "")
    points["material_id"] = cells.get("material_id", "")
    points["row"] = points.index
    return points


def _check(profile: pd.DataFrame, found: Findings) -> None:
    """Note the first thing that keeps some points from being a discharge profile."""
    row = [int(number) for number in profile["row"]]
    voltage, charge = profile["voltage_V"].to_numpy(), profile["charge_mAh_g"].to_numpy()
    name = f"the profile of {profile['formula'].iloc[0]}, cycle {profile['cycle'].iloc[0]:g}"
    if len(profile) < FEWEST_POINTS:
        wrong = f"{name} has {len(profile)} points; at least {FEWEST_POINTS} are needed"
        found.row(row[0], ["voltage_V"], wrong, "Give all of its points, or leave it out.")
        return
    low, high = profile["V_low"].iloc[0], profile["V_high"].iloc[0]
    outside = np.flatnonzero((voltage < low - _BEYOND_V) | (voltage > high + _BEYOND_V))
    if len(outside):
        at = outside[0]
        wrong = f"{voltage[at]:g} V lies outside the window of {name}, {low:g} to {high:g} V"
        found.row(row[at], ["voltage_V"], wrong, "Correct the voltage or the window.")
        return
    step = np.diff(voltage) * (1 if voltage[-1] > voltage[0] else -1)
    back = np.flatnonzero(step <= 0)
    if len(back):
        at = back[0] + 1
        wrong = f"{voltage[at]:g} V follows {voltage[at - 1]:g} V; the voltage of {name} turns back or stops"
        mend = "Give one discharge a profile, each voltage once, in order."
        found.row(row[at], ["voltage_V"], wrong, mend)
        return
    order = np.argsort(voltage)
    charge, row = charge[order], [row[at] for at in order]
    if charge[0] < charge[-1] - _NOISE_MAH_G:
        wrong = (
            f"{name} is reversed: {charge[0]:g} mAh/g at its lowest voltage and {charge[-1]:g} at its "
            "highest; a discharge has given off most at its lowest"
        )
        mend = "Count the charge from V_high down, and leave out what was measured on charge."
        found.row(row[0], ["charge_mAh_g"], wrong, mend)
        return
    rises = np.flatnonzero(charge[1:] > np.minimum.accumulate(charge)[:-1] + _NOISE_MAH_G)
    if len(rises):
        at = rises[0] + 1
        wrong = (
            f"{charge[at]:g} mAh/g is more than the {charge[:at].min():g} at a lower voltage; {name} is not "
            "monotonic, though charge given off cannot come back"
        )
        found.row(row[at], ["charge_mAh_g"], wrong, "Correct the cell, or smooth the profile.")


def _taken(profiles: list[pd.DataFrame], table: TextTable) -> ProfileData:
    """Return profiles that have their 100 points and slopes already."""
    ordered = [profile.sort_values("voltage_V") for profile in profiles]
    names = ("voltage_V", "charge_mAh_g", "slope_mAh_g_V", "first_charge_mAh_g")
    points = {name: np.stack([profile[name].to_numpy() for profile in ordered]) for name in names}
    return _data(profiles, table, points, "taken as they are")


def _resampled(profiles: list[pd.DataFrame], table: TextTable) -> ProfileData:
    """Return profiles on 100 even voltages each."""
    splines: list[UnivariateSpline] = []
    for profile in profiles:
        ordered = profile.sort_values("voltage_V")
        smoothing = _SMOOTHING * max(len(ordered), POINTS)
        splines.append(UnivariateSpline(ordered["voltage_V"], ordered["charge_mAh_g"], s=smoothing))
    voltage = np.stack([np.linspace(p["voltage_V"].min(), p["voltage_V"].max(), POINTS) for p in profiles])
    charge = np.stack([spline(volts) for spline, volts in zip(splines, voltage, strict=True)])
    slope = np.stack([spline(volts, nu=1) for spline, volts in zip(splines, voltage, strict=True)])
    firsts = {
        _key(profile): spline
        for profile, spline in zip(profiles, splines, strict=True)
        if profile["cycle"].iloc[0] == 1
    }
    nothing = np.full(POINTS, np.nan)
    first_charge = np.stack(
        [
            firsts[_key(profile)](volts, ext="const") if _key(profile) in firsts else nothing
            for profile, volts in zip(profiles, voltage, strict=True)
        ]
    )
    how = f"resampled to {POINTS} points by a smoothing spline"
    points = {"voltage_V": voltage, "charge_mAh_g": charge, "slope_mAh_g_V": slope}
    return _data(profiles, table, points | {"first_charge_mAh_g": first_charge}, how)


def _key(profile: pd.DataFrame) -> tuple[object, ...]:
    return tuple(profile[name].iloc[0] for name in _KEY)


def _data(
    profiles: list[pd.DataFrame], table: TextTable, points: Mapping[str, _Floats], how: str
) -> ProfileData:
    rows = pd.concat([profile.iloc[:1] for profile in profiles], ignore_index=True)
    rows = rows[["row", *_KEY, "cycle"]]
    spelled, formulas = rows["formula"].factorize()
    elements, batch = read_formulas(list(formulas), f"{table.file}, formulas")
    # Two spellings of a composition are one: otherwise a split could test on what it has trained on.
    dense = torch.zeros(len(batch), len(elements) + 1).scatter_add_(1, batch.cations, batch.weights)
    dense[:, -1] = batch.fluorine
    _, same = (1e4 * dense).round().unique(dim=0, return_inverse=True)
    firsts = torch.tensor([int((same == kind).nonzero()[0]) for kind in range(int(same.max()) + 1)])
    tensors = {name: torch.from_numpy(values).float() for name, values in points.items()}
    lone = int(tensors["first_charge_mAh_g"][:, 0].isnan().sum())
    report = [f"{len(table.cells)} rows read: {len(rows)} profiles of {len(firsts)} compositions, {how}"]
    if lone:
        report.append(f"{lone} profiles without a first cycle of the same material, rate and window")
    return ProfileData(
        rows=rows,
        composition=same[torch.from_numpy(spelled)],
        table=elements,
        batch=batch[firsts],
        conditions=Conditions.of(
            *(rows[name].tolist() for name in ("rate_mA_g", "cycle", "V_low", "V_high"))
        ),
        voltage=tensors["voltage_V"],
        charge=tensors["charge_mAh_g"],
        slope=tensors["slope_mAh_g_V"],
        first_charge=tensors["first_charge_mAh_g"],
        source=table.file,
        sha256=table.sha256,
        report=tuple(report),
    )
