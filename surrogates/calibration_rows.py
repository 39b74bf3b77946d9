"""Who learns from which rows: an ensemble from all, its judges not from those that calibrate it.

There are two judges. One leaves out rows near the training data, the other rows far from it (or other near
ones, if there are none), so that each keeps most of what the ensemble has. By rows of one kind alone,
intervals came out too wide for the other kind or far too narrow.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import torch
from torch import Tensor

from surrogates.errors import InputError
from surrogates.mixture_data import MixtureData
from surrogates.splits import holdouts, solvent_splits

JUDGES = 2
FEWEST_PAPERS = 10
"""Below which papers do not stand for laboratories."""
_NEAR, _NEAR_OF_FEW, _FEW = 0.07, 0.12, 20
"""Of single rows, and again of mixtures; the second of few rows, as far as that many ask for it."""
_SOLVENTS = 0.12
"""Of rows, those that hold some solvents."""
_PAPERS = 0.1
_DOMAIN = 0.2


@dataclass(frozen=True)
class Parts:
    """Which rows do what, for `m` networks: those of the ensemble, then as many of each judge.

    Attributes:
        trains: `m x n`, bool, on which rows a network trains.
        validates: `m x n`, bool, on which it is watched.
        calibrates: `JUDGES x n`, bool, which rows a judge neither trains on nor is watched on.
    """

    trains: Tensor
    validates: Tensor
    calibrates: Tensor


def parts_of(data: MixtureData, members: int, holdout: float, seed: int) -> Parts:
    """Return which rows train the members of an ensemble and of its judges, watch them, and calibrate.

    Args:
        data: The rows.
        members: Of the ensemble.
        holdout: Share of the mixtures that each network holds out to be watched on, its own draw.
        seed: Of the draw.
    """
    far = _far(data, seed)
    calibrates = torch.stack([_near(data, seed), far if far.any() else _near(data, seed + 1)])
    trains = holdouts(_mixtures(data), (1 + JUDGES) * members, holdout, seed)
    validates = ~trains
    hidden = torch.cat([torch.zeros(1, len(data), dtype=torch.bool), calibrates])
    hidden = hidden.repeat_interleave(members, dim=0)
    return Parts(trains & ~hidden, validates & ~hidden, calibrates)


def domain_rows(data: MixtureData, seed: int) -> Tensor:
    """Return which rows set the limit of a domain, `n`, bool: a fifth of the papers, or of the mixtures."""
    return ~holdouts(laboratories(data), 1, _DOMAIN, seed)[0]


def laboratories(data: MixtureData) -> Tensor:
    """Return whose each row is, `n`, int64: the paper's, if there are ten or more, else the mixture's."""
    if _has_papers(data):
        return torch.tensor(data.rows["paper"].factorize()[0])
    return _mixtures(data)


def _near(data: MixtureData, seed: int) -> Tensor:
    """Return single rows, whose mixtures may be known, and mixtures."""
    share = min(max(_NEAR, _FEW / len(data)), _NEAR_OF_FEW)
    single, mixture = (
        ~holdouts(groups, 1, share, seed)[0] for groups in (torch.arange(len(data)), _mixtures(data))
    )
    return single | mixture


def _far(data: MixtureData, seed: int) -> Tensor:
    """Return all rows with some solvents, if there are rare ones, and of some papers, if there are ten."""
    held = torch.zeros(len(data), dtype=torch.bool)
    with suppress(InputError):  # each solvent stands in too many rows
        held[solvent_splits(data, 1, _SOLVENTS, seed)[0].test] = True
    if _has_papers(data):
        held |= ~holdouts(laboratories(data), 1, _PAPERS, seed)[0]
    return held


def _has_papers(data: MixtureData) -> bool:
    return "paper" in data.rows and data.rows["paper"].nunique() >= FEWEST_PAPERS


def _mixtures(data: MixtureData) -> Tensor:
    return torch.tensor(data.rows["mixture"].to_numpy())
