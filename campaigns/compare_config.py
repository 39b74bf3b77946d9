"""The YAML of a comparison of strategies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, NonNegativeFloat, model_validator

from activelearn.acquisition import Goal
from campaigns.config import STRICT
from campaigns.constraint_config import ConstraintsConfig
from campaigns.screen_config import SpaceConfig
from campaigns.strategies import Name, needs_gradients

MOST = 200_000
"""Candidates of a space at most: all are held."""
Count = Annotated[int, Field(ge=1, le=10_000, strict=True)]


class StartConfig(BaseModel):
    """A mixture to begin with: weight fractions among the solvents by name, salt, its molality."""

    model_config = STRICT

    weight_fractions: dict[str, NonNegativeFloat]
    salt: str
    molality_mol_kg: NonNegativeFloat


class CompareConfig(BaseModel):
    """A comparison of strategies on one pool, many seeds.

    Attributes:
        goal: `best`, judged by regret, or `top`, by the share of the best candidates that is found.
        top_percent: How many of the candidates count as the best, for `top`.
        space: The pool, measured by the virtual laboratory; or
        replay: The name of a measured data set that is the pool.
        constraints: What candidates of a space must fulfil.
        model: Trained before, of conductivity; none if null, as always with `replay`.
        strategies: Which.
        starts: Measured before the first round: how many, drawn by the seed, or which.
        rounds: Of proposals and measurements.
        batch: Proposals a round.
        seeds: Numbered from 0; each is another laboratory with other starts.
        retrain_every: Rounds between fits of the process; between them it is conditioned. 0: it never learns.
        failure_rate: Share of the virtual laboratory's experiments that fail.
    """

    model_config = STRICT

    goal: Goal = "best"
    top_percent: Annotated[float, Field(gt=0, le=50)] = 1.0
    space: SpaceConfig | None = None
    replay: Literal["molsets", "calisol23"] | None = None
    constraints: ConstraintsConfig | None = None
    model: str | None = "diffmix-calisol"
    strategies: Annotated[list[Name], Field(min_length=1)]
    starts: Count | Annotated[list[StartConfig], Field(min_length=1)] = 4
    rounds: Count = 10
    batch: Count = 1
    seeds: Count = 20
    retrain_every: int = Field(default=1, ge=0, le=10_000, strict=True)
    failure_rate: Annotated[float, Field(ge=0, lt=1)] = 0.0

    @model_validator(mode="after")
    def _fits_together(self) -> CompareConfig:
        if (self.space is None) == (self.replay is None):
            raise ValueError("give either space, which the virtual laboratory measures, or replay")
        if len(set(self.strategies)) < len(self.strategies):
            raise ValueError("strategies holds one twice; give each once")
        if self.replay is not None:
            for key, given in (("constraints", self.constraints), ("failure_rate", self.failure_rate)):
                if given:
                    raise ValueError(f"{key} belongs to a space; a replay has its mixtures as they are")
            if self.model is not None:
                raise ValueError("a replay starts without a model: write model: null")
            if not isinstance(self.starts, int):
                raise ValueError("starts of a replay are drawn: give how many")
        climbing = [name for name in self.strategies if needs_gradients(name)]
        if climbing and self.model is None:
            raise ValueError(f"{climbing[0]} needs a model and a space")
        if self.space is not None:
            space = self.space.space()
            if len(space) > MOST:
                raise ValueError(f"the space has {len(space):,} candidates; {MOST:,} are held at most")
            if self.constraints is not None:
                self.constraints.check_names(space)
        return self

    def relative_to(self, job: Path) -> CompareConfig:
        """Return the same with the paths of its constraints as seen from here, not from the job's file."""
        if self.constraints is None:
            return self
        return self.model_copy(update={"constraints": self.constraints.relative_to(job)})
