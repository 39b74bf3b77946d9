"""How far laboratories are from a model that has not seen them: what an alignment expects beforehand.

Measured minus predicted, in log10 of the property, is taken for

    offset + slope * z + residual(mixture, conditions) + scatter

with `z` the standardised mean of the model. All four are Gaussian, and all share one variance factor of the
laboratory, whose inverse is gamma distributed: labs differ in how well a model fits them. What a measurement
repeats to comes on top and is not scaled: a laboratory that a model fits badly does not measure badly.

The residual is a Gaussian process (Matern-5/2) over solvents, salt, molality and 1 / T. It and the scatter
grow with the model's standard deviation: where the model is unsure, labs are further from it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from surrogates.variance_factors import Spectrum, log_prior

Family = Literal["none", "factor", "slope", "residual"]
FAMILIES: tuple[Family, ...] = ("none", "factor", "slope", "residual")
"""Corrections, the simplest first; each has what the one before has."""
REPEATABILITY = math.log10(1.03)
"""Standard deviation of measurements of one mixture in one laboratory, log10."""
FEWEST_PAPERS = 5
"""With fewer than these no spread between laboratories is estimated."""
_REFERENCE_STD = 0.1
"""Standard deviation of a model, log10, at which `Prior.residual` is stated."""
_DRAWN = 60
"""Rows of a laboratory from which its numbers are estimated: all have a say, none rules."""
_FREE: Mapping[Family, tuple[int, ...]] = {
    "none": (7,),
    "factor": (0, 7),
    "slope": (0, 1, 7),
    "residual": (0, 1, 2, 3, 4, 5, 6, 7, 8),
}
_START = (0.08, 0.1, 0.1, 1.0, 1.0, 1.0, 1.0, 0.5, 1.0)
_SLACK = 1.5
"""Standard deviation, in natural logarithms, of what a number is expected to be around its start."""
_STEPS = 40
_MORE = 0.5
"""Papers that each family is taken to have foretold best beside those that it has."""


@dataclass(frozen=True)
class Prior:
    """What a family expects of a laboratory. Numbers that a family does not have are 0.

    Attributes:
        offset: Standard deviation of the offset, log10.
        slope: Of the slope, log10 per standard deviation of the target in training.
        residual: Of the residual, log10, where the model's standard deviation is 0.1; it grows with the root.
        reach_solvents: Lengths of the residual: of solvents, in thresholds of the domain,
        reach_salt: of the salt, likewise,
        reach_molality: of molality, mol/kg,
        reach_temperature: of 1000 / T, 1/K.
        scatter: Standard deviation of the scatter over the model's; `REPEATABILITY` comes on top.
        shape: Of the gamma distribution of the laboratory's inverse variance factor, less 1; its rate too.
    """

    offset: float
    slope: float
    residual: float
    reach_solvents: float
    reach_salt: float
    reach_molality: float
    reach_temperature: float
    scatter: float
    shape: float

    def numbers(self) -> Tensor:
        """Return the nine numbers in their order, float64."""
        values = (self.offset, self.slope, self.residual, self.reach_solvents, self.reach_salt)
        rest = (self.reach_molality, self.reach_temperature, self.scatter, self.shape)
        return torch.tensor([*values, *rest], dtype=torch.float64)


@dataclass(frozen=True)
class Laboratories:
    """What is known of laboratories before one has measured anything.

    Attributes:
        priors: Of each family.
        papers: Unseen papers from which they were estimated; 0 for the default.
        source: In words.
        odds: Share of the papers whose rows each family foretold best; even in a card that has none.
    """

    priors: dict[Family, Prior]
    papers: int
    source: str
    odds: dict[Family, float] = field(default_factory=lambda: dict.fromkeys(FAMILIES, 1 / len(FAMILIES)))


@dataclass(frozen=True)
class Compared:
    """What a model says of `n` mixtures, and how far measurements are from it; float64.

    Attributes:
        z: `n`, mean of the model, standardised as its target was in training.
        std: `n`, its standard deviation of a measurement, log10.
        points: `n x (2 width + 2)`, where the mixtures stand: features of solvents and of the salt in
            thresholds of the domain, molality [mol/kg], 1000 / T [1/K].
        difference: `n`, measured minus predicted, log10; empty if nothing was measured.
    """

    z: Tensor
    std: Tensor
    points: Tensor
    difference: Tensor

    def __len__(self) -> int:
        return len(self.z)

    def __getitem__(self, rows: Tensor) -> Compared:
        return Compared(self.z[rows], self.std[rows], self.points[rows], self.difference[rows])


def covariance(numbers: Tensor, one: Compared, other: Compared) -> Tensor:
    """Return the prior covariance of the correction, without scatter, `n x m`, for a variance factor of 1.

    Args:
        numbers: See `Prior.numbers`.
        one: `n` rows.
        other: `m` rows.
    """
    offset, slope, residual = numbers[:3]
    linear: Tensor = offset**2 + slope**2 * one.z[:, None] * other.z
    if not residual > 0:
        return linear
    reach = _reach(numbers, one.points.shape[1])
    apart = torch.cdist(one.points / reach, other.points / reach, compute_mode="donot_use_mm_for_euclid_dist")
    apart = math.sqrt(5) * apart
    matern = (1 + apart + apart**2 / 3) * torch.exp(-apart)
    stds = (one.std[:, None] * other.std).sqrt()
    return torch.as_tensor(linear + residual**2 / _REFERENCE_STD * stds * matern)


def variance(numbers: Tensor, rows: Compared) -> Tensor:
    """Return the diagonal of `covariance` of some rows with themselves, `n`."""
    offset, slope, residual = numbers[:3]
    return torch.as_tensor(offset**2 + slope**2 * rows.z**2 + residual**2 / _REFERENCE_STD * rows.std)


def scatter(numbers: Tensor, std: Tensor) -> Tensor:
    """Return the variance of a true value around the corrected mean, `n`, for a variance factor of 1."""
    return torch.as_tensor(numbers[7] ** 2 * std**2)


def scaled(numbers: Tensor, rows: Compared) -> Tensor:
    """Return all of the covariance of rows that the variance factor multiplies, `n x n`."""
    return covariance(numbers, rows, rows) + scatter(numbers, rows.std).diag_embed()


def spectrum(numbers: Tensor, rows: Compared) -> Spectrum:
    """Return the measured differences under each variance factor."""
    return Spectrum.of(scaled(numbers, rows), rows.difference, REPEATABILITY)


def factor_prior(numbers: Tensor) -> Tensor:
    """Return the log probability of each of `FACTORS` before anything is measured, `g`."""
    return log_prior(numbers[8] + 1, numbers[8])


def evidence(numbers: Tensor, rows: Compared) -> Tensor:
    """Return the log density of all measured differences together, in nats; gradients pass to the numbers."""
    of = scaled(numbers, rows)
    under = Spectrum.of(of, rows.difference, REPEATABILITY)
    joint = under.log_densities() + factor_prior(numbers)
    slope = under.slope(torch.softmax(joint.detach(), 0))
    return torch.logsumexp(joint, 0) + ((of - of.detach()) * slope).sum()


def leave_one_out(numbers: Tensor, rows: Compared) -> Tensor:
    """Return the log density of each row, predicted from the others, `n`, in nats.

    The others tell of the variance factor too.

    Args:
        numbers: See `Prior.numbers`.
        rows: `n`, measured.
    """
    under = spectrum(numbers, rows)
    each = under.left_out()
    others = (under.log_densities() + factor_prior(numbers))[:, None] - each
    return torch.logsumexp(torch.log_softmax(others, 0) + each, 0)


def estimate_laboratories(laboratories: Sequence[Compared], seed: int = 0) -> Laboratories:
    """Return the numbers under which some laboratories' measurements are the most probable.

    Empirical Bayes: the evidence of all laboratories, for each family by itself, times a wide prior of the
    numbers that keeps what the data do not tell near a usual value. The shape of the variance factor is that
    of the last family for all, so that none wins by expecting laboratories that scatter less. Then each
    laboratory's rows are foretold by each family, every one from the others.

    Args:
        laboratories: Of each, rows of a model that has not seen it; 60 are drawn from more.
        seed: Of the draw.
    """
    drawn = []
    for rows in laboratories:
        order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
        drawn.append(rows[order[:_DRAWN]])
    last = _most_probable(FAMILIES[-1], drawn, _START[8])
    priors = {family: _most_probable(family, drawn, last.shape) for family in FAMILIES[:-1]}
    priors[FAMILIES[-1]] = last
    scores = [[float(leave_one_out(priors[f].numbers(), rows).sum()) for f in FAMILIES] for rows in drawn]
    best = torch.tensor(scores).argmax(1)
    count = torch.bincount(best, minlength=len(FAMILIES)) + _MORE
    odds = dict(zip(FAMILIES, (count / count.sum()).tolist(), strict=True))
    return Laboratories(priors, len(drawn), f"{len(drawn)} papers that the model had not seen", odds)


def _most_probable(family: Family, laboratories: Sequence[Compared], shape: float) -> Prior:
    """Return the most probable numbers of a family; its shape is `shape` unless it is free."""
    free = list(_FREE[family])
    start = torch.tensor(_START, dtype=torch.float64)[free].log()
    logs = start.clone().requires_grad_()
    optimiser = torch.optim.LBFGS([logs], max_iter=_STEPS, line_search_fn="strong_wolfe")

    def numbers() -> Tensor:
        bounded = start + 3 * _SLACK * torch.tanh((logs - start) / (3 * _SLACK))
        fixed = torch.tensor([0.0] * 8 + [shape], dtype=torch.float64)
        return fixed.index_put((torch.tensor(free),), bounded.exp())

    def loss() -> Tensor:
        optimiser.zero_grad()
        now = numbers()
        unlikely = -torch.stack([evidence(now, rows) for rows in laboratories]).sum()
        unlikely = unlikely + ((logs - start) / _SLACK).square().sum() / 2
        unlikely.backward()
        return unlikely.detach()

    optimiser.step(loss)
    return Prior(*numbers().detach().tolist())


def _reach(numbers: Tensor, width: int) -> Tensor:
    """Return the length of each coordinate of a point."""
    features = (width - 2) // 2
    solvents, salt, molality, temperature = numbers[3:7]
    each = (solvents.expand(features), salt.expand(features), molality[None], temperature[None])
    return torch.cat(each)


def default_laboratories() -> Laboratories:
    """Return what is expected if no unseen papers were judged: what those of CALiSol-23 are to DiffMix.

    `python -m tests.benchmarks.bench_alignment results/model/held_out.csv` prints it first; these numbers are
    of networks that were calibrated on unseen papers, whose standard deviations are wider.
    """
    known: dict[Family, Prior] = {
        "none": Prior(0, 0, 0, 0, 0, 0, 0, 1.01, 0.32),
        "factor": Prior(0.22, 0, 0, 0, 0, 0, 0, 0.83, 0.32),
        "slope": Prior(0.27, 0.15, 0, 0, 0, 0, 0, 0.77, 0.32),
        "residual": Prior(0.047, 0.13, 0.25, 0.88, 1.62, 0.99, 1.28, 0.12, 0.32),
    }
    odds: dict[Family, float] = {"none": 0.086, "factor": 0.017, "slope": 0.086, "residual": 0.811}
    source = (
        "a default, how far 27 unseen papers of CALiSol-23 are from DiffMix; of this model none was judged"
    )
    return Laboratories(known, 0, source, odds)
