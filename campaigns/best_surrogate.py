"""Which surrogate says unseen solvents best: a choice by validation splits of their own."""

from __future__ import annotations

from statistics import fmean

from rich.console import Console

from campaigns.judging import POOLED, SURROGATES, Settings, judge
from surrogates.calibration_rows import FEWEST_PAPERS
from surrogates.checkpoints import Surrogate
from surrogates.errors import InputError
from surrogates.mixture_data import MixtureData
from surrogates.splits import Split, mixture_splits, paper_splits, solvent_splits

_SPLITS = 2
_FRACTION = 0.2
_OFF = 1000
"""Added to the seed, so that no split is one of those that are told."""


def best_surrogate(data: MixtureData, settings: Settings, seed: int, console: Console) -> Surrogate:
    """Return the surrogate of least negative log likelihood on grouped validation splits.

    Of data from ten papers or more the two largest papers are left out in turn, of others rows with a solvent
    that no training row holds, twice, or of data where that cannot be, mixtures.

    Args:
        data: Measured mixtures.
        settings: Of the ensemble on whose encoders each stands.
        seed: Of the training.
        console: Where the choice is told.

    Raises:
        InputError: If a surrogate cannot be fitted to a part of the rows.
    """
    splits = _grouped(data, seed)
    judged = judge(data, splits, settings, SURROGATES, console)
    rows = [row for row in judged.scores if row.splits == splits[0].name]
    nll = {
        name: fmean([_or_worst(row.mean["nll"]) for row in rows if row.model == name]) for name in SURROGATES
    }
    best = min(SURROGATES, key=nll.__getitem__)
    found = ", ".join(f"{name} {value:.3f}" for name, value in nll.items())
    console.print(
        f"{best} is the best of all surrogates by NLL on {splits[0].name} splits: {found}", soft_wrap=True
    )
    return best


def _or_worst(value: float | None) -> float:
    return float("inf") if value is None else value


def _grouped(data: MixtureData, seed: int) -> list[Split]:
    if POOLED in data.rows and data.rows[POOLED].nunique() >= FEWEST_PAPERS:
        return paper_splits(data)[:_SPLITS]
    try:
        return solvent_splits(data, _SPLITS, _FRACTION, seed + _OFF)
    except InputError:
        return mixture_splits(data, _SPLITS, _FRACTION, seed + _OFF)
