"""An ensemble of DiffMix networks learnt from measured excess properties."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from surrogates.atom_features import atom_features
from surrogates.blends import BlendBatch
from surrogates.calibration import fit_calibration
from surrogates.encoders.diffmix_excess import DiffMixExcessSettings, excess_network
from surrogates.errors import InputError, Problem
from surrogates.excess_data import ExcessData
from surrogates.excess_models import ExcessDomain, ExcessEnsemble
from surrogates.members import Members, too_few_members
from surrogates.prediction import UNCALIBRATED, Prediction
from surrogates.training import TrainingSettings, optimise

FEWEST_ROWS = 30
"""Of which a tenth tests, and a tenth stops the training and calibrates."""
_SMALLEST_STD = 1e-4
"""Of the noise, in the target's scale: a measurement that fits better is not more believed for it."""

_WATCH_EVERY = 10

Said = Callable[[Members, Tensor], tuple[Tensor, Tensor, Tensor]]
"""Mean and variance, each `K x rows`, of rows given as indices, and what else joins the loss, `K`."""


@dataclass(frozen=True)
class ExcessSettings:
    """What is fitted and how.

    Attributes:
        members: Networks, at least 2.
        steps: Of the optimiser, each on all training rows.
        learning_rate: Highest of a one-cycle schedule.
        weight_decay: Of AdamW.
        smoothness: Weight of the roughness of the pairs' curves, which holds high orders down where
            measurements do not ask for them.
        network: Of each member.
    """

    members: int = 5
    steps: int = 2000
    learning_rate: float = 3e-3
    weight_decay: float = 1e-4
    smoothness: float = 1e-4
    network: DiffMixExcessSettings = field(default_factory=DiffMixExcessSettings)

    def training(self, rows: int) -> TrainingSettings:
        """Return the settings of the loop for a number of rows; an epoch is a step."""
        return TrainingSettings(
            self.steps, rows, self.learning_rate, self.weight_decay, watch_every=_WATCH_EVERY
        )


def check_excess(data: ExcessData, settings: ExcessSettings) -> None:
    """Check that an ensemble can be fitted to some measurements.

    Raises:
        InputError: For fewer than 2 members or 30 rows, or a target that never varies.
    """
    problems = too_few_members(settings.members)
    if len(data) < FEWEST_ROWS:
        wrong = f"{len(data)} rows to train on; at least {FEWEST_ROWS} are needed"
        problems.append(Problem(data.source, wrong, "Add measurements."))
    elif bool((data.target == data.target[0]).all()):
        wrong = f"{data.target_name} is {float(data.target[0]):g} in every row; nothing can be learnt"
        problems.append(Problem(data.source, wrong, "Check the column."))
    if problems:
        raise InputError(problems)


def fit_excess(
    data: ExcessData,
    train: Tensor,
    validate: Tensor,
    settings: ExcessSettings,
    seed: int,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> ExcessEnsemble:
    """Fit and calibrate an ensemble. No row but those named is looked at.

    Args:
        data: Measurements.
        train: Indices of the rows to learn from.
        validate: Indices of the rows that stop the training and calibrate the variances.
        settings: What and how.
        seed: Of starting weights and dropout.
        progress: Called with the steps done and their number.
    """
    known = data.take(torch.cat([train, validate]))
    batch, atoms = blend(known), atom_features(known.table)
    torch.manual_seed(seed)  # starting weights and dropout come from the global generator
    networks = [excess_network(settings.network) for _ in range(settings.members)]
    for network in networks:
        network.standardise(known.table, atoms)

    def said(members: Members, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        embedding = members.each("embed", known.table, atoms)
        mean, variance, rough = members.each("mix", batch[rows], mine=(embedding,))
        return mean, variance, settings.smoothness * rough

    scale = scale_of(known, len(train))
    training = settings.training(len(train))
    members = learn(networks, said, known.target / scale, len(train), training, seed, progress)
    ensemble = ExcessEnsemble(
        members=members,
        calibration=UNCALIBRATED,
        domain=ExcessDomain.of(known),
        target=known.target_name,
        scale=scale,
    )
    held = data.take(validate)
    found = predict(ensemble, held)
    calibration = fit_calibration(held.target, found.mean, found.epistemic, found.aleatoric)
    return replace(ensemble, calibration=calibration)


def predict(ensemble: ExcessEnsemble, data: ExcessData) -> Prediction:
    """Return what an ensemble says of the mixtures of some measurements."""
    return ensemble.predict(data.table, data.molecules, both_fractions(data), data.temperature_K)


def learn(
    networks: Sequence[nn.Module],
    said: Said,
    target: Tensor,
    trained_on: int,
    training: TrainingSettings,
    seed: int,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Members:
    """Return members trained on absolute errors, each at its best step on the rows behind the first.

    The loss is the Laplace likelihood, weighted by its width, so that it teaches the mean as the absolute
    error does: published tables hold wrong digits, which would rule a square.

    Args:
        networks: With starting weights.
        said: Evaluates members.
        target: `n`, over its scale.
        trained_on: How many rows, from the first on, to learn from.
        training: How; `beta` and `teacher_weight` have no part in it.
        seed: Of the order of rows.
        progress: Called with the epochs done and their number.
    """
    target = target.float()
    watched = torch.arange(trained_on, len(target))

    def loss(members: Members, rows: Tensor, _: torch.Generator) -> Tensor:
        mean, variance, more = said(members, rows)
        width = (variance / 2).sqrt() + _SMALLEST_STD
        error = (mean - target[rows]).abs() / width + width.log()
        total: Tensor = (width.detach() * error).mean(1).sum() + more.sum()
        return total

    def error(members: Members) -> Tensor:
        with torch.no_grad():
            mean, _, _ = said(members, watched)
        return (mean - target[watched]).abs().mean(1)

    return optimise(Members.of(networks), loss, error, trained_on, training, seed, progress)


def scale_of(data: ExcessData, trained_on: int) -> float:
    """Return the standard deviation of the first rows' target, by which all is divided."""
    return max(float(data.target[:trained_on].std()), 1e-12)


def both_fractions(data: ExcessData) -> Tensor:
    """Return the mole fractions of both molecules, `n x 2`."""
    return torch.stack([data.x, 1 - data.x], dim=1)


def blend(data: ExcessData) -> BlendBatch:
    """Return measurements as a network takes them, float32."""
    return BlendBatch.of(data.molecules, both_fractions(data).float(), data.temperature_K.float())
