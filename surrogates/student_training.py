"""Teach one network what an ensemble says of candidates, and compare the two on candidates it was not taught.

A student starts as the first member where their layers have one shape, and embeds molecules as it does; what
stands behind the embedding learns the ensemble's mean and the logarithms of both its variances.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from scipy.stats import spearmanr
from torch import Tensor
from torch.nn.functional import smooth_l1_loss

from surrogates.batches import MixtureBatch
from surrogates.checkpoints import network_of
from surrogates.ensemble import EnsembleSettings, MixtureEnsemble
from surrogates.ensemble_predictor import EnsemblePredictor
from surrogates.errors import InputError, Problem
from surrogates.law_ensemble import LawEnsemble, LawSettings, pairs_of, species_inputs
from surrogates.law_predictor import LawPredictor
from surrogates.members import Members
from surrogates.molecules import MoleculeTable
from surrogates.prediction import MemberPredictor, Predictor
from surrogates.student import LOG_DOUBT, VARIANCES, Student
from surrogates.student_card import StudentErrors, TaughtSpace
from surrogates.training import TrainingSettings, optimise

FEWEST = 100
"""Candidates of a space; with fewer, little is taught and little can be compared."""
_EMBEDS = ("convolutions.", "norms.", "readout.", "graphs.")
"""What the names of those parameters start with that embed a molecule; they stay as they are."""
_BETA = (0.1, 0.5)
"""Error of the mean, in spreads, and of a log variance from which it counts in proportion, not squared."""
_WEIGHT = (0.1, 0.3)
"""Of the errors of the log variances beside the mean's: noise, doubt."""
_AT_ONCE = 4096
_LEAST_SPREAD = 1e-6
"""Of what the ensemble says, as a share of the target's; below it says the same of all."""


@dataclass(frozen=True)
class StudentSettings:
    """How a student is taught.

    Attributes:
        taught: Candidates, at most.
        fresh: Candidates that it is not taught and is compared on, at most; a fifth of a small space.
        steps: Of the optimiser.
        batch_size: Candidates a step.
        learning_rate: Highest of a one-cycle schedule.
        weight_decay: Of AdamW.
    """

    taught: int = 40_000
    fresh: int = 10_000
    steps: int = 6_000
    batch_size: int = 256
    learning_rate: float = 5e-3
    weight_decay: float = 1e-2

    def training(self, candidates: int) -> TrainingSettings:
        """Return the settings of the training loop over so many candidates."""
        size = min(self.batch_size, candidates)
        return TrainingSettings(
            epochs=math.ceil(self.steps / (candidates // size)),
            batch_size=size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
        )


def student_settings(
    settings: EnsembleSettings | LawSettings, training: TrainingSettings
) -> EnsembleSettings | LawSettings:
    """Return the settings of a student: one network that holds nothing out; of MolSets, half the first layer.

    Args:
        settings: Of the ensemble.
        training: Of the student.
    """
    if isinstance(settings, LawSettings):
        return replace(settings, members=1, holdout=0.0, training=training)
    first, second = settings.encoder.head
    encoder = replace(settings.encoder, head=(math.ceil(first / 2), second))
    return replace(settings, members=1, holdout=0.0, taught=0, encoder=encoder, training=training)


def teach(
    ensemble: MixtureEnsemble | LawEnsemble,
    settings: EnsembleSettings | LawSettings,
    space: TaughtSpace,
    table: MoleculeTable,
    batch: MixtureBatch,
    seed: int,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Student:
    """Return a student of an ensemble; the same seed gives the same numbers on one machine.

    Args:
        ensemble: Of two members or more.
        settings: Of the student, from `student_settings`.
        space: That the candidates are drawn from.
        table: The molecules that `batch` points into.
        batch: `n` candidates; nothing measured is needed.
        seed: Of starting weights and order.
        progress: Called with the epochs done and their number.

    Raises:
        InputError: If the ensemble says the same of all candidates.
    """
    asked = batch.to(torch.float32)
    mean, noise, doubt = _said(ensemble.bind(table), asked, ensemble.shift, ensemble.scale)
    spread = mean.std()
    if not float(spread) > _LEAST_SPREAD:
        wrong = "the ensemble says the same of all candidates; there is nothing to learn"
        raise InputError(Problem("space", wrong, "Give a space over which the model's prediction varies."))
    start = _start(ensemble, settings, seed)
    heads = _heads(replace(ensemble, members=start), table)

    def loss(learner: Members, some: Tensor, _: torch.Generator) -> Tensor:
        own = heads(learner, asked[some])[0]
        total = smooth_l1_loss(own[0] / spread, mean[some] / spread, beta=_BETA[0])
        for weight, said, theirs in zip(_WEIGHT, own[1:], (noise, doubt), strict=True):
            total = total + weight * smooth_l1_loss(said, theirs[some], beta=_BETA[1])
        return total

    taught = optimise(
        start,
        loss,
        lambda learner: torch.zeros(1),  # nothing is held out: there is no noise to fit
        len(asked),
        settings.training,
        seed,
        progress,
        learns=lambda name: not name.startswith(_EMBEDS),
    )
    return Student(replace(ensemble, members=taught), space)


def compare(
    student: Student, ensemble: MixtureEnsemble | LawEnsemble, table: MoleculeTable, batch: MixtureBatch
) -> StudentErrors:
    """Return the student's errors on `n` candidates that it was not taught."""
    predictors: tuple[Predictor, Predictor] = (student.bind(table), ensemble.bind(table))
    own, theirs = (predictor.predict(batch.to(torch.float32)) for predictor in predictors)

    def spearman(a: Tensor, b: Tensor) -> float | None:
        if (a == a[0]).all() or (b == b[0]).all():
            return None
        return float(spearmanr(a, b).statistic)

    return StudentErrors(
        fresh=len(batch),
        mean_mae=float((own.mean - theirs.mean).abs().mean()),
        target_spread=ensemble.scale,
        candidates_spread=float(theirs.mean.std()),
        std_spearman=spearman(own.std, theirs.std),
        epistemic_spearman=spearman(own.epistemic, theirs.epistemic),
        aleatoric_spearman=spearman(own.aleatoric, theirs.aleatoric),
    )


def _said(
    predictor: MemberPredictor, batch: MixtureBatch, shift: float, scale: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return an ensemble's mean, aleatoric and epistemic log variance, standardised and raw, each `n`."""
    with torch.no_grad():
        parts = [predictor.member_outputs(batch[rows]) for rows in torch.arange(len(batch)).split(_AT_ONCE)]
    mean, variance = (torch.cat(each, dim=1) for each in zip(*parts, strict=True))
    mean, noise = (mean - shift) / scale, variance.mean(0) / scale**2
    return mean.mean(0), noise.log(), mean.var(0).log().clamp(*LOG_DOUBT)


def _start(
    ensemble: MixtureEnsemble | LawEnsemble, settings: EnsembleSettings | LawSettings, seed: int
) -> Members:
    """Return the student before it is taught: the first member, but for layers of another shape."""
    torch.manual_seed(seed)  # the starting weights of PyTorch's layers come from the global generator
    student = Members.of([network_of(settings, ensemble.features.width, VARIANCES)])
    first = ensemble.members[:1].state()
    fits = {name: first[name] for name, own in student.state().items() if own.shape == first[name].shape}
    return student.with_state(student.state() | fits)[:]


def _heads(
    network: MixtureEnsemble | LawEnsemble, table: MoleculeTable
) -> Callable[[Members, MixtureBatch], Tensor]:
    """Return what says the outputs of a learner, `1 x 3 x n`, its molecules embedded once and for all."""
    predictor: EnsemblePredictor | LawPredictor = network.bind(table)
    if isinstance(predictor, EnsemblePredictor):
        sets = predictor
        return lambda learner, batch: replace(sets, state=learner.parameters | learner.buffers).outputs(batch)
    law, species_table = predictor, predictor.speciation.table
    with torch.no_grad():
        embedding = network.members.each("embed", *species_inputs(species_table))

    def heads(learner: Members, batch: MixtureBatch) -> Tensor:
        species, pairs = learner.each("parts", pairs_of(species_table), mine=(embedding,))
        return replace(law, laws=learner.part("law"), species=species, pairs=pairs).outputs(batch)

    return heads
