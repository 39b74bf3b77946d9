"""The YAML of proposals of cathodes: a space, objectives, and how the next compositions are chosen."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeFloat, model_validator

from activelearn.acquisition import FOR_GOAL, KINDS, TOP_KAPPA, Acquisition, Goal, Kind
from activelearn.cathode_pool import FRONT_KINDS, FrontKind
from campaigns.cathode_config import CathodesConfig

FRONT_FOR_GOAL: dict[Goal, FrontKind] = {"best": "log-nehvi", "top": "pareto-rank"}


class CathodeProposeConfig(CathodesConfig):
    """Proposals out of a space of cathodes, as they are on its grid.

    Attributes:
        goal: `best`, the optimum or the front, or `top`, as many of the best candidates as possible.
        learns: What learns from the measurements: Gaussian processes over the model, or nothing.
        acquisition: What makes a cathode worth making, of one objective or of several; by default what the
            goal asks for.
        kappa: Standard deviations that `ucb` adds.
        avoid_unknown: Whether candidates outside the model's domain are left out.
        seed: Of all draws.
    """

    goal: Goal = "best"
    learns: Literal["gp", "nothing"] = "gp"
    acquisition: Kind | FrontKind | None = None
    kappa: NonNegativeFloat | None = None
    avoid_unknown: bool = False
    seed: int = Field(default=0, ge=0, lt=2**31, strict=True)

    @model_validator(mode="after")
    def _fits_together(self) -> CathodeProposeConfig:
        several = len(self.objectives) > 1
        known = FRONT_KINDS if several else KINDS
        if self.acquisition is not None and self.acquisition not in known:
            objectives = "several objectives" if several else "one objective"
            raise ValueError(
                f"acquisition: {self.acquisition} is none of {objectives}; there are {', '.join(known)}"
            )
        if (self.kappa is not None) != (self.acquisition == "ucb"):
            raise ValueError("kappa must be given with acquisition: ucb, and only with it")
        return self

    def rule(self) -> Acquisition | FrontKind:
        """Return what makes a cathode worth making."""
        if len(self.objectives) > 1:
            return next((kind for kind in FRONT_KINDS if kind == self.acquisition), FRONT_FOR_GOAL[self.goal])
        kind = next((kind for kind in KINDS if kind == self.acquisition), FOR_GOAL[self.goal])
        return Acquisition(kind, TOP_KAPPA if self.acquisition is None else self.kappa or 0.0)
