"""What experiments are asked for, what is proposed, and what either is judged by."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from activelearn.acquisition import Acquisition, joint
from activelearn.experiments import Experiments
from activelearn.mixture_masks import MixtureMask
from surrogates.prediction import Prediction

SHORTLIST = 1000
"""Candidates of a pool that are looked at together, the best alone: of 11,340 of them 500 to 4,000 gave
batches of 20 whose expected improvement was the same within 0.5 %."""
_BASELINE = 64
"""Measured mixtures of highest mean among which the best is looked for."""


@dataclass(frozen=True)
class Proposals:
    """`q` experiments, the first chosen first.

    Attributes:
        x: `q x d`, amounts as `MixtureVariables` has them; all feasible, no two the same.
        candidate: `q`, int64, which of the space's candidates it is; -1 of amounts between them.
        value: `q`, the acquisition value beside the proposals before it.
        prediction: What the model says of them.
    """

    x: Tensor
    candidate: Tensor
    value: Tensor
    prediction: Prediction

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class Asked:
    """What experiments are asked for.

    Attributes:
        experiments: The candidates, the model, and what is known.
        acquisition: What makes an experiment worth doing.
        mask: Which candidates of the pool fulfil the constraints; None if none are asked.
        avoid_unknown: Whether candidates outside the model's domain are left out.
        seed: Of all draws.
    """

    experiments: Experiments
    acquisition: Acquisition
    mask: MixtureMask | None
    avoid_unknown: bool = False
    seed: int = 0

    def beside(self, base: Tensor) -> Acquisition:
        """Return the rule beside some measured mixtures, `r`: without any, none of them can be uncertain."""
        if not len(base) and self.acquisition.kind == "log-nei":
            return replace(self.acquisition, kind="log-ei")
        return self.acquisition


def best_of(asked: Asked, base: Tensor) -> float:
    """Return the best that was measured of what could be a candidate, else the highest mean of a draw."""
    e = asked.experiments
    if e.measured is not None and len(base):
        return float(e.measured.values[base].max())
    generator = torch.Generator().manual_seed(asked.seed)
    drawn = torch.randint(len(e.space), (SHORTLIST,), generator=generator)
    batch = e.space.at(drawn)
    may = e.constraints.is_feasible(e.variables.rows(batch, e.space.table))
    return float(e.predictor.predict(batch).mean[may if may.any() else ~may].max())


def highest(e: Experiments, base: Tensor) -> Tensor:
    """Return those of the measured mixtures that the model holds highest."""
    if len(base) <= _BASELINE:
        return base
    with torch.no_grad():
        mean, _ = joint(e.surrogate, e.measured_rows(base))
    return base[mean.argsort(descending=True)[:_BASELINE]]


def said_of(asked: Asked, x: Tensor) -> Prediction:
    """Return what the model says of amounts, `q`: each mixture by its own components alone."""
    e = asked.experiments
    return e.predictor.predict(e.mixtures(x).packed())


def rows_of(prediction: Prediction, places: Tensor) -> Prediction:
    """Return what is said of some places."""
    parts = (getattr(prediction, name)[places] for name in Prediction.__dataclass_fields__)
    return Prediction(*parts)
