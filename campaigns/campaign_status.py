"""How a campaign stands, in numbers and in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from scipy.stats import binom

from campaigns.campaign_history import History, StoredMeasurement, StoredProposal
from campaigns.stopping import same_mixtures
from campaigns.stored_mixtures import StoredMixture
from surrogates.calibration import COVERAGE

_UNLIKELY = 0.05
"""Chance below which what came is not what was stated."""
_FEWEST = 5
"""Proposals measured, below which nothing is said about the model."""


@dataclass(frozen=True)
class Best:
    """The mixture of highest mean of its measurements, among those that the campaign could propose.

    Attributes:
        mixture: Which.
        value: The mean of its measurements, in the target's unit.
        measurements: Their numbers.
    """

    mixture: StoredMixture
    value: float
    measurements: tuple[int, ...]


@dataclass(frozen=True)
class Quality:
    """How true the model was of what it proposed, by the first measurement of each proposal.

    Attributes:
        measured: How many proposals have been measured.
        within: In how many the stated 90 % interval held the measurement.
        error: Mean absolute error, in the target's unit.
        stated: Mean standard deviation of a measurement that was stated, in the target's unit.
        ratio: Root mean square of the errors over their stated standard deviations; 1 is right.
    """

    measured: int
    within: int
    error: float
    stated: float
    ratio: float

    def words(self) -> str:
        """Return the verdict, a sentence."""
        if self.measured < _FEWEST:
            return f"Fewer than {_FEWEST} proposals have been measured: too few to judge the intervals."
        if binom.cdf(self.within, self.measured, COVERAGE) < _UNLIKELY:
            return "Fewer than stated: the intervals are too narrow, so trust the model less than it says."
        if self.within == self.measured and COVERAGE**self.measured < _UNLIKELY:
            return "More than stated: the intervals are wider than they need be."
        return "The intervals held what they stated, as far as so many can tell."


@dataclass(frozen=True)
class Status:
    """How a campaign stands.

    Attributes:
        target: What is measured, with its unit.
        measured: How many measurements count.
        failed: How many experiments failed.
        corrected: How many rows were corrected or withdrawn.
        best: None before anything that could be proposed was measured.
        pending: What was given out and has not come back.
        quality: None before a proposal was measured.
        hint: Whether to go on, in plain words.
    """

    target: str
    measured: int
    failed: int
    corrected: int
    best: Best | None
    pending: tuple[StoredProposal, ...]
    quality: Quality | None
    hint: str


def status_of(target: str, known: History, ours: Sequence[StoredMeasurement], hint: str) -> Status:
    """Return how a campaign stands.

    Args:
        target: What is measured, with its unit.
        known: All that the campaign holds.
        ours: The measurements that count of mixtures that it could propose.
        hint: See `stopping.hint_of`.
    """
    return Status(
        target=target,
        measured=len(known.standing("measured")),
        failed=len(known.standing("failed")),
        corrected=len(known.corrected_by),
        best=best_of(ours),
        pending=tuple(known.pending()),
        quality=_quality(known),
        hint=hint,
    )


def print_status(status: Status, console: Console) -> None:
    """Print how a campaign stands."""
    counts = f"{status.measured} measured, {status.failed} failed, {status.corrected} corrected"
    lines = [f"{counts}, {len(status.pending)} pending"]
    if status.best is not None:
        numbers, value = status.best.measurements, status.best.value
        of = f"measurement {numbers[0]}"
        if len(numbers) > 1:
            of = f"the mean of measurements {', '.join(map(str, numbers))}"
        lines.append(f"Best so far: {status.target} {value:.4g} ({of}), {status.best.mixture.words()}")
    lines += [f"Pending, proposal {one.id}: {one.mixture.words()}" for one in status.pending]
    if (quality := status.quality) is not None:
        held = f"{quality.within} of {quality.measured} measurements lie in the 90 % interval that was stated"
        errors = f"mean error {quality.error:.2g} at a stated standard deviation of {quality.stated:.2g}"
        lines.append(f"The model: {held}; {errors}, errors {quality.ratio:.2g} times what was stated.")
        lines.append(quality.words())
    for line in (*lines, status.hint):
        console.print(line, soft_wrap=True, highlight=False, markup=False)


def best_of(rows: Sequence[StoredMeasurement]) -> Best | None:
    """Return the mixture whose measurements have the highest mean: one that is repeated tells more."""
    found = [
        Best(group[0].mixture, float(np.mean([m.value for m in group if m.value is not None])), _ids(group))
        for group in same_mixtures(rows)
    ]
    return max(found, key=lambda one: one.value, default=None)


def _ids(rows: Sequence[StoredMeasurement]) -> tuple[int, ...]:
    return tuple(row.id for row in rows)


def _quality(known: History) -> Quality | None:
    first: dict[int, float] = {}
    for row in known.standing("measured"):
        if row.proposal is not None and row.value is not None:
            first.setdefault(row.proposal, row.value)
    if not first:
        return None
    proposals = [known.proposals[number - 1] for number in first]
    error = np.abs(np.array(list(first.values())) - np.array([one.mean for one in proposals]))
    std = np.array([one.std for one in proposals])
    factor = np.array([one.interval_factor for one in proposals])
    return Quality(
        measured=len(first),
        within=int((error <= factor * std).sum()),
        error=float(error.mean()),
        stated=float(std.mean()),
        ratio=float(np.sqrt(np.mean((error / std) ** 2))),
    )
