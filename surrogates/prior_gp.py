"""A Gaussian process over what an ensemble says: few measurements correct the word of many older ones.

The target is `mean(x) + offset + std(x) g(x)` with the calibrated mean and standard deviation of the
ensemble, and `g` a process on its embedding beside descriptors. The offset is what a laboratory reads above
all else: it must not grow where the ensemble is unsure. Without measurements it says what the ensemble says.

An ensemble is also wrong where its members agree: once there are measurements, its median variance over the
candidates is added to its own, so that they can correct it there too. After 40 random measurements of the
virtual laboratory the error of the best 5 % of candidates was 0.013 instead of 0.018 (PC, DMC, EC; log10 of a
conductivity) and 0.161 instead of 0.214 (five solvents, two salts), and 0.81 and 0.86 of them lay in their
90 % intervals instead of 0.61 and 0.96; with one standard deviation for all, 0.92 and 0.58
(`python -m tests.benchmarks.bench_doubt`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from surrogates.aligned_model import AlignedModel
from surrogates.aligned_predictor import AlignedPredictor
from surrogates.batches import MixtureBatch, MixtureProduct
from surrogates.domain import Domain
from surrogates.ensemble_predictor import EnsemblePredictor
from surrogates.features import MoleculeFeatures
from surrogates.gaussian_process import GaussianProcess
from surrogates.gp_fitting import fit_inputs, fit_process
from surrogates.gp_predictor import GPInputs, columns_of
from surrogates.law_predictor import LawPredictor
from surrogates.mixing import Encoder
from surrogates.mixture_data import MixtureData, check_same_target
from surrogates.molecules import MoleculeTable
from surrogates.prediction import BEYOND, LEAST_VARIANCE, Prediction
from surrogates.repeatability import is_log10_conductivity, repeatability

Prior = Encoder | AlignedModel
"""What may stand below: members that can be asked one by one, with an embedding."""
_PRIOR_ROWS = 4.0
"""As many rows as the ensemble's own standard deviation counts for, beside the measured ones."""
FEWEST_FITTED = 5
"""Rows below which lengthscales and noise are what BoTorch expects before any."""
EXPECTED_NOISE = 0.02
"""Of a measurement, in standard deviations of the ensemble squared, where too few rows tell it."""
_ROWS = 4096
"""Mixtures that are compared with all measured ones at once."""


@dataclass(frozen=True)
class PriorGP:
    """A process over an ensemble's word, for mixtures of any molecules.

    Attributes:
        prior: The ensemble, as it was trained or aligned with a laboratory.
        inputs: What the process is told of a mixture.
        process: Of the distance from the ensemble's mean and offset, in `spread` of its standard deviations.
        offset: Of all measurements from the ensemble, in the target's unit.
        spread: Root mean square of that distance over the measured rows, drawn towards 1.
        repeatability: Standard deviation of a measurement in the target's unit that no prediction states a
            smaller one than; 0 where it is not known.
        doubt: Standard deviation beside the ensemble's own, in the target's unit: its median over candidates.
    """

    prior: Prior
    inputs: GPInputs
    process: GaussianProcess
    offset: float
    spread: float
    repeatability: float = 0.0
    doubt: float = 0.0

    @property
    def target(self) -> str:
        """Name of the target with its unit."""
        return self.prior.target

    @property
    def domain(self) -> Domain:
        """What is near enough to the data that the ensemble was trained on."""
        return self.prior.domain

    @property
    def features(self) -> MoleculeFeatures:
        """Of molecules, by which the domain is judged."""
        return self.prior.features

    def bind(self, table: MoleculeTable) -> PriorGPPredictor:
        """Return the predictor for mixtures of these molecules; each is embedded once, here."""
        features = self.prior.features.of(table)
        bound = self.prior.bind(table)
        return PriorGPPredictor(
            bound,
            features,
            self.inputs,
            self.process,
            self.offset,
            self.spread,
            self.repeatability,
            self.doubt,
        )

    def condition_on(self, data: MixtureData) -> PriorGP:
        """Return the posterior after more measurements; nothing is fitted again.

        Raises:
            InputError: If they hold another target.
        """
        check_same_target(self.target, data)
        predictor = self.bind(data.table)
        with torch.no_grad():
            x, y = predictor.inputs_of(data.batch), predictor.standardised(data.batch, data.target)
        return replace(self, process=self.process.condition(x, y))


@dataclass(frozen=True)
class PriorGPPredictor:
    """A process over an ensemble's word, bound to a molecule table. The process is float64.

    Attributes:
        prior: The ensemble, bound to the same table.
        features: `u x width`, of the molecules.
        inputs: What the process is told of a mixture.
        process: See `PriorGP`.
        offset: See `PriorGP`.
        spread: See `PriorGP`.
        repeatability: See `PriorGP`.
        doubt: See `PriorGP`.
    """

    prior: EnsemblePredictor | LawPredictor | AlignedPredictor
    features: Tensor
    inputs: GPInputs
    process: GaussianProcess
    offset: float
    spread: float
    repeatability: float = 0.0
    doubt: float = 0.0

    @property
    def target(self) -> str:
        """Name of the target with its unit."""
        return self.prior.target

    @property
    def encoder(self) -> EnsemblePredictor | LawPredictor:
        """The networks, as they were trained."""
        return self.prior.base if isinstance(self.prior, AlignedPredictor) else self.prior

    def double(self) -> PriorGPPredictor:
        """Return the same predictor with the ensemble in float64, for gradients to be followed."""
        return replace(self, prior=self.prior.double())

    def with_process(self, process: GaussianProcess) -> PriorGPPredictor:
        """Return the same predictor with another process."""
        return replace(self, process=process)

    def inputs_of(self, batch: MixtureBatch) -> Tensor:
        """Return the inputs of the process, `n x d`, float64; gradients reach fractions and conditions."""
        return self.inputs.of(self.encoder.mixed(batch), columns_of(self.features, batch))

    def location(self, batch: MixtureBatch | MixtureProduct) -> tuple[Tensor, Tensor]:
        """Return what the process is added to and multiplied with, `n` each, float64; gradients pass."""
        members, variances = (part.double() for part in self.prior.member_outputs(batch))
        mean = members.mean(0)
        differ = (members - mean).square().sum(0) / max(len(members) - 1, 1)
        both = self.prior.calibration.apply(differ, variances.mean(0))
        variance = (both[0] + both[1]).clamp_min(LEAST_VARIANCE) + self.doubt**2
        return mean + self.offset, self.spread * variance.sqrt()

    def standardised(self, batch: MixtureBatch, target: Tensor) -> Tensor:
        """Return measurements as the process has them, `n`, float64."""
        mean, std = self.location(batch)
        return (target.double() - mean) / std

    def predict(self, batch: MixtureBatch | MixtureProduct) -> Prediction:
        """Return the prediction for each mixture of the batch, in its order, float64.

        Epistemic is what more measurements would mend, aleatoric their noise.

        Raises:
            InputError: If the ensemble cannot be asked about a mixture.
        """
        encoder = self.encoder
        encoder.check_takes(batch)
        zone = encoder.domain.zones(batch)
        rows = batch.expand() if isinstance(batch, MixtureProduct) else batch
        with torch.no_grad():
            location, std = self.location(batch)
            parts = [
                self.process.mean_and_variance(self.inputs_of(rows[start : start + _ROWS]))
                for start in range(0, len(rows), _ROWS)
            ]
            mean, variance = (torch.cat(part) for part in zip(*parts, strict=True))
        noise = (self.process.noise * std.square()).clamp_min(self.repeatability**2)
        factors = self.prior.calibration.factors(zone)
        return Prediction(
            location + std * mean, std.square() * variance, noise, zone < BEYOND, factors.to(mean)
        )


def fit_prior_gp(
    prior: Prior, data: MixtureData, around: tuple[MoleculeTable, MixtureBatch], seed: int
) -> PriorGP:
    """Fit a process to measurements that an ensemble has not learnt from.

    Of the log10 of a conductivity it is known how laboratories repeat: the noise is not below that, nor below
    what rows of the same mixture show. In 20 campaigns of the virtual laboratory (3 % of noise) the noise of
    most marginal likelihood was 0.2 of the laboratory's own.

    Args:
        prior: The ensemble.
        data: The measurements.
        around: Some candidates, unmeasured, of which is learnt what varies; and their molecules.
        seed: Of the draw of rows from which lengthscales are learnt, of many.

    Raises:
        InputError: If the measurements are of another target.
    """
    check_same_target(prior.target, data)
    batches = around[1].to(torch.float64), data.batch
    tables = around[0], data.table
    bound = [(prior.bind(table), prior.features.of(table)) for table in tables]  # each is embedded once
    parts = [_mixed_and_columns(*one, batch) for one, batch in zip(bound, batches, strict=True) if len(batch)]
    mixed, columns = (
        torch.cat(part, dim=dim) for part, dim in zip(zip(*parts, strict=True), (1, 0), strict=True)
    )
    inputs = fit_inputs(mixed, columns)
    near, own = (PriorGPPredictor(*one, inputs, _unfitted(inputs), 0.0, 1.0) for one in bound)
    with torch.no_grad():
        doubt = float(near.location(batches[0])[1].median()) if len(batches[0]) else 0.0
        own = replace(own, doubt=doubt)
        x, (mean, std) = own.inputs_of(data.batch), own.location(data.batch)
    offset = offset_of(data.target.double() - mean, std)
    distance = (data.target.double() - mean - offset) / std
    spread = spread_of(distance)
    y, repeats = distance / spread, 0.0
    if is_log10_conductivity(prior.target):
        repeats = repeatability(data.target.double(), x.unique(dim=0, return_inverse=True)[1]).std
    least = repeats**2 / float((spread * std).square().median()) if len(data) else 0.0
    process = (
        fit_process(x, y, seed, "exact", least)
        if len(data) >= FEWEST_FITTED
        else expected_process(x, y, least)
    )
    return PriorGP(prior, inputs, process, offset, spread, repeats, doubt)


def offset_of(difference: Tensor, std: Tensor) -> float:
    """Return what measurements share of their distance from an ensemble, drawn towards 0 as by one row more.

    Rows of which the ensemble is sure tell most.

    Args:
        difference: `m`, measured minus the ensemble's mean.
        std: `m`, the ensemble's standard deviation.
    """
    if not len(std):
        return 0.0
    weight = 1 / std.square()
    return float((weight * difference).sum() / (weight.sum() + weight.median()))


def spread_of(distance: Tensor) -> float:
    """Return the root mean square of distances in standard deviations, drawn towards 1 as by four rows."""
    return float(((distance.square().sum() + _PRIOR_ROWS) / (len(distance) + _PRIOR_ROWS)).sqrt())


def expected_process(x: Tensor, y: Tensor, least_noise: float = 0.0) -> GaussianProcess:
    """Return the posterior of few rows, with the lengthscale that its prior holds likeliest, and no shift.

    Args:
        x: `n x d`.
        y: `n`, standardised.
        least_noise: What the variance of a measurement is known not to be below.
    """
    # The mode of the lognormal prior of Hvarfner et al., ICML 2024: exp(sqrt 2 - 3) sqrt d.
    d = x.shape[1]
    lengthscale = torch.full((d,), math.exp(2**0.5 - 3) * d**0.5, dtype=torch.float64)
    zero = torch.zeros((), dtype=torch.float64)
    noise = torch.tensor(max(EXPECTED_NOISE, least_noise), dtype=torch.float64)
    return GaussianProcess.exact(x, y, lengthscale, zero, noise)


def _mixed_and_columns(
    predictor: EnsemblePredictor | LawPredictor | AlignedPredictor, features: Tensor, batch: MixtureBatch
) -> tuple[Tensor, Tensor]:
    encoder = predictor.base if isinstance(predictor, AlignedPredictor) else predictor
    with torch.no_grad():
        return encoder.mixed(batch.to(torch.float64)), columns_of(features, batch)


def _unfitted(inputs: GPInputs) -> GaussianProcess:
    width = inputs.directions.shape[1] + len(inputs.column_scale)
    nothing = torch.zeros(0, dtype=torch.float64)
    return expected_process(nothing.view(0, width), nothing)
