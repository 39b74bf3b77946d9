"""What a fitted model says of mixtures, and what it must offer to be asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol

import torch
from torch import Tensor

KNOWN, WITHIN, BEYOND = range(3)
"""Zones of a domain: its solvents stand in the training data, in these shares and with its salt; else in the
domain; not in it."""
LEAST_VARIANCE = 1e-30
"""Variance below which it counts as this one, so that a power of it has a gradient."""


@dataclass(frozen=True)
class Calibration:
    """How a model's variances become true on rows it did not train on: a variance `v` to `scale * v**power`.

    Members that agree too well are sure of too much, and where they differ by chance they are not surer: a
    power below 1 draws the variances together.

    Attributes:
        epistemic_scale: Factor of the epistemic variance, in the target's unit to `2 - 2 power`.
        aleatoric_scale: Factor of the aleatoric variance, in the same unit.
        power: Of both variances, from 0.25 to 1.
        interval_factor: Standard deviations, after scaling, on either side of the mean that hold 90 %.
        note: What could not be done, a sentence; empty if all was.
        zone_factors: The same in each zone of a model's domain, see `domain.BoundDomain.zones`; empty where
            they were not told apart.
    """

    epistemic_scale: float
    aleatoric_scale: float
    power: float
    interval_factor: float
    note: str
    zone_factors: tuple[float, ...] = ()

    def factors(self, zone: Tensor) -> Tensor:
        """Return the standard deviations that hold 90 % in the zone of each candidate, `n`, float32.

        Args:
            zone: `n`, int8, see `domain.BoundDomain.zones`.
        """
        factors = self.zone_factors or (self.interval_factor,) * (BEYOND + 1)
        return torch.tensor(factors)[zone.long()]

    def apply(self, epistemic: Tensor, aleatoric: Tensor) -> tuple[Tensor, Tensor]:
        """Return both variances, calibrated."""
        return (
            self.epistemic_scale * epistemic.clamp_min(LEAST_VARIANCE) ** self.power,
            self.aleatoric_scale * aleatoric.clamp_min(LEAST_VARIANCE) ** self.power,
        )


UNCALIBRATED = Calibration(1.0, 1.0, 1.0, 1.645, "")
"""Leaves variances as they are."""


@dataclass(frozen=True)
class Prediction:
    """Mean and variance of the target, or of `o` objectives, for `n` candidates, float32 unless said.

    Attributes:
        mean: `n` or `n x o`, in the target's unit.
        epistemic: Likewise, variance from what the model does not know, in the unit squared.
        aleatoric: Likewise, variance from noise that more data would not remove, in the unit squared.
        in_domain: `n`, bool; whether the candidate is near enough to the training data.
        interval_factor: `n`, standard deviations on either side of the mean that hold 90 % of measurements.
    """

    mean: Tensor
    epistemic: Tensor
    aleatoric: Tensor
    in_domain: Tensor
    interval_factor: Tensor

    @property
    def std(self) -> Tensor:
        """Standard deviation of a measurement, `n` or `n x o`, in the target's unit."""
        return (self.epistemic + self.aleatoric).sqrt()


@dataclass(frozen=True)
class JointPrediction:
    """What a model says of `n` candidates and their `o` objectives at once: one Gaussian, without noise.

    Attributes:
        mean: `n x o`, float64, each in its objective's unit.
        apart: `f x n x o`, float64; the covariance of any two numbers is the sum of their products over `f`.
    """

    mean: Tensor
    apart: Tensor

    def covariance(self, objective: int) -> Tensor:
        """Return the covariance of the candidates in one objective, `n x n`."""
        apart = self.apart[..., objective]
        return apart.mT @ apart


def together(parts: Sequence[Prediction]) -> Prediction:
    """Return predictions of some candidates after others."""
    return Prediction(*(torch.cat([getattr(part, of.name) for part in parts]) for of in fields(Prediction)))


def of_members(mean: Tensor, variance: Tensor, calibration: Calibration, zone: Tensor) -> Prediction:
    """Return what members say together: where they differ is epistemic, what they say of noise aleatoric.

    Args:
        mean: `K x n`, of each member.
        variance: `K x n`, likewise, of noise.
        calibration: Of both variances.
        zone: `n`, int8, see `domain.BoundDomain.zones`.
    """
    both = mean.mean(0)
    differ = (mean - both).square().sum(0) / (len(mean) - 1)  # `var(0)` takes forty times as long
    epistemic, aleatoric = calibration.apply(differ, variance.mean(0))
    return Prediction(both, epistemic, aleatoric, zone < BEYOND, calibration.factors(zone))


class Predictor(Protocol):
    """A model bound to the table of a space. It must pickle: a screen sends it to its workers."""

    @property
    def target(self) -> str:
        """Name of the target with its unit, e.g. `log10_conductivity_S_cm`; of objectives, all names."""

    def predict(self, batch: Any) -> Prediction:
        """Return the prediction for each candidate of a batch as the space gives it, in its order."""


class MemberPredictor(Predictor, Protocol):
    """An ensemble bound to a table, whose members can be asked one by one, with gradients."""

    @property
    def calibration(self) -> Calibration:
        """What makes the variances and the interval true."""

    def member_outputs(self, batch: Any) -> tuple[Tensor, Tensor]:
        """Return each member's mean and variance, uncalibrated, each `K x n`, in the target's unit."""


class JointPredictor(Predictor, Protocol):
    """A predictor of objectives that can be asked for many candidates at once."""

    def jointly(self, batch: Any) -> JointPrediction:
        """Return what it says of the candidates together; each alone is as `predict` says it."""


class Model(Protocol):
    """A fitted model, of any molecules or elements."""

    def bind(self, table: Any) -> Predictor:
        """Return the predictor for candidates made of what the space's table holds."""
