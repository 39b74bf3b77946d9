"""The figures of a comparison: curves over experiments, and what was measured on the ternary."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from mpltern.ternary import TernaryAxes

from activelearn.acquisition import Goal
from activelearn.shards import written_whole
from campaigns.worth import CONDUCTIVITY, Target
from surrogates.quantities import Floats

_COLUMNS = 3


@dataclass(frozen=True)
class Ternary:
    """A pool of mixtures of three solvents.

    Attributes:
        solvents: Their names.
        shares: `n x 3`, weight fractions of each candidate.
        worth: `n`, what each truly is.
        name: Of that, with its unit.
    """

    solvents: tuple[str, str, str]
    shares: Floats
    worth: Floats
    name: str = "conductivity_mS_cm"

    @property
    def is_flat(self) -> bool:
        """Whether its mixtures lie on a line or in a point, so that there is no map."""
        return int(np.linalg.matrix_rank(self.shares - self.shares.mean(0), tol=1e-6)) < 2

    @property
    def surface(self) -> tuple[Floats, Floats]:
        """Weight fractions, `m x 3`, each once, and the highest that each is, whatever the rest."""
        by = pd.DataFrame(self.shares.round(6)).assign(worth=self.worth).groupby([0, 1, 2])["worth"].max()
        return np.array(by.index.to_list()), by.to_numpy()


def save_curves(rows: pd.DataFrame, goal: Goal, file: Path, target: Target = CONDUCTIVITY) -> None:
    """Draw the median over seeds of each strategy with its quartiles, over experiments."""
    what, label = (
        ("regret", f"regret, {target.regret_label}") if goal == "best" else ("found", "% of the top found")
    )
    figure, axes = plt.subplots(figsize=(8, 4.2), layout="constrained")
    for place, (name, of) in enumerate(rows.groupby("strategy", sort=False)):
        over = of.groupby("experiments")[what]
        low, middle, high = (100 * over.quantile(share) for share in (0.25, 0.5, 0.75))
        colour, dashes = f"C{place % 10}", ("-", "--")[place // 10 % 2]
        axes.plot(middle.index, middle, dashes, color=colour, label=str(name))
        axes.fill_between(middle.index, low, high, color=colour, alpha=0.12, linewidth=0)
    axes.set(xlabel="experiments", ylabel=label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if goal == "best":
        axes.set_yscale("symlog", linthresh=0.1)
        axes.axhline(1, color="grey", linewidth=0.8, linestyle=":")
    figure.legend(frameon=False, fontsize=8, loc="outside right upper")  # curves may lie anywhere inside
    with written_whole(file) as part:
        figure.savefig(part, format="png", dpi=150)
    plt.close(figure)


def save_trajectories(rows: pd.DataFrame, ternary: Ternary, file: Path) -> None:
    """Draw what each strategy has measured with the first seed, in order, over the truth.

    Args:
        rows: As `campaigns.compare.compare_to_directory` returns them.
        ternary: Its pool, not flat.
        file: Of the PNG, written whole.
    """
    rows = rows[rows["seed"] == rows["seed"].min()]
    names = list(dict.fromkeys(rows["strategy"]))
    width, height = min(_COLUMNS, len(names)), -(-len(names) // _COLUMNS)
    wide, tall = 3.6 * width + 0.9, 3.4 * height + 0.7
    figure = Figure(figsize=(wide, tall))
    # Placed by hand: Matplotlib would measure all ticks several times over, for seconds.
    right = 1 - 1.3 / wide
    figure.subplots_adjust(0.5 / wide, 0.06, right, 1 - 1.2 / tall, 0.3, 0.4)
    image: Any = None
    for place, name in enumerate(names, start=1):
        ax = figure.add_subplot(height, width, place, axes_class=TernaryAxes)
        ax.set_title(name, fontsize=10, y=1.15)
        image = _map(ax, ternary)
        _measured(ax, ternary.shares, rows[rows["strategy"] == name])
    beside = figure.add_axes((right + 0.35 / wide, 0.2, 0.2 / wide, 0.5))
    figure.colorbar(image, cax=beside, label=f"{ternary.name}, the highest at each composition")
    figure.suptitle("squares: starts; points: measured, from dark to light; star: the optimum", fontsize=9)
    with written_whole(file) as part:
        figure.savefig(part, format="png", dpi=100)


def _map(ax: Any, ternary: Ternary) -> Any:
    shares, worth = ternary.surface
    levels = MaxNLocator(12).tick_values(worth.min(), worth.max())
    # Not a rounding error above the last level, where no colour would stand.
    image = ax.tricontourf(*shares.T, worth.clip(levels[0], levels[-1]), levels=levels, cmap="Blues")
    ax.plot(*shares[[worth.argmax()]].T, "*", color="C3", ms=13, clip_on=False, zorder=9)
    for label, name in zip((ax.set_tlabel, ax.set_llabel, ax.set_rlabel), ternary.solvents, strict=True):
        label(name)
    ax.tick_params(labelsize=6)
    return image


def _measured(ax: Any, shares: Floats, one: pd.DataFrame) -> None:
    """Draw one campaign: the starts, then each round's proposals, in order."""
    starts, *rounds = ([int(place) for place in str(places).split()] for places in one["places"])
    # A step on the path of a start stands where that start stands among the starts.
    is_path = one["strategy"].iloc[0] == "gradient-path"
    for path in zip(starts, *rounds, strict=False) if is_path else zip(*rounds, strict=False):
        if is_path or len(rounds[0]) == 1:
            ax.plot(*shares[list(path)].T, color="black", linewidth=0.6, zorder=5)
    ax.scatter(*shares[starts].T, marker="s", s=28, c="white", edgecolors="black", zorder=6, clip_on=False)
    order = np.repeat(np.arange(len(rounds)), [len(places) for places in rounds])
    places = [place for places in rounds for place in places]
    ax.scatter(*shares[places].T, c=order, cmap="inferno", s=16, zorder=7, clip_on=False)
