"""How a campaign stands, in numbers and in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from botorch.utils.multi_objective.pareto import is_non_dominated
from rich.console import Console
from scipy.stats import binom

from campaigns.campaign_history import History, StoredMeasurement, StoredProposal
from campaigns.candidates import StoredCandidate
from campaigns.stopping import same_candidates
from surrogates.calibration import COVERAGE

_UNLIKELY = 0.05
"""Chance below which what came is not what was stated."""
_FEWEST = 5
"""Proposals measured, below which nothing is said about the model."""


@dataclass(frozen=True)
class Best:
    """A candidate than which none is better by the means of measurements, of those that could be proposed.

    Attributes:
        candidate: Which.
        values: The mean of its measurements of each target, in its unit.
        measurements: Their numbers.
    """

    candidate: StoredCandidate
    values: Mapping[str, float]
    measurements: tuple[int, ...]

    @property
    def value(self) -> float:
        """The mean of its measurements of the first target, in its unit."""
        return next(iter(self.values.values()))


@dataclass(frozen=True)
class Quality:
    """How true the model was of a target of what it proposed, by the first measurement of each proposal.

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
        targets: What is measured, each with its unit.
        measured: How many measurements count.
        failed: How many experiments failed.
        corrected: How many rows were corrected or withdrawn.
        front: Of one target the best; of several all on the measured Pareto front, the highest of the first
            target first. None before anything that could be proposed was measured.
        pending: What was given out and has not come back.
        quality: Of each target that was measured of a proposal.
        hint: Whether to go on, in plain words.
    """

    targets: tuple[str, ...]
    measured: int
    failed: int
    corrected: int
    front: tuple[Best, ...]
    pending: tuple[StoredProposal, ...]
    quality: Mapping[str, Quality]
    hint: str

    @property
    def best(self) -> Best | None:
        """The best of the first target."""
        return self.front[0] if self.front else None


def status_of(
    targets: tuple[str, ...], known: History, ours: Sequence[StoredMeasurement], hint: str
) -> Status:
    """Return how a campaign stands.

    Args:
        targets: What is measured, each with its unit.
        known: All that the campaign holds.
        ours: The measurements that count of candidates that it could propose.
        hint: See `stopping.hint_of`.
    """
    return Status(
        targets=targets,
        measured=len(known.standing("measured")),
        failed=len(known.standing("failed")),
        corrected=len(known.corrected_by),
        front=best_of(targets, ours),
        pending=tuple(known.pending()),
        quality={name: found for name in targets if (found := _quality(known, name)) is not None},
        hint=hint,
    )


def print_status(status: Status, console: Console) -> None:
    """Print how a campaign stands."""
    counts = f"{status.measured} measured, {status.failed} failed, {status.corrected} corrected"
    lines = [f"{counts}, {len(status.pending)} pending"]
    if len(status.front) > 1:
        lines.append(f"On the measured front, {len(status.front)}:")
    lines += [_told(one, "Best so far: " if len(status.front) == 1 else "") for one in status.front]
    lines += [f"Pending, proposal {one.id}: {one.candidate.words()}" for one in status.pending]
    for target, quality in status.quality.items():
        of = f" of {target}" if len(status.targets) > 1 else ""
        held = f"{quality.within} of {quality.measured} measurements lie in the 90 % interval that was stated"
        errors = f"mean error {quality.error:.2g} at a stated standard deviation of {quality.stated:.2g}"
        lines.append(f"The model{of}: {held}; {errors}, errors {quality.ratio:.2g} times what was stated.")
        lines.append(quality.words())
    for line in (*lines, status.hint):
        console.print(line, soft_wrap=True, highlight=False, markup=False)


def best_of(targets: tuple[str, ...], rows: Sequence[StoredMeasurement]) -> tuple[Best, ...]:
    """Return the candidates that no other is better than by means: one that is repeated tells more.

    Of several targets one that lacks some may not be compared, and is left out.
    """
    found = [
        one for group in same_candidates(rows) if len((one := _mean(targets, group)).values) == len(targets)
    ]
    if not found:
        return ()
    if len(targets) == 1:
        return (max(found, key=lambda one: one.value),)
    values = torch.tensor([list(one.values.values()) for one in found], dtype=torch.float64)
    front = [found[place] for place in is_non_dominated(values).nonzero()[:, 0].tolist()]
    return tuple(sorted(front, key=lambda one: -one.value))


def _mean(targets: tuple[str, ...], group: Sequence[StoredMeasurement]) -> Best:
    each = {name: [row.values[name] for row in group if name in row.values] for name in targets}
    values = {name: float(np.mean(values)) for name, values in each.items() if values}
    return Best(group[0].candidate, values, tuple(row.id for row in group))


def _told(one: Best, first: str) -> str:
    numbers = one.measurements
    of = f"measurement {numbers[0]}"
    if len(numbers) > 1:
        of = f"the mean of measurements {', '.join(map(str, numbers))}"
    values = ", ".join(f"{name} {value:.4g}" for name, value in one.values.items())
    return f"{first}{values} ({of}), {one.candidate.words()}"


def _quality(known: History, target: str) -> Quality | None:
    first: dict[int, float] = {}
    for row in known.standing("measured"):
        if row.proposal is not None and target in row.values:
            first.setdefault(row.proposal, row.values[target])
    if not first:
        return None
    proposals = [known.proposals[number - 1] for number in first]
    error = np.abs(np.array(list(first.values())) - np.array([one.mean[target] for one in proposals]))
    std = np.array([one.std[target] for one in proposals])
    factor = np.array([one.interval_factor for one in proposals])
    return Quality(
        measured=len(first),
        within=int((error <= factor * std).sum()),
        error=float(error.mean()),
        stated=float(std.mean()),
        ratio=float(np.sqrt(np.mean((error / std) ** 2))),
    )
