"""How networks learn the logarithm of a property so that the property itself comes out right."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import smooth_l1_loss

from surrogates.ensemble import check_trainable
from surrogates.errors import InputError, Problem
from surrogates.members import Members, beta_nll
from surrogates.mixture_data import MixtureData
from surrogates.training import TrainingSettings, optimise

_LEAST = 0.01
"""Spreads of the property below which all values weigh alike."""
_NOISE_WEIGHT = 0.1
"""Of the likelihood that teaches the variance; the mean does not feel it."""
_HUBER = 0.02
"""Standardised error below which its square counts: the rest is an absolute error."""
_LARGEST = 3.0
"""Standard deviations of log10 beyond which an error does not grow."""

Outputs = Callable[[Members, Tensor], tuple[Tensor, Tensor]]
"""Mean and variance of the standardised target, each `K x rows`, of rows given as indices."""


def train_on_property(
    members: Members,
    outputs: Outputs,
    target: Tensor,
    trains: Tensor,
    validates: Tensor,
    settings: TrainingSettings,
    seed: int,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Members:
    """Return the members trained, each at its best epoch on the rows it holds out, and set to predict.

    An error of the logarithm weighs as the root of the property: halfway between errors of the logarithm, to
    which large values mean too little, and of the property, to which small ones mean nothing. The variance
    learns from the likelihood.

    Args:
        members: `K` networks with starting weights.
        outputs: Evaluates members on rows.
        target: `n`, log10 of the property.
        trains: `K x n`, bool; on which rows a member trains.
        validates: `K x n`, bool; on which it is watched.
        settings: How; `beta` and `teacher_weight` have no part in it.
        seed: Of the order of rows.
        progress: Called with the epochs done and their number.
    """
    shift, scale = target.mean(), float(target.std())
    standardised = ((target - shift) / scale).float()
    value = (10 ** (target - shift)).float()
    value = value / value.std()
    weight = trains * value.clamp_min(_LEAST).sqrt()
    watched = validates.any(0).nonzero()[:, 0]
    watches = validates[:, watched]

    def loss(learner: Members, rows: Tensor, generator: torch.Generator) -> Tensor:
        mean, variance = outputs(learner, rows)
        measured = standardised[rows].expand_as(mean)
        error = smooth_l1_loss(mean, measured, beta=_HUBER, reduction="none") * weight[:, rows]
        noise = beta_nll(measured, mean.detach(), variance, 0.0) * trains[:, rows]
        total: Tensor = (error + _NOISE_WEIGHT * noise).mean(1).sum()
        return total

    def validation_error(learner: Members) -> Tensor:
        with torch.no_grad():
            mean, _ = outputs(learner, watched)
        said = 10 ** (scale * (mean - standardised[watched]).clamp_max(_LARGEST)) * value[watched]
        error = (said - value[watched]).abs() * watches
        return error.sum(1) / watches.sum(1).clamp_min(1)

    trained = optimise(members, loss, validation_error, len(target), settings, seed, progress)
    trained.network.eval()
    return trained


def distinct_rows(data: MixtureData, rows: Tensor) -> Tensor:
    """Return which of `rows` say something that no earlier one says, bool.

    Of the 24,822 rows of the DiffMix data these are 11,022.
    """
    said = data.rows[["mixture"]].assign(
        temperature=data.batch.temperature_K.numpy(), target=data.target.numpy()
    )
    return torch.from_numpy(~said.iloc[rows.numpy()].duplicated().to_numpy())


def check_law_trainable(data: MixtureData, rows: Tensor, members: int) -> None:
    """Check that a law ensemble can be fitted to some rows of a data set.

    Raises:
        InputError: As `check_trainable` does, or if the target is no logarithm.
    """
    check_trainable(data, rows, members)
    if not data.target_name.startswith("log10_"):
        wrong = f"{data.target_name} is no logarithm; the laws of diffmix are of log10 of a property above 0"
        mend = "Give a target that begins with log10_, or write encoder: molsets."
        raise InputError(Problem('key "target"', wrong, mend))
