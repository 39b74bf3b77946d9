"""A deep ensemble: members that agree where there are data, and say by how much they differ elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from surrogates.batches import MixtureBatch, MixtureProduct, concatenate
from surrogates.calibration import Calibration, fit_calibration
from surrogates.domain import BoundDomain, Domain
from surrogates.encoders.molsets import MolSets, MolSetsSettings, bounded_variance
from surrogates.errors import InputError, Problem
from surrogates.features import MoleculeFeatures
from surrogates.forest import Forest
from surrogates.members import Members
from surrogates.mixture_data import MixtureData
from surrogates.molecules import MoleculeTable
from surrogates.prediction import Prediction
from surrogates.splits import holdouts
from surrogates.teacher import nearby_mixtures
from surrogates.training import TrainingSettings, train

_FEWEST_ROWS = 20
_FEWEST_MIXTURES = 10
_CALIBRATION_FRACTION = 0.2
_BLOCK = 256
"""Rows of a product whose hidden layer is computed at once: what fits the cache of one core."""


@dataclass(frozen=True)
class EnsembleSettings:
    """What is fitted and how.

    Attributes:
        members: Networks, at least 2.
        holdout: Share of the mixtures that each member holds out for early stopping, its own draw.
        taught: Mixtures that the forest labels; 0 trains on measurements alone.
        encoder: Sizes of the network.
        training: How the members are trained.
    """

    members: int = 5
    holdout: float = 0.1
    taught: int = 3000
    encoder: MolSetsSettings = field(default_factory=MolSetsSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)


@dataclass(frozen=True)
class MixtureEnsemble:
    """A fitted ensemble, for mixtures of any molecules.

    Attributes:
        members: The networks; their output is standardised.
        features: Of molecules, beside the graphs.
        domain: What is near enough to the training data.
        calibration: Factors on the variances and on the interval.
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
        return EnsemblePredictor(self, embedding, self.domain.bind(table, self.features))


@dataclass(frozen=True)
class EnsemblePredictor:
    """An ensemble bound to a molecule table.

    Attributes:
        ensemble: The fitted members.
        embedding: `K x u x d`, each member's embedding of each molecule.
        domain: Bound to the same table.
    """

    ensemble: MixtureEnsemble
    embedding: Tensor
    domain: BoundDomain

    @property
    def target(self) -> str:
        """Name of the target with its unit."""
        return self.ensemble.target

    @property
    def interval_factor(self) -> float:
        """Standard deviations on either side of the mean that hold 90 % of measurements."""
        return self.ensemble.calibration.interval_factor

    def member_outputs(self, batch: MixtureBatch) -> tuple[Tensor, Tensor]:
        """Return each member's mean and variance, uncalibrated, each `K x n`, in the target's unit.

        Gradients pass through fractions, molality and temperature.
        """
        members, shift, scale = self.ensemble.members, self.ensemble.shift, self.ensemble.scale
        batch = batch.to(self.embedding.dtype)
        mixed = members.each("mix", batch, mine=(self.embedding,))
        mean, variance = members.each("head", mine=(mixed,))
        return shift + scale * mean, scale**2 * variance

    def predict(self, batch: MixtureBatch | MixtureProduct) -> Prediction:
        """Return the prediction for each mixture of the batch, in its order, float32."""
        with torch.no_grad():
            if isinstance(batch, MixtureProduct):
                mean, variance = self._product_outputs(batch)
                in_domain = self.domain.holds_product(batch)
            else:
                mean, variance = self.member_outputs(batch)
                in_domain = self.domain.holds(batch)
            calibration = self.ensemble.calibration
            together = mean.mean(0)
            differ = (mean - together).square().sum(0) / (len(mean) - 1)  # `var(0)` takes forty times as long
            return Prediction(
                mean=together,
                epistemic=calibration.epistemic_scale * differ,
                aleatoric=calibration.aleatoric_scale * variance.mean(0),
                in_domain=in_domain,
            )

    def _product_outputs(self, product: MixtureProduct) -> tuple[Tensor, Tensor]:
        """Return `member_outputs(product.expand())`, with what depends on one factor computed once.

        The first layer of the head is a sum of what the solvents and what the conditions add, so a
        candidate costs that sum and the small layers behind it.
        """
        members, shift, scale = self.ensemble.members, self.ensemble.shift, self.ensemble.scale
        solvents = members.each(
            "mix_solvents", product.solvents, product.weights.float(), mine=(self.embedding,)
        )
        conditions = members.each(
            "mix_conditions",
            product.salt,
            product.molality.float(),
            product.temperature_K.float(),
            mine=(self.embedding,),
        )
        first, last, each = product.start, product.stop, conditions.shape[1]
        outputs = torch.empty(len(members), 2, last - first)
        (bias, weight), (out_bias, out_weight) = self._layer("hidden"), self._layer("out")
        step = max(1, _BLOCK // each)
        tiles = torch.empty(len(members), step, each, solvents.shape[-1])  # a new one each time costs more
        for mixture in range(first // each, -(-last // each), step):
            some = solvents[:, mixture : mixture + step, None]
            tile = torch.add(some, conditions[:, None], out=tiles[:, : some.shape[1]]).flatten(1, 2)
            start = mixture * each
            low, high = max(first, start), min(last, start + tile.shape[1])
            mixed = torch.baddbmm(bias, weight, tile[:, low - start : high - start].relu_().mT).relu_()
            outputs[..., low - first : high - first] = torch.baddbmm(out_bias, out_weight, mixed)
        mean, variance = outputs[:, 0], bounded_variance(outputs[:, 1])
        return shift + scale * mean, scale**2 * variance

    def _layer(self, name: str) -> tuple[Tensor, Tensor]:
        """Return the members' biases, `K x out x 1`, and weights, `K x out x in`, of a linear layer.

        Candidates stand in the columns behind it: two outputs as columns would cost five times as much.
        """
        parameters = self.ensemble.members.parameters
        return parameters[f"{name}.bias"][..., None], parameters[f"{name}.weight"]


def fit_ensemble(
    data: MixtureData,
    rows: Tensor,
    settings: EnsembleSettings,
    seed: int,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> MixtureEnsemble:
    """Fit and calibrate an ensemble.

    As many members again are trained beside the ensemble, in the same loop, without a fifth of the
    mixtures; the variances and the interval are calibrated by what these say of that fifth, so that the
    ensemble itself may learn from all rows.

    Args:
        data: Measured mixtures.
        rows: Indices of those to learn from; no other row is looked at.
        settings: What and how.
        seed: Of starting weights, held-out parts, taught mixtures and order of rows.
        progress: Called with the epochs done and their number.

    Raises:
        InputError: For fewer than 2 members or too few rows.
    """
    check_trainable(data, rows, settings)
    data = data.take(rows)
    count = settings.members
    mixtures = torch.tensor(data.rows["mixture"].to_numpy())
    calibrates = ~holdouts(mixtures, 1, _CALIBRATION_FRACTION, seed)[0]
    trains = holdouts(mixtures, 2 * count, settings.holdout, seed)
    trains[count:] &= ~calibrates
    shift, scale = float(data.target.mean()), float(data.target.std())
    target = ((data.target - shift) / scale).float()

    features = MoleculeFeatures.fit(data.table, settings.encoder.descriptors)
    given = features.of(data.table)
    torch.manual_seed(seed)  # the starting weights of PyTorch's layers come from the global generator
    networks = [MolSets(settings.encoder, given.shape[1]) for _ in range(2 * count)]
    for network in networks:
        network.standardise(given, data.batch)
    taught = nearby_mixtures(data.batch, settings.taught, seed)
    labels = torch.cat(
        [
            _labels(data, learnt, taught, seed).expand(count, -1)
            for learnt in (torch.ones_like(calibrates), ~calibrates)
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
        trains,
        (labels - shift) / scale,
        settings.training,
        seed,
        progress,
    )
    domain = Domain.fit(data.table, features, data.batch, calibrates)
    ensemble = MixtureEnsemble(
        trained[:count], features, domain, Calibration(1.0, 1.0, 1.645, ""), data.target_name, shift, scale
    )
    judge = replace(ensemble, members=trained[count:]).bind(data.table)
    said = judge.predict(data.batch[calibrates])
    calibration = fit_calibration(
        data.target[calibrates], said.mean.double(), said.epistemic.double(), said.aleatoric.double()
    )
    return replace(ensemble, calibration=calibration)


class OccasionalEmbedding:
    """Embeds molecules for a training loop, with gradients at every fifth step only.

    A step without gradients leaves the graph layers as they are (the optimiser passes over parameters
    without a gradient), so the embedding of the step before holds exactly. On the MolSets data graphs are
    four fifths of a step's cost.

    Args:
        table: The molecules.
        features: Theirs, `u x width`.
    """

    every = 5

    def __init__(self, table: MoleculeTable, features: Tensor) -> None:
        self._table = table
        self._features = features
        self._steps = 0
        self._kept: Tensor | None = None

    def __call__(self, members: Members) -> Tensor:
        """Return the members' embeddings, `K x u x d`."""
        if torch.is_grad_enabled():
            self._steps += 1
            if self._steps % self.every == 0:
                self._kept = None  # the step that follows moves the graph layers
                learning: Tensor = members.each("embed", self._table, self._features)
                return learning
        if self._kept is None:
            with torch.no_grad():
                self._kept = members.each("embed", self._table, self._features)
        return self._kept


def _labels(data: MixtureData, learnt: Tensor, taught: MixtureBatch, seed: int) -> Tensor:
    """Return the forest's word on the taught mixtures, `t`; it learns from the rows `learnt` only."""
    if not len(taught):
        return torch.empty(0)
    return Forest.fit(data, learnt.nonzero()[:, 0], seed).predict(taught)[0].float()


def check_trainable(data: MixtureData, rows: Tensor, settings: EnsembleSettings) -> None:
    """Check that an ensemble can be fitted to some rows of a data set.

    Raises:
        InputError: For fewer than 2 members, too few rows or mixtures, or a target that never varies.
    """
    problems = []
    if settings.members < 2:
        wrong = f"{settings.members} given; one member cannot differ from itself, so 2 or more are needed"
        problems.append(Problem("members", wrong, "Use 5, the default."))
    if len(rows) < _FEWEST_ROWS:
        wrong = f"{len(rows)} rows to train on; at least {_FEWEST_ROWS} are needed"
        problems.append(Problem(data.source, wrong, "Add measurements."))
    elif float(data.target[rows].std()) == 0:
        wrong = f"{data.target_name} is {float(data.target[0]):g} in every row; nothing can be learnt"
        problems.append(Problem(data.source, wrong, "Check the column."))
    elif data.rows["mixture"].iloc[rows.numpy()].nunique() < _FEWEST_MIXTURES:
        wrong = f"fewer than {_FEWEST_MIXTURES} different mixtures to train on"
        problems.append(Problem(data.source, wrong, "Add measurements of other mixtures."))
    if problems:
        raise InputError(problems)
