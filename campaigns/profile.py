"""Discharge profiles of one cathode: a table, a figure, and what a test would report."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from activelearn.shards import written_whole
from campaigns.plots import CONDITION, condition_words, save_profiles
from campaigns.report import UNKNOWN, with_std
from surrogates.composition_batches import Conditions, read_formulas
from surrogates.compositions import Composition, InvalidFormula
from surrogates.conditions import nonsense, outside
from surrogates.discharge import Discharge, Profiles, discharge, embed_compositions, profiles
from surrogates.discharge_models import DischargeEnsemble
from surrogates.errors import InputError, Problem


@dataclass(frozen=True)
class Profile:
    """What a model says of a cathode.

    Attributes:
        curves: Mean and standard deviation over the members at each voltage of each condition:
            `rate_mA_g`, `cycle`, `V_low`, `V_high`, `voltage_V`, `charge_mAh_g_mean`, `_std`,
            `dQ_dV_mAh_g_V_mean`, `_std`, then `in_domain` and the `warning` of the condition.
        results: Capacity, average voltage and energy of each condition, and a warning if the model was not
            trained on such.
        in_domain: Whether the model knows the composition.
    """

    curves: pd.DataFrame
    results: pd.DataFrame
    in_domain: bool


def profile(
    formula: str,
    model: DischargeEnsemble,
    rates_mA_g: Sequence[float],
    window_V: tuple[float, float],
    cycles: Sequence[int],
) -> Profile:
    """Return the profiles of a cathode at every rate in every cycle.

    Args:
        formula: Of the cathode as prepared, a rocksalt whose charges balance.
        model: What to ask.
        rates_mA_g: mA/g.
        window_V: Lower and upper voltage.
        cycles: Numbers of cycles, 1 for the first.

    Raises:
        InputError: If there is no such cathode or no such test.
    """
    check_formula(formula)
    low, high = window_V
    every = itertools.product(dict.fromkeys(rates_mA_g), dict.fromkeys(cycles))
    tests = [(rate, cycle, low, high) for rate, cycle in every]
    wrong = [found for rate, cycle, *_ in tests for found in nonsense("condition", rate, low, high, cycle)]
    if wrong:
        raise InputError(list(dict.fromkeys(wrong)))
    table, batch = read_formulas([formula])
    conditions = Conditions.of(*zip(*tests, strict=True))
    embedding = embed_compositions(model.members, table, batch)
    tested = pd.DataFrame(tests, columns=CONDITION)
    asked = {name: tested[name].to_numpy(dtype=np.float64) for name in CONDITION}
    warning = outside(asked, model.card.domain.ranges)
    in_domain = bool(model.in_domain(table, batch, embedding))
    curves = _curves(profiles(model.members, embedding, conditions), tested)
    return Profile(
        curves.assign(in_domain=in_domain, warning=warning.loc[curves.index].to_numpy()),
        _results(discharge(model.members, embedding, conditions), tested).assign(warning=warning),
        in_domain,
    )


def _curves(found: Profiles, tested: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each voltage of each condition, indexed by the condition."""
    curves = tested.loc[tested.index.repeat(found.voltage.shape[-1])].copy()
    curves["voltage_V"] = found.voltage.numpy().ravel()
    for name, values in (("charge_mAh_g", found.charge_mAh_g), ("dQ_dV_mAh_g_V", found.slope_mAh_g_V)):
        curves[f"{name}_mean"] = values.mean(0).numpy().ravel()
        curves[f"{name}_std"] = values.std(0).numpy().ravel()
    return curves


def _results(found: Discharge, tested: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each condition, with what a test would report."""
    capacity, energy = found.capacity_mAh_g[:, 0], found.energy_Wh_kg[:, 0]
    voltage, variance = found.voltage_statistics()
    return tested.assign(
        capacity_mAh_g_mean=capacity.mean(0).numpy(),
        capacity_mAh_g_std=capacity.std(0).numpy(),
        average_voltage_V_mean=voltage[0].numpy(),
        average_voltage_V_std=variance[0].sqrt().numpy(),
        energy_Wh_kg_mean=energy.mean(0).numpy(),
        energy_Wh_kg_std=energy.std(0).numpy(),
    )


def check_formula(formula: str) -> None:
    """Refuse what is no formula of a rocksalt that balances.

    Raises:
        InputError: With the sums that came out.
    """
    try:
        faults = Composition.of(formula).faults()
    except InvalidFormula as error:
        wrong = f'"{formula}" is no formula: {error}'
        raise InputError(Problem("composition", wrong, "Write it as Li1.2Mn0.4Ti0.4O2.")) from None
    if faults:
        raise InputError([Problem(f'composition "{formula}"', fault.wrong, fault.mend) for fault in faults])


def write_profile(found: Profile, formula: str, out: Path) -> tuple[Path, Path]:
    """Write `profile.csv` and `profile.png`, each whole, over those of an earlier call; return their paths.

    Raises:
        InputError: If the directory cannot be written.
    """
    table, figure = out / "profile.csv", out / "profile.png"
    try:
        out.mkdir(parents=True, exist_ok=True)
        save_profiles(found.curves, formula, figure)
        with written_whole(table) as temporary:
            found.curves.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")
    except OSError as error:
        wrong = f"the directory cannot be written: {error.strerror}"
        raise InputError(Problem(str(out), wrong, "Give another --out.")) from None
    return table, figure


def print_profile(found: Profile, formula: str, console: Console) -> None:
    """Print what a test would report, and what is worth a warning."""
    table = Table(title=formula, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column("condition")
    columns = {
        "capacity_mAh_g": "capacity, mAh/g",
        "average_voltage_V": "average voltage, V",
        "energy_Wh_kg": "energy, Wh/kg",
    }
    for words in columns.values():
        table.add_column(words, justify="right")
    warnings = []
    for row in found.results.to_dict("records"):
        condition = condition_words(*(row[name] for name in CONDITION))
        cells = [with_std(row[f"{name}_mean"], row[f"{name}_std"]) for name in columns]
        table.add_row(condition, *cells)
        if row["warning"]:
            warnings.append(f"Warning, {condition}: {row['warning']}, what the model was trained on.")
    console.print(table)
    for warning in warnings:
        console.print(warning, soft_wrap=True)
    console.print("Mean and standard deviation of the members; no measurement has scaled them.")
    if not found.in_domain:
        console.print(UNKNOWN)
