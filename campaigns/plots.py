"""Figures: a ranked list, maps of a grid of cathodes, and discharge profiles with the ensemble's band."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from activelearn.shards import written_whole
from surrogates.discharge_objectives import Objective, Quantity

WORDS: Mapping[Quantity, str] = {
    "capacity": "capacity (mAh/g)",
    "average_voltage": "average voltage (V)",
    "energy_Wh_kg": "energy (Wh/kg)",
    "retention_30": "capacity of cycle 30 over that of cycle 1",
}


LISTED = 15
"""Candidates of which a figure shows the interval."""


def save_list(ranked: pd.DataFrame, target: str, path: Path) -> None:
    """Draw the mean of each candidate of a list over its standard deviation, and the intervals of the best.

    Args:
        ranked: Mixtures, with the columns of `ranked.csv`.
        target: What was predicted.
        path: Of the PNG, written whole.
    """
    figure = Figure(figsize=(10, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.15))
    for known, colour, words in ((False, "0.7", "not in domain"), (True, "C0", "in domain")):
        some = ranked[ranked["in_domain"] == known]
        std, mean = some[f"{target}_std"], some[f"{target}_mean"]
        left.scatter(std, mean, s=4, color=colour, label=f"{words} ({len(some):,})", linewidths=0)
    left.set(xlabel="standard deviation of a measurement", ylabel=f"mean of {target}")
    left.legend(fontsize=8, markerscale=3, loc="lower right")
    best = ranked.head(LISTED)
    for place, row in enumerate(best.to_dict("records")):
        colour = "C0" if row["in_domain"] else "0.6"
        ends = [row[f"{target}_lower_90"], row[f"{target}_upper_90"]]
        right.plot(ends, [place, place], color=colour, lw=2)
        right.plot(row[f"{target}_mean"], place, "o", color=colour, ms=4)
    right.set_yticks(range(len(best)), mixture_words(best), fontsize=7)
    right.invert_yaxis()
    right.set(xlabel=f"{target}: mean and 90 % interval")
    right.set_title(f"the {len(best)} best", fontsize=10)
    _save(figure, path)


def mixture_words(ranked: pd.DataFrame) -> list[str]:
    """Return rank, solvents and salt of each mixture of a list, in a line."""
    slots = [name for name in ranked.columns if name.removeprefix("solvent_").isdigit()]
    solvents = ranked[slots].apply(lambda row: " + ".join(row.dropna()), axis=1)
    return (ranked["rank"].astype(str) + ". " + solvents + ", " + ranked["salt"]).tolist()


def save_maps(ranked: pd.DataFrame, objectives: Sequence[Objective], path: Path) -> None:
    """Draw each objective over lithium and fluorine, with its standard deviation beside it.

    Where the model does not know the composition the map is hatched.

    Args:
        ranked: A composition for each lithium and fluorine content at most, with the columns of `ranked.csv`.
        objectives: What to draw, a row each.
        path: Of the PNG, written whole.
    """
    figure = Figure(figsize=(9, 3.6 * len(objectives)), layout="constrained")
    axes = figure.subplots(len(objectives), 2, squeeze=False, sharex=True, sharey=True)
    grids = {
        name: ranked.pivot(index="lithium", columns="fluorine", values=name)
        for name in [
            "in_domain",
            *(f"{asked.name}_{part}" for asked in objectives for part in ("mean", "std")),
        ]
    }
    for row, asked in zip(axes, objectives, strict=True):
        for ax, part, colours, of in zip(
            row, ("mean", "std"), ("viridis", "magma"), ("", "standard deviation of "), strict=True
        ):
            grid = grids[f"{asked.name}_{part}"]
            image = ax.pcolormesh(
                grid.columns, grid.index, grid.to_numpy(dtype=float), cmap=colours, shading="nearest"
            )
            figure.colorbar(image, ax=ax, label=f"{of}{WORDS[asked.quantity]}")
            ax.set_title(
                condition_words(asked.rate_mA_g, asked.cycle, asked.V_low, asked.V_high), fontsize=10
            )
            _hatch_unknown(ax, grids["in_domain"])
    for ax in axes[:, 0]:
        ax.set_ylabel("Li per two anions")
    for ax in axes[-1]:
        ax.set_xlabel("F per two anions")
    if not ranked["in_domain"].all():
        figure.suptitle("hatched: not in the model's domain", fontsize=9)
    _save(figure, path)


def save_profiles(curves: pd.DataFrame, formula: str, path: Path) -> None:
    """Draw voltage over charge, and the slope over voltage, with a band of one standard deviation.

    What the model does not know says so in the figure, which may be shown without its table.

    Args:
        curves: The columns of `profile.csv`.
        formula: Of the cathode.
        path: Of the PNG, written whole.
    """
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    unknown = "" if curves["in_domain"].all() else " (not in the model's domain)"
    figure.suptitle(f"{with_subscripts(formula)}{unknown}", fontsize=11)
    for number, (_, curve) in enumerate(curves.groupby(CONDITION, sort=False)):
        colour, voltage = f"C{number}", curve["voltage_V"]
        condition = curve[CONDITION].iloc[0].tolist()
        charge, charge_std = curve["charge_mAh_g_mean"], curve["charge_mAh_g_std"]
        slope, slope_std = curve["dQ_dV_mAh_g_V_mean"], curve["dQ_dV_mAh_g_V_std"]
        untrained = " (not trained on such)" if curve["warning"].iloc[0] else ""
        left.plot(charge, voltage, color=colour, label=f"{condition_words(*condition)}{untrained}")
        left.fill_betweenx(voltage, charge - charge_std, charge + charge_std, color=colour, alpha=0.25, lw=0)
        right.plot(voltage, slope, color=colour)
        right.fill_between(voltage, slope - slope_std, slope + slope_std, color=colour, alpha=0.25, lw=0)
    left.set(xlabel="discharge capacity (mAh/g)", ylabel="voltage (V)")
    left.set_xlim(left=0)
    left.legend(fontsize=8, title="bands: one standard deviation of the members", title_fontsize=7)
    right.set(xlabel="voltage (V)", ylabel="dQ/dV (mAh/g/V)")
    _save(figure, path)


CONDITION = ["rate_mA_g", "cycle", "V_low", "V_high"]
"""Columns of `profile.csv` that say what test it is."""


def condition_words(rate_mA_g: float, cycle: float, V_low: float, V_high: float) -> str:
    """Return a condition in people's words."""
    return f"cycle {cycle:g}, {rate_mA_g:g} mA/g, {float(V_low)} to {float(V_high)} V"


def with_subscripts(formula: str) -> str:
    """Return a formula whose amounts Matplotlib sets as subscripts."""
    return re.sub(r"([0-9.]+)", r"$_{\1}$", formula.replace(" ", ""))


def _hatch_unknown(ax: Axes, in_domain: pd.DataFrame) -> None:
    unknown = in_domain.eq(False).to_numpy()
    if unknown.any():
        ax.contourf(
            in_domain.columns,
            in_domain.index,
            np.where(unknown, 1.0, 0.0),
            [0.5, 1.5],
            colors="none",
            hatches=["///"],
        )


def _save(figure: Figure, path: Path) -> None:
    with written_whole(path) as temporary:
        figure.savefig(temporary, format="png", dpi=100)
