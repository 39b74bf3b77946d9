"""The YAML of proposals: a space, what is wanted of it, and how the next experiments are found."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, NonNegativeFloat, PositiveFloat, model_validator

from activelearn.acquisition import FOR_GOAL, TOP_KAPPA, Acquisition, Goal, Kind
from activelearn.propose import How
from campaigns.cathode_config import are_cathodes
from campaigns.cathode_propose_config import CathodeProposeConfig
from campaigns.config import STRICT, load_yaml_of_kind, resolve_job
from campaigns.constraint_config import ConstraintsConfig
from campaigns.screen_config import SpaceConfig

Learns = Literal["gp", "nothing"]
Fractions = Literal["weight", "mole"]
_CLIMBED: tuple[Kind, ...] = ("mean", "ucb")
"""What gradients are followed of; an expected improvement is flat far from what it knows."""


class ProposeConfig(BaseModel):
    """Proposals out of a space of mixtures.

    Attributes:
        space: The candidates. Where amounts run freely, they run between the least and the highest listed.
        goal: `best`, the optimum, or `top`, as many of the best candidates as possible.
        model: The name of a model that ships, or a model directory.
        learns: What learns from the measurements: a Gaussian process over the model, or nothing.
        acquisition: What makes an experiment worth doing; by default what the goal asks for, and of
            `how: gradient` the mean where that is the optimum.
        kappa: Standard deviations that `ucb` adds.
        how: Out of the pool, with amounts that run freely, or both; by default both, and out of the pool
            where a space has equal fractions only. `gradient` climbs from the best measured mixtures what is
            predicted, or its upper confidence bound, and nothing else.
        avoid_unknown: Whether candidates outside the model's domain are left out.
        constraints: What candidates must fulfil.
        fractions: Of which kind the proposals tell them.
        batch_g: Mass of one mixture [g], to tell what to weigh in.
        seed: Of all draws.
    """

    model_config = STRICT

    space: SpaceConfig
    goal: Goal = "best"
    model: str = "diffmix-calisol"
    learns: Learns = "gp"
    acquisition: Kind | None = None
    kappa: NonNegativeFloat | None = None
    how: How | None = None
    avoid_unknown: bool = False
    constraints: ConstraintsConfig | None = None
    fractions: Fractions = "weight"
    batch_g: PositiveFloat | None = None
    seed: int = Field(default=0, ge=0, lt=2**31, strict=True)

    @model_validator(mode="after")
    def _fits_together(self) -> ProposeConfig:
        space = self.space.space()
        if (self.kappa is not None) != (self.acquisition == "ucb"):
            raise ValueError("kappa must be given with acquisition: ucb, and only with it")
        if self.acquisition == "thompson" and self.how in ("mixed", "continuous"):
            raise ValueError("acquisition: thompson draws functions over a pool; it needs how: pool")
        if self.how == "gradient" and self.acquisition not in (None, *_CLIMBED):
            raise ValueError(
                f"acquisition: {self.acquisition} came; how: gradient climbs acquisition: mean or ucb"
            )
        if self.how == "continuous" and len(space.salts) > 1:
            raise ValueError(f"{len(space.salts)} salts came; how: continuous needs a space with one")
        if self.constraints is not None:
            self.constraints.check_names(space)
        return self

    def rule(self) -> Acquisition:
        """Return what makes an experiment worth doing."""
        kappa = TOP_KAPPA if self.acquisition is None else self.kappa or 0.0
        kind = self.acquisition or FOR_GOAL[self.goal]
        return Acquisition("mean" if self.how == "gradient" and kind not in _CLIMBED else kind, kappa)

    def way(self) -> How:
        """Return how experiments are found."""
        if self.how is not None:
            return self.how
        is_pool = self.space.fraction_step is None or self.acquisition == "thompson"
        return "pool" if is_pool else "mixed"

    def relative_to(self, job: Path) -> ProposeConfig:
        """Return the same with the paths of its constraints as seen from here, not from the job's file."""
        if self.constraints is None:
            return self
        return self.model_copy(update={"constraints": self.constraints.relative_to(job)})


AnyProposals = ProposeConfig | CathodeProposeConfig


def choose_proposals(job: str) -> AnyProposals:
    """Return the proposals that a YAML file or a bundled job describes.

    Raises:
        InputError: If there is no such job or it does not describe proposals.
    """
    path = resolve_job(job)
    config: AnyProposals = load_yaml_of_kind(path, _kind)
    return config.relative_to(path)


def _kind(document: object) -> type[AnyProposals]:
    return CathodeProposeConfig if are_cathodes(document) else ProposeConfig
