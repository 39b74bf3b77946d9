"""The figure of a landscape: a ternary map of each system, with arrows of the gradient."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from mpltern.ternary import TernaryAxes

from activelearn.landscape import Landscape, TernarySystem
from activelearn.shards import written_whole

ARROWS = 10
"""About as many of the gradient stand along an edge."""


def save_landscapes(systems: Sequence[TernarySystem], landscapes: Sequence[Landscape], path: Path) -> None:
    """Draw the conductivity of each system with its gradient and its best point, and below it the deviation.

    Where the model does not know the mixtures the map is hatched.

    Args:
        systems: What is drawn, a column each.
        landscapes: Of a grid each, edges included.
        path: Of the PNG, written whole.
    """
    figure = Figure(figsize=(4.6 * len(systems), 7.6))
    margin = 0.12 / len(systems)
    figure.subplots_adjust(left=margin, right=1 - margin, bottom=0.06, top=0.8, hspace=0.38)
    for column, (system, said) in enumerate(zip(systems, landscapes, strict=True), start=1):
        for row, (values, colours, words) in enumerate(
            (
                (said.conductivity, "viridis", "conductivity (mS/cm)"),
                (said.std, "magma", "its standard deviation (mS/cm)"),
            )
        ):
            ax = figure.add_subplot(2, len(systems), column + row * len(systems), axes_class=TernaryAxes)
            _map(figure, ax, system, said, values.numpy(), colours, words)
            # Placed by hand: Matplotlib would measure all ticks several times over, for seconds.
            ax.set_title("" if row else _title(system, said), fontsize=10, y=1.22)
            if row == 0:
                _arrows(ax, said)
                best = said.x[said.conductivity.argmax()].numpy()
                ax.plot(*best[:, None], "*", color="C3", ms=12, clip_on=False, zorder=9)
    words = "arrows: gradient within the ternary\nstar: highest conductivity on the grid"
    if any(_is_mixed(said) for said in landscapes):
        words += "\nhatched: not in the model's domain"
    figure.suptitle(words, fontsize=9)
    with written_whole(path) as temporary:
        figure.savefig(temporary, format="png", dpi=100)


def _map(
    figure: Figure,
    ax: Any,
    system: TernarySystem,
    said: Landscape,
    values: np.ndarray,
    colours: str,
    words: str,
) -> None:
    corners = said.x.numpy().T
    levels = MaxNLocator(12).tick_values(values.min(), values.max())
    # Not a rounding error above the last level, where no colour would stand.
    image = ax.tricontourf(*corners, values.clip(levels[0], levels[-1]), levels=levels, cmap=colours)
    figure.colorbar(image, ax=ax, label=words, shrink=0.6, pad=0.12)
    if _is_mixed(said):
        unknown = 1.0 - said.in_domain.numpy()
        ax.tricontourf(*corners, unknown, levels=[0.5, 1.5], colors="none", hatches=["//"])
    for set_label, name in zip((ax.set_tlabel, ax.set_llabel, ax.set_rlabel), system.solvents, strict=True):
        set_label(name)
    ax.tick_params(labelsize=7)


def _arrows(ax: Any, said: Landscape) -> None:
    """Draw the gradient on a coarser grid inside; the longest arrow reaches to the next one."""
    x = said.x.numpy()
    parts = round(1 / x[x > 0].min())
    every = max(1, parts // ARROWS)
    is_shown = (np.rint(x[:, :2] * parts) % every == 0).all(1) & (x > 0).all(1)
    gradient = said.gradient.numpy()[is_shown]
    longest = np.abs(gradient).max(initial=0)
    if longest > 0:
        steps = gradient * every / (parts * longest)
        ax.quiver(
            *x[is_shown].T,
            *steps.T,
            angles="xy",
            scale_units="xy",
            scale=1,
            width=0.005,
            color="black",
        )


def _title(system: TernarySystem, said: Landscape) -> str:
    words = f"{system.salt_name}, lithium {system.lithium_mole_fraction:g}, {said.temperature_K[0]:g} K"
    return words if said.in_domain.any() else f"{words}\nnot in the model's domain"


def _is_mixed(said: Landscape) -> bool:
    """Return whether the model knows some of the mixtures and others not."""
    return bool(said.in_domain.any()) and not bool(said.in_domain.all())
