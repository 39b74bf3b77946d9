"""A deep ensemble: members that agree where there are data, and say by how much they differ elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from surrogates.batches import MixtureBatch, concatenate, none_or_several
from surrogates.domain import Domain
from surrogates.encoders.molsets import MolSets, MolSetsSettings
from surrogates.ensemble_predictor import EnsemblePredictor
from surrogates.errors import InputError, Problem
from surrogates.features import MoleculeFeatures
from surrogates.members import Members, too_few_members
from surrogates.mixture_data import MixtureData
from surrogates.molecules import MoleculeTable
from surrogates.prediction import UNCALIBRATED, Calibration
from surrogates.teacher import Teacher, nearby_mixtures
from surrogates.training import TrainingSettings, train

if TYPE_CHECKING:
    from surrogates.judged_ensemble import JudgedEnsemble

_FEWEST_ROWS = 20
_FEWEST_MIXTURES = 10
_SMALLEST_SPREAD = 1e-15
"""Standard deviation of the target; variances are float32, which ends at 1e-38."""


@dataclass(frozen=True)
class EnsembleSettings:
    """What is fitted and how.

    Attributes:
        members: Networks, at least 2.
        holdout: Share of the mixtures that each member holds out for early stopping, its own draw.
        taught: Mixtures that trees label (`Teacher`); 0 trains on measurements alone.
        encoder: Sizes of the network.
        training: How the members are trained.
    """

    members: int = 5
    holdout: float = 0.1
    taught: int = 10_000
    encoder: MolSetsSettings = field(default_factory=MolSetsSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)


@dataclass(frozen=True)
class MixtureEnsemble:
    """A fitted ensemble, for mixtures of any molecules.

    Attributes:
        members: The networks; their output is standardised.
        features: Of molecules, beside the graphs.
        domain: What is near enough to the training data.
        calibration: What makes the variances and the interval true.
        target: Name of the target with its unit.
        shift: Mean of the target in training.
        scale: Standard deviation of the target in training.
    """

    members: Members
    features: MoleculeFeatures
    domain: Domain
    calibration: Calibration
    target: str
    shift: float
    scale: float

    def bind(self, table: MoleculeTable) -> EnsemblePredictor:
        """Return the predictor for mixtures of these molecules; each is embedded once, here."""
        with torch.no_grad():
            embedding = self.members.each("embed", table, self.features.of(table))
        return EnsemblePredictor(
            state=self.members.state(),
            embedding=embedding,
            domain=self.domain.bind(table, self.features),
            calibration=self.calibration,
            target=self.target,
            shift=self.shift,
            scale=self.scale,
        )


def fit_ensemble(
    data: MixtureData,
    rows: Tensor,
    settings: EnsembleSettings,
    seed: int,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> MixtureEnsemble:
    """Fit and calibrate an ensemble.

    The variances and the intervals are calibrated by what the judges of `fit_judged_ensemble` say of the
    mixtures that they have not seen, so that the ensemble itself may learn from all rows.

    Args:
        data: Measured mixtures.
        rows: Indices of those to learn from; no other row is looked at.
        settings: What and how.
        seed: Of starting weights, held-out parts, taught mixtures and order of rows.
        progress: Called with the epochs done and their number.

    Raises:
        InputError: As `check_ensemble_trainable` does.
    """
    return fit_judged_ensemble(data, rows, settings, seed, progress).calibrated()


def fit_judged_ensemble(
    data: MixtureData,
    rows: Tensor,
    settings: EnsembleSettings,
    seed: int,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> JudgedEnsemble[MixtureEnsemble]:
    """Fit an ensemble and its judges (`calibration_rows`), of as many members each, in one loop.

    Takes and raises what `fit_ensemble` does.
    """
    # With SciPy and scikit-learn they take half a second that a screen, which fits nothing, need not wait.
    from surrogates.calibration_rows import JUDGES, domain_rows, parts_of
    from surrogates.judged_ensemble import JudgedEnsemble

    check_ensemble_trainable(data, rows, settings.members)
    data = data.take(rows)
    count = settings.members
    parts = parts_of(data, count, settings.holdout, seed)
    shift, scale = float(data.target.mean()), float(data.target.std())
    target = ((data.target - shift) / scale).float()

    features = MoleculeFeatures.fit(data.table, settings.encoder.descriptors)
    given = features.of(data.table)
    torch.manual_seed(seed)  # the starting weights of PyTorch's layers come from the global generator
    networks = [MolSets(settings.encoder, given.shape[1]) for _ in range((1 + JUDGES) * count)]
    for network in networks:
        network.standardise(given, data.batch)
    taught, made_of = nearby_mixtures(data.batch, settings.taught, seed)
    labels = torch.cat(
        [
            _labels(given, data, learnt, taught, made_of, seed).expand(count, -1)
            for learnt in (torch.ones(len(data), dtype=torch.bool), *~parts.calibrates)
        ]
    )
    everything = concatenate(data.batch, taught).to(torch.float32)

    embed = OccasionalEmbedding(data.table, given)

    def forward(members: Members, measured: Tensor, asked: Tensor) -> tuple[Tensor, Tensor]:
        embedding = embed(members)
        batch = everything[torch.cat([measured, asked + len(target)])]
        mean, variance = members.each("head", mine=(members.each("mix", batch, mine=(embedding,)),))
        return mean, variance

    trained = train(
        Members.of(networks),
        forward,
        target,
        parts.trains,
        parts.validates,
        (labels - shift) / scale,
        settings.training,
        seed,
        progress,
    )
    domain = Domain.fit(data.table, features, data.batch, domain_rows(data, seed))
    ensemble = MixtureEnsemble(
        trained[:count],
        features,
        domain,
        UNCALIBRATED,
        data.target_name,
        shift,
        scale,
    )
    return JudgedEnsemble.of(ensemble, trained, data, parts.calibrates)


class OccasionalEmbedding:
    """Embeds molecules for a training loop, with gradients at every fifth step only.

    A step without gradients leaves the graph layers as they are (the optimiser passes over parameters
    without a gradient), so the embedding of the step before holds exactly. On the MolSets data graphs are
    four fifths of a step's cost.

    Args:
        molecules: What the members' `embed` takes: the table, and what is known of its molecules or atoms.
    """

    every = 5

    def __init__(self, *molecules: object) -> None:
        self._molecules = molecules
        self._steps = 0
        self._kept: Tensor | None = None

    def __call__(self, members: Members) -> Tensor:
        """Return the members' embeddings, `K x u x d`."""
        if torch.is_grad_enabled():
            self._steps += 1
            if self._steps % self.every == 0:
                self._kept = None  # the step that follows moves the graph layers
                learning: Tensor = members.each("embed", *self._molecules)
                return learning
        if self._kept is None:
            with torch.no_grad():
                self._kept = members.each("embed", *self._molecules)
        return self._kept


def _labels(
    features: Tensor, data: MixtureData, learnt: Tensor, taught: MixtureBatch, made_of: Tensor, seed: int
) -> Tensor:
    """Return the teacher's word on the taught mixtures, `t`; it learns from the rows `learnt` only.

    Mixtures made of other rows are not taught (NaN): members that are pulled together there would be
    too sure of those rows.
    """
    if not len(taught):
        return torch.empty(0)
    said = Teacher.fit(features, data.batch[learnt], data.target[learnt], seed).label(taught)
    return said.masked_fill(~learnt[made_of].all(1), torch.nan)


def check_ensemble_trainable(data: MixtureData, rows: Tensor, members: int) -> None:
    """Check that `fit_ensemble` can be given some rows of a data set.

    Raises:
        InputError: As `check_trainable` does, or if a row holds no salt or more than one.
    """
    check_trainable(data, rows, members)
    counts = data.batch[rows].salt_counts()
    if wrong := none_or_several(counts):
        first = data.rows["row"].iloc[int(rows[counts != 1].min())]
        wrong += f", the first in row {first}; encoder: molsets takes one salt a mixture"
        mend = "Write encoder: diffmix, which takes any number of salts, and none."
        raise InputError(Problem(data.source, wrong, mend))


def check_trainable(data: MixtureData, rows: Tensor, members: int) -> None:
    """Check that an ensemble can be fitted to some rows of a data set.

    Raises:
        InputError: For fewer than 2 members, too few rows or mixtures, or a target that never varies.
    """
    problems = too_few_members(members)
    if len(rows) < _FEWEST_ROWS:
        wrong = f"{len(rows)} rows to train on; at least {_FEWEST_ROWS} are needed"
        problems.append(Problem(data.source, wrong, "Add measurements."))
    elif bool((data.target[rows] == data.target[rows[0]]).all()):
        wrong = f"{data.target_name} is {float(data.target[rows[0]]):g} in every row; nothing can be learnt"
        problems.append(Problem(data.source, wrong, "Check the column."))
    elif float(data.target[rows].std()) < _SMALLEST_SPREAD:
        wrong = f"{data.target_name} varies by less than {_SMALLEST_SPREAD:g}, too little for its square"
        problems.append(Problem(data.source, wrong, "Give it in a smaller unit."))
    elif data.rows["mixture"].iloc[rows.numpy()].nunique() < _FEWEST_MIXTURES:
        wrong = f"fewer than {_FEWEST_MIXTURES} different mixtures to train on"
        problems.append(Problem(data.source, wrong, "Add measurements of other mixtures."))
    if problems:
        raise InputError(problems)
