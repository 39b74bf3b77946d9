"""A correction of a model to a laboratory by a few of its measurements: how it is chosen, what it says.

The families are nested: none, a factor (an offset of the logarithm), a slope in the predicted logarithm
beside it, and a Gaussian process of what is left. What each expects beforehand stands in `laboratories`; so
little is fitted here that few rows suffice: under each variance factor of a fixed grid all of it has a closed
form, and the factors are averaged.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist

import torch
from torch import Tensor

from surrogates.errors import InputError, Problem
from surrogates.laboratories import (
    FAMILIES,
    REPEATABILITY,
    Compared,
    Family,
    Laboratories,
    Prior,
    covariance,
    factor_prior,
    leave_one_out,
    scatter,
    spectrum,
    variance,
)
from surrogates.variance_factors import FACTORS

COVERAGE = 0.9
FEWEST: dict[Family, int] = {"none": 0, "factor": 2, "slope": 3, "residual": 5}
"""Rows below which a family is not considered."""
FEWEST_ROWS = 2
_FALSE_ALARM = 0.05
"""Share of laboratories without a stray row of which one is set aside all the same."""
_KEPT = 0.75
"""Share of the rows that is never set aside."""
_WORDS: dict[Family, str] = {
    "none": "no correction",
    "factor": "a factor",
    "slope": "a factor that depends on the predicted value",
    "residual": "a factor that depends on mixture and temperature",
}


@dataclass(frozen=True)
class Candidate:
    """A family as judged by the rows.

    Attributes:
        family: Which.
        score: Sum of the log predictive densities of the rows, each left out once, in nats; None if there
            are too few rows for it.
        odds: Share of unseen papers that needed it, see `Laboratories.odds`.
    """

    family: Family
    score: float | None
    odds: float

    @property
    def total(self) -> float:
        """The score with the log of the odds, by which families are compared; minus infinity without one."""
        if self.score is None or self.odds <= 0:
            return -math.inf
        return self.score + math.log(self.odds)


@dataclass(frozen=True)
class Alignment:
    """A chosen family with what it learnt.

    Attributes:
        family: Which.
        prior: What it expected.
        rows: All rows of the laboratory, with the differences.
        used: `n`, bool, which of them the correction learns from; variances learn from all.
    """

    family: Family
    prior: Prior
    rows: Compared
    used: Tensor

    @cached_property
    def _numbers(self) -> Tensor:
        return self.prior.numbers()

    @cached_property
    def _kept(self) -> Compared:
        return self.rows[self.used]

    @cached_property
    def _probability(self) -> Tensor:
        """Probability of each of `FACTORS` after all rows, `g`."""
        under = spectrum(self._numbers, self.rows)
        return torch.softmax(under.log_densities() + factor_prior(self._numbers), 0)

    @cached_property
    def _learnt(self) -> tuple[Tensor, Tensor]:
        """Return `u` and `S`: a correction of covariance `c` with the rows has the mean `c u`.

        Its variance is that before times the variance factor, less `c S c`: what the rows tell under each
        factor, less how far the means under the factors are apart.
        """
        under, probability = spectrum(self._numbers, self._kept), self._probability
        weights = FACTORS[:, None] * under.weights
        mean = probability @ weights
        apart = weights - mean
        told = under.inverse(probability * FACTORS**2)
        return mean, told - apart.T @ (probability[:, None] * apart)

    @cached_property
    def variance_factor(self) -> float:
        """How much larger variances are in this laboratory than expected, but for the noise of measuring."""
        return float(self._probability @ FACTORS)

    @property
    def interval_factor(self) -> float:
        """Standard deviations on either side of the mean that hold 90 % of measurements, of a Gaussian.

        The quantile of the factors' mixture is 0.02 to 0.07 smaller and held less of unseen measurements.
        """
        return NormalDist().inv_cdf((1 + COVERAGE) / 2)

    def correction(self, rows: Compared) -> tuple[Tensor, Tensor]:
        """Return mean and variance of the correction of some rows, `n` each, log10; gradients pass.

        Args:
            rows: `n`, without differences.
        """
        if self.family == "none":
            return torch.zeros_like(rows.z), torch.zeros_like(rows.z)
        weights, told = self._learnt
        cross = covariance(self._numbers, self._kept, rows)
        before = self.variance_factor * variance(self._numbers, rows)
        return cross.T @ weights, (before - (cross * (told @ cross)).sum(0)).clamp_min(0)

    def scattered(self, part: Tensor, is_aleatoric: bool) -> Tensor:
        """Return a part of the model's variance as it is in this laboratory, `n`.

        Args:
            part: `n`, of the model, the epistemic or the aleatoric variance.
            is_aleatoric: Whether it is the aleatoric one, on which the repeatability comes.
        """
        noise = REPEATABILITY**2 if is_aleatoric else 0.0
        return self.variance_factor * self.prior.scatter**2 * part + noise

    def overall(self) -> tuple[float, float, float]:
        """Return the mean of the correction over the rows used, log10, and the ends of its 90 % interval."""
        if self.family == "none":
            return 0.0, 0.0, 0.0
        weights, told = self._learnt
        cross = covariance(self._numbers, self._kept, self._kept).mean(0)
        mean, before = float(cross @ weights), self.variance_factor * cross.mean()
        margin = self.interval_factor * math.sqrt(max(float(before - cross @ told @ cross), 0.0))
        return mean, mean - margin, mean + margin


@dataclass(frozen=True)
class Choice:
    """An alignment and why it is this one.

    Attributes:
        alignment: The chosen one.
        candidates: All families, the simplest first.
    """

    alignment: Alignment
    candidates: tuple[Candidate, ...]

    def why(self) -> str:
        """Return what was chosen and why, a sentence."""
        chosen = next(one for one in self.candidates if one.family == self.alignment.family)
        rest = [one.total for one in self.candidates if one is not chosen and one.score is not None]
        said = f"Chosen: {chosen.family}, {_WORDS[chosen.family]}"
        if chosen.score is None or not rest:
            return f"{said}; there are too few rows for another."
        gain = f"it leads by {chosen.total - max(rest):.2f} nats"
        return f"{said}; {gain} in how it foretells each row from the others and how many papers needed it."


def align(rows: Compared, laboratories: Laboratories, source: str = "the measurements") -> Choice:
    """Choose the family that predicts each row best from the others, and teach it all rows.

    To the log density that decides comes the log of how often unseen papers needed the family. Of equal
    families the simpler is taken, and none that has fewer rows than `FEWEST`. Rows that are too far from the
    model, for how far the others are, are set aside first: they widen the intervals, and move the mean only
    by what they tell of the variance factor.

    Args:
        rows: The laboratory's, at least 2.
        laboratories: What is expected.
        source: Name of their file.

    Raises:
        InputError: For fewer than 2 rows.
    """
    if len(rows) < FEWEST_ROWS:
        came = f"{len(rows)} row{'s' * (len(rows) != 1)} came"
        wrong = f"{came}; at least {FEWEST_ROWS} are needed, 5 or more are better"
        raise InputError(Problem(source, wrong, "Add measurements."))
    used = kept_rows(rows, laboratories.priors[FAMILIES[-1]])
    candidates = []
    for family in FAMILIES:
        numbers = laboratories.priors[family].numbers()
        score = float(leave_one_out(numbers, rows[used]).sum()) if len(rows) >= FEWEST[family] else None
        candidates.append(Candidate(family, score, laboratories.odds[family]))
    best = max(candidates, key=lambda one: one.total).family  # the first of equals
    return Choice(Alignment(best, laboratories.priors[best], rows, used), tuple(candidates))


def kept_rows(rows: Compared, prior: Prior) -> Tensor:
    """Return which rows are not set aside, `n`, bool.

    The row that is furthest from the model, for how far the others are, is set aside if a row so far is too
    improbable; then the next. A quarter of the rows at most, and never so that fewer than two are left. Rows
    count as independent and the factor multiplies all of their variance, which makes it a Student-t.

    Args:
        rows: `n`, measured.
        prior: Of the family that can be furthest from the model.
    """
    numbers = prior.numbers()
    shape, rate = float(numbers[8]) + 1, float(numbers[8])
    expected = variance(numbers, rows) + scatter(numbers, rows.std) + REPEATABILITY**2
    squared = rows.difference**2 / expected
    kept = torch.arange(len(rows))
    fewest = max(FEWEST_ROWS, int(_KEPT * len(rows)))
    while len(kept) > fewest:
        others = len(kept) - 1
        scale = (rate + (squared[kept].sum() - squared[kept]) / 2) / (shape + others / 2)
        far = (squared[kept] / scale).sqrt()
        limit = _quantile(1 - _FALSE_ALARM / len(rows) / 2, 2 * shape + others)
        if float(far.max()) < limit:
            break
        kept = kept[torch.arange(len(kept)) != far.argmax()]
    return torch.isin(torch.arange(len(rows)), kept)


def _quantile(probability: float, freedom: float) -> float:
    """Return a quantile of Student's t."""
    from scipy.stats import t  # takes half a second that a screen with another model need not wait

    return float(t.ppf(probability, freedom))
