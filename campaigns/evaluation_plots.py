"""Figures of a model beside measurements: parity, reliability, and error against standard deviation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from activelearn.shards import written_whole
from surrogates.calibration import COVERAGE, LEVELS, errors_by_std, observed_shares


def save_parity(judged: pd.DataFrame, target: str, path: Path) -> None:
    """Draw what was predicted, with its 90 % interval, over what was measured.

    Args:
        judged: `measured`, `mean`, `std`, `lower_90`, `upper_90`, `in_domain` of each row.
        target: What was measured.
        path: Of the PNG, written whole.
    """
    figure = Figure(figsize=(5.4, 5), layout="constrained")
    ax = figure.subplots()
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
        )
    ends = np.array([judged["measured"].min(), judged["measured"].max()])
    ax.plot(ends, ends, color="black", lw=1, ls="--")
    ax.set(xlabel=f"measured {target}", ylabel="predicted: mean and 90 % interval")
    ax.legend(fontsize=8, loc="upper left")
    _save(figure, path)


def save_reliability(judged: pd.DataFrame, path: Path) -> None:
    """Draw the share of measurements inside central intervals over the share that they should hold.

    A circle stands for the 90 % interval as the model states it, whose factor need not be a Gaussian's.

    Args:
        judged: As of `save_parity`.
        path: Of the PNG, written whole.
    """
    figure = Figure(figsize=(5.4, 5), layout="constrained")
    ax = figure.subplots()
    for some, colour, words in ((judged, "black", f"all rows ({len(judged):,})"), *_kinds(judged)):
        error = (some["measured"] - some["mean"]).abs().to_numpy()
        shares = observed_shares(error / some["std"].to_numpy())
        ax.plot(LEVELS, shares, color=colour, label=words)
        inside = some["measured"].between(some["lower_90"], some["upper_90"]).mean()
        ax.plot(COVERAGE, inside, "o", color=colour, ms=6)
    ax.plot([0, 1], [0, 1], color="black", lw=1, ls="--")
    ax.set(xlim=(0, 1), ylim=(0, 1))
    ax.set(xlabel="share that a central interval should hold", ylabel="share of the measurements in it")
    ax.legend(fontsize=8, loc="upper left", title="circle: the stated 90 % interval", title_fontsize=7)
    _save(figure, path)


def save_errors(judged: pd.DataFrame, target: str, path: Path) -> None:
    """Draw absolute error over standard deviation, and the root mean squares of equally sure rows.

    Args:
        judged: As of `save_parity`.
        target: What was measured.
        path: Of the PNG, written whole.
    """
    figure = Figure(figsize=(5.4, 5), layout="constrained")
    ax = figure.subplots()
    error = (judged["measured"] - judged["mean"]).abs()
    for some, colour, words in _kinds(judged):
        ax.scatter(some["std"], error[some.index], s=6, color=colour, label=words, linewidths=0)
    stated, came = errors_by_std(error.to_numpy(), judged["std"].to_numpy())
    ax.plot(stated, came, "s-", color="C3", ms=5, label="root mean squares of equally sure rows")
    ends = np.array([judged["std"].min(), judged["std"].max()])
    ax.plot(ends, ends, color="black", lw=1, ls="--", label="as stated")
    ax.set(xscale="log", yscale="log")
    ax.set(xlabel="standard deviation of a measurement", ylabel=f"absolute error of {target}")
    ax.legend(fontsize=8)
    _save(figure, path)


def _kinds(judged: pd.DataFrame) -> Iterator[tuple[pd.DataFrame, str, str]]:
    """Yield the rows that the model does not know and those that it knows, with colour and words."""
    for known, colour, words in ((False, "0.6", "not in domain"), (True, "C0", "in domain")):
        some = judged[judged["in_domain"] == known]
        if len(some):
            yield some, colour, f"{words} ({len(some):,})"


def _save(figure: Figure, path: Path) -> None:
    with written_whole(path) as temporary:
        figure.savefig(temporary, format="png", dpi=100)
