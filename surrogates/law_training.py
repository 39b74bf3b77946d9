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
from surrogates.splits import holdouts
from surrogates.training import TrainingSettings, optimise

_LOG_WEIGHT = 0.1
"""Of errors of the logarithm beside those of the property: small conductivities count, large ones rule."""
_NOISE_WEIGHT = 0.1
"""Of the likelihood that teaches the variance; the mean does not feel it."""
_HUBER = 0.02
"""Standardised error below which its square counts: the rest is an absolute error."""
_LARGEST = 3.0
"""Standard deviations of log10 above the training mean to which a prediction may rise while it is learnt."""
_CALIBRATION_FRACTION = 0.2
_FEWEST_PAPERS = 10

Outputs = Callable[[Members, Tensor], tuple[Tensor, Tensor]]
"""Mean and variance of the standardised target, each `K x rows`, of rows given as indices."""


def train_on_property(
    members: Members,
    outputs: Outputs,
    target: Tensor,
    trains: Tensor,
    settings: TrainingSettings,
    seed: int,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Members:
    """Return the members trained, each at its best epoch on the rows it holds out, and set to predict.

    Errors count in the property itself and, less, in its logarithm; the variance learns from the likelihood.

    Args:
        members: `K` networks with starting weights.
        outputs: Evaluates members on rows.
        target: `n`, log10 of the property.
        trains: `K x n`, bool; True where a member trains on a row, else it validates there.
        settings: How; `beta` and `teacher_weight` have no part in it.
        seed: Of the order of rows.
        progress: Called with the epochs done and their number.
    """
    shift, scale = target.mean(), float(target.std())
    standardised = ((target - shift) / scale).float()
    unit = float((10 ** (target - shift)).std())
    weight = trains.float()

    def linear(standard: Tensor) -> Tensor:
        value: Tensor = 10 ** (scale * standard.clamp_max(_LARGEST)) / unit
        return value

    def loss(learner: Members, rows: Tensor, generator: torch.Generator) -> Tensor:
        learner.network.train()
        mean, variance = outputs(learner, rows)
        measured = standardised[rows].expand_as(mean)
        noise = beta_nll(measured, mean.detach(), variance, 0.0)
        error = _huber(linear(mean), linear(measured)) + _LOG_WEIGHT * _huber(mean, measured)
        total: Tensor = ((error + _NOISE_WEIGHT * noise) * weight[:, rows]).mean(1).sum()
        return total

    def validation_error(learner: Members) -> Tensor:
        learner.network.eval()
        with torch.no_grad():
            mean, _ = outputs(learner, torch.arange(len(target)))
        error = (linear(mean) - linear(standardised)).abs() * ~trains
        return error.sum(1) / (~trains).sum(1).clamp_min(1)

    trained = optimise(members, loss, validation_error, len(target), settings, seed, progress)
    trained.network.eval()
    return trained


def parts_of(data: MixtureData, count: int, holdout: float, seed: int) -> tuple[Tensor, Tensor]:
    """Return which rows train the members of an ensemble and of its judges, and which calibrate it.

    Args:
        data: The rows.
        count: Members of the ensemble; as many again judge it.
        holdout: Share of the mixtures that each holds out, its own draw.
        seed: Of the draw.

    Returns:
        `2 count x n`, bool, and `n`, bool: what no judge trains on.
    """
    calibrates = ~holdouts(laboratories(data), 1, _CALIBRATION_FRACTION, seed)[0]
    trains = holdouts(torch.tensor(data.rows["mixture"].to_numpy()), 2 * count, holdout, seed)
    trains[count:] &= ~calibrates
    return trains, calibrates


def distinct_rows(data: MixtureData, rows: Tensor) -> Tensor:
    """Return which of `rows` say something that no earlier one says, bool.

    Of the 24,822 rows of the DiffMix data these are 11,022.
    """
    said = data.rows[["mixture"]].assign(
        temperature=data.batch.temperature_K.numpy(), target=data.target.numpy()
    )
    return torch.from_numpy(~said.iloc[rows.numpy()].duplicated().to_numpy())


def laboratories(data: MixtureData) -> Tensor:
    """Return whose each row is, `n`, int64: the paper's, if there are ten or more, else the mixture's."""
    if "paper" in data.rows and data.rows["paper"].nunique() >= _FEWEST_PAPERS:
        return torch.tensor(data.rows["paper"].factorize()[0])
    return torch.tensor(data.rows["mixture"].to_numpy())


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


def _huber(said: Tensor, measured: Tensor) -> Tensor:
    return smooth_l1_loss(said, measured, beta=_HUBER, reduction="none")
