"""A correction of a model to a laboratory by a few of its measurements: how it is chosen, what it says.

The families are nested: none, a factor (an offset of the logarithm), a slope in the predicted logarithm
beside it, and a Gaussian process of what is left. What each expects beforehand stands in `laboratories`; so
little is fitted here that few rows suffice, and all of it has a closed form.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

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
    gamma_shape,
    scatter,
    variance,
)

COVERAGE = 0.9
FEWEST: dict[Family, int] = {"none": 0, "factor": 2, "slope": 3, "residual": 5}
"""Rows below which a family is not considered."""
FEWEST_ROWS = 2
_FALSE_ALARM = 0.25
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
    """

    family: Family
    score: float | None


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
    def _learnt(self) -> tuple[Tensor, Tensor]:
        """Return the Cholesky factor of the covariance of the rows that are used, and their weights."""
        return _weights(self._numbers, self._kept)

    @cached_property
    def _freedom(self) -> float:
        """Degrees of freedom of what is predicted, above 2."""
        shape, _ = gamma_shape(self._numbers)
        return 2 * float(shape) + len(self.rows)

    @cached_property
    def variance_factor(self) -> float:
        """How much larger variances are in this laboratory than expected."""
        _, weights = _weights(self._numbers, self.rows)
        shape, rate = gamma_shape(self._numbers)
        scale = (rate + self.rows.difference @ weights / 2) / (shape + len(self.rows) / 2)
        return float(scale) * self._freedom / (self._freedom - 2)

    @cached_property
    def interval_factor(self) -> float:
        """Standard deviations on either side of the mean that hold 90 % of measurements, Student-t."""
        unit = _quantile((1 + COVERAGE) / 2, self._freedom)
        return unit * math.sqrt((self._freedom - 2) / self._freedom)

    def correction(self, rows: Compared) -> tuple[Tensor, Tensor]:
        """Return mean and variance of the correction of some rows, `n` each, log10; gradients pass.

        Args:
            rows: `n`, without differences.
        """
        if self.family == "none":
            return torch.zeros_like(rows.z), torch.zeros_like(rows.z)
        factor, weights = self._learnt
        cross = covariance(self._numbers, self._kept, rows)
        white = torch.linalg.solve_triangular(factor, cross, upper=False)
        left = (variance(self._numbers, rows) - white.square().sum(0)).clamp_min(0)
        return cross.T @ weights, self.variance_factor * left

    def scattered(self, part: Tensor, is_aleatoric: bool) -> Tensor:
        """Return a part of the model's variance as it is in this laboratory, `n`.

        Args:
            part: `n`, of the model, the epistemic or the aleatoric variance.
            is_aleatoric: Whether it is the aleatoric one, on which the repeatability comes.
        """
        floor = REPEATABILITY**2 if is_aleatoric else 0.0
        return self.variance_factor * (self.prior.scatter**2 * part + floor)

    def overall(self) -> tuple[float, float, float]:
        """Return the mean of the correction over the rows used, log10, and the ends of its 90 % interval."""
        if self.family == "none":
            return 0.0, 0.0, 0.0
        factor, weights = self._learnt
        prior = covariance(self._numbers, self._kept, self._kept)
        white = torch.linalg.solve_triangular(factor, prior, upper=False)
        mean = float((prior @ weights).mean())
        spread = math.sqrt(self.variance_factor * max(float((prior - white.T @ white).mean()), 0.0))
        margin = self.interval_factor * spread
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
        chosen = self.alignment.family
        scores = {candidate.family: candidate.score for candidate in self.candidates}
        rest = [score for family, score in scores.items() if family != chosen and score is not None]
        best, said = scores[chosen], f"Chosen: {chosen}, {_WORDS[chosen]}"
        if best is None or not rest:
            return f"{said}; there are too few rows for another."
        gain = best - max(rest)
        return f"{said}; it foretells each row from the others best, by {gain:.2f} nats over the next."


def align(rows: Compared, laboratories: Laboratories, source: str = "the measurements") -> Choice:
    """Choose the family that predicts each row best from the others, and teach it all rows.

    Of equal families the simpler is taken, and none that has fewer rows than `FEWEST`. Rows that are too far
    from the model, for how far the others are, are set aside first: they widen the intervals and do not move
    the mean.

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
    used = kept_rows(rows, laboratories.priors["none"])
    candidates = []
    for family in FAMILIES:
        numbers = laboratories.priors[family].numbers()
        score = float(leave_one_out(numbers, rows[used]).sum()) if len(rows) >= FEWEST[family] else None
        candidates.append(Candidate(family, score))
    best = candidates[0]
    for candidate in candidates[1:]:
        if candidate.score is not None and best.score is not None and candidate.score > best.score:
            best = candidate
    return Choice(Alignment(best.family, laboratories.priors[best.family], rows, used), tuple(candidates))


def leave_one_out(numbers: Tensor, rows: Compared) -> Tensor:
    """Return the log density of each row, predicted from the others, `n`, in nats.

    Closed form: Rasmussen and Williams (2006), section 5.4.2, here with the Student-t of an unknown
    variance factor, which the others determine too.

    Args:
        numbers: See `Prior.numbers`.
        rows: `n`, measured.
    """
    n = len(rows)
    total = covariance(numbers, rows, rows) + scatter(numbers, rows.std).diag_embed()
    inverse = torch.linalg.inv(total)
    weights = inverse @ rows.difference
    spread = 1 / inverse.diagonal()
    shape, rate = gamma_shape(numbers)
    others = rows.difference @ weights - weights**2 * spread
    scale = (rate + others / 2) / (shape + (n - 1) / 2)
    predicted = torch.distributions.StudentT(2 * shape + n - 1, 0.0, (scale * spread).sqrt())
    return torch.as_tensor(predicted.log_prob(weights * spread))


def kept_rows(rows: Compared, prior: Prior) -> Tensor:
    """Return which rows are not set aside, `n`, bool.

    The row that is furthest from the model, for how far the others are, is set aside if a row so far is too
    improbable; then the next. A quarter of the rows at most, and never so that fewer than two are left.
    """
    numbers = prior.numbers()
    shape, rate = gamma_shape(numbers)
    squared = rows.difference**2 / scatter(numbers, rows.std)
    kept = torch.arange(len(rows))
    fewest = max(FEWEST_ROWS, int(_KEPT * len(rows)))
    while len(kept) > fewest:
        others = len(kept) - 1
        scale = (rate + (squared[kept].sum() - squared[kept]) / 2) / (shape + others / 2)
        far = (squared[kept] / scale).sqrt()
        limit = _quantile(1 - _FALSE_ALARM / len(rows) / 2, 2 * float(shape) + others)
        if float(far.max()) < limit:
            break
        kept = kept[torch.arange(len(kept)) != far.argmax()]
    return torch.isin(torch.arange(len(rows)), kept)


def _weights(numbers: Tensor, rows: Compared) -> tuple[Tensor, Tensor]:
    """Return the Cholesky factor of the covariance of measured rows, and their weights in a prediction."""
    total = covariance(numbers, rows, rows) + scatter(numbers, rows.std).diag_embed()
    factor = torch.linalg.cholesky(total)
    return factor, torch.cholesky_solve(rows.difference[:, None], factor)[:, 0]


def _quantile(probability: float, freedom: float) -> float:
    """Return a quantile of Student's t."""
    from scipy.stats import t  # takes half a second that a screen with another model need not wait

    return float(t.ppf(probability, freedom))
