"""Figures of a model beside measurements: parity, reliability, and error against standard deviation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from activelearn.shards import written_whole
from surrogates.calibration import (
    COVERAGE,
    LEVELS,
    errors_by_std,
    levels_of,
    observed_shares,
    recalibrated,
    z_of_levels,
)

_DECADE = 10


def save_parity(judged: pd.DataFrame, target: str, path: Path) -> None:
    """Draw what was predicted, with its 90 % interval, over what was measured.

    Args:
        judged: `measured`, `mean`, `std`, `lower_90`, `upper_90` of each row, and `in_domain` if it is known.
        target: What was measured.
        path: Of the PNG, written whole.
    """
    figure, ax = _figure()
    _parity(ax, judged, target)
    _save(figure, path)


def save_reliability(judged: pd.DataFrame, path: Path) -> None:
    """Draw the share of measurements inside central intervals over the share that they should hold.

    A circle stands for the 90 % interval as the model states it, whose factor need not be a Gaussian's. A
    dotted line shows all rows after isotonic recalibration, cross-fitted.

    Args:
        judged: As of `save_parity`.
        path: Of the PNG, written whole.
    """
    figure, ax = _figure()
    _reliability(ax, judged)
    _save(figure, path)


def save_errors(judged: pd.DataFrame, target: str, path: Path) -> None:
    """Draw absolute error over standard deviation, and the root mean squares of equally sure rows.

    Args:
        judged: As of `save_parity`.
        target: What was measured.
        path: Of the PNG, written whole.
    """
    figure, ax = _figure()
    _errors(ax, judged, target)
    _save(figure, path)


def save_held_out(held_out: pd.DataFrame, model: str, target: str, directory: Path) -> list[Path]:
    """Draw all three for each kind of split, side by side, all test rows of its splits together.

    Args:
        held_out: As `campaigns.judging.Judged` has it.
        model: Of whose words.
        target: What was measured.
        directory: Where `held_out_random.png` and so on are written.

    Returns:
        The files.
    """
    paths = []
    for splits, said in held_out[held_out["model"] == model].groupby("splits", sort=False):
        names = {f"{target}_{part}": part for part in ("mean", "std", "lower_90", "upper_90")}
        judged = said.rename(columns={target: "measured", **names}).reset_index(drop=True)
        figure = Figure(figsize=(15, 5), layout="constrained")
        parity, reliability, errors = figure.subplots(1, 3)
        _parity(parity, judged, target)
        _reliability(reliability, judged)
        _errors(errors, judged, target)
        paths.append(directory / f"held_out_{splits}.png")
        _save(figure, paths[-1])
    return paths


def _parity(ax: Axes, judged: pd.DataFrame, target: str) -> None:
    for some, colour, words in _kinds(judged):
        bars = [some["mean"] - some["lower_90"], some["upper_90"] - some["mean"]]
        ax.errorbar(
            some["measured"],
            some["mean"],
            yerr=bars,
            fmt="o",
            ms=3,
            color=colour,
            elinewidth=0.5,
            alpha=0.6,
            label=words,
            rasterized=True,
        )
    ends = np.array([judged["measured"].min(), judged["measured"].max()])
    ax.plot(ends, ends, color="black", lw=1, ls="--")
    ax.set(xlabel=f"measured {target}", ylabel="predicted: mean and 90 % interval")
    ax.legend(fontsize=8, loc="upper left")


def _reliability(ax: Axes, judged: pd.DataFrame) -> None:
    kinds = list(_kinds(judged))
    parts = kinds if len(kinds) == 1 else [(judged, "black", f"all rows ({len(judged):,})"), *kinds]
    for some, colour, words in parts:
        z = (some["measured"] - some["mean"]).abs().to_numpy() / some["std"].to_numpy()
        ax.plot(LEVELS, observed_shares(z), color=colour, label=words)
        inside = some["measured"].between(some["lower_90"], some["upper_90"]).mean()
        ax.plot(COVERAGE, inside, "o", color=colour, ms=6)
    level = recalibrated(levels_of(*(judged[name].to_numpy() for name in ("measured", "mean", "std"))))
    if level is not None:
        shares = observed_shares(z_of_levels(level))
        ax.plot(LEVELS, shares, color="C3", ls=":", label="all rows, recalibrated on each other")
    ax.plot([0, 1], [0, 1], color="black", lw=1, ls="--")
    ax.set(xlim=(0, 1), ylim=(0, 1))
    ax.set(xlabel="share that a central interval should hold", ylabel="share of the measurements in it")
    ax.legend(fontsize=8, loc="upper left", title="circle: the stated 90 % interval", title_fontsize=7)


def _errors(ax: Axes, judged: pd.DataFrame, target: str) -> None:
    error = (judged["measured"] - judged["mean"]).abs()
    for some, colour, words in _kinds(judged):
        ax.scatter(
            some["std"], error[some.index], s=6, color=colour, label=words, linewidths=0, rasterized=True
        )
    stated, came = errors_by_std(error.to_numpy(), judged["std"].to_numpy())
    ax.plot(stated, came, "s-", color="C3", ms=5, label="root mean squares of equally sure rows")
    ends = np.array([judged["std"].min(), judged["std"].max()])
    ax.plot(ends, ends, color="black", lw=1, ls="--", label="as stated")
    ax.set(xscale="log", yscale="log")
    if ends[1] > _DECADE * ends[0]:  # else the labels between powers of ten are the only ones
        ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set(xlabel="standard deviation of a measurement", ylabel=f"absolute error of {target}")
    ax.legend(fontsize=8)


def _kinds(judged: pd.DataFrame) -> Iterator[tuple[pd.DataFrame, str, str]]:
    """Yield the rows that the model does not know and those that it knows, with colour and words."""
    if "in_domain" not in judged:
        yield judged, "C0", f"test rows ({len(judged):,})"
        return
    for known, colour, words in ((False, "0.6", "not in domain"), (True, "C0", "in domain")):
        some = judged[judged["in_domain"] == known]
        if len(some):
            yield some, colour, f"{words} ({len(some):,})"


def _figure() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5.4, 5), layout="constrained")
    return figure, figure.subplots()


def _save(figure: Figure, path: Path) -> None:
    with written_whole(path) as temporary:
        figure.savefig(temporary, format="png", dpi=100)
