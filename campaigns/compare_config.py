"""The YAML of a comparison of strategies."""

from __future__ import annotations

from os.path import join
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, Discriminator, Field, NonNegativeFloat, Tag, model_validator

from activelearn.acquisition import Goal
from campaigns.cathode_config import CompositionSpaceConfig, ObjectiveConfig, are_cathodes
from campaigns.config import STRICT
from campaigns.constraint_config import CathodeConstraintsConfig, ConstraintsConfig
from campaigns.screen_config import SpaceConfig
from campaigns.strategies import Name, needs_gradients
from campaigns.train_config import DataSource
from campaigns.worth import CONDUCTIVITY, Direction
from surrogates.discharge_models import DISTILLED

MOST = 200_000
"""Candidates of a space at most: all are held."""
_ROUNDED = 1e-6
"""How far the weight fractions of a start may sum from 1."""
Count = Annotated[int, Field(ge=1, le=10_000, strict=True)]


class StartConfig(BaseModel):
    """A mixture to begin with: weight fractions among the solvents by name, salt, its molality."""

    model_config = STRICT

    weight_fractions: dict[str, NonNegativeFloat]
    salt: str
    molality_mol_kg: NonNegativeFloat

    @model_validator(mode="after")
    def _is_whole(self) -> StartConfig:
        total = sum(self.weight_fractions.values())
        if abs(total - 1) > _ROUNDED:
            raise ValueError(f"weight_fractions sum to {total:.7g}; 1 was expected, to within {_ROUNDED:g}")
        return self


def _are_named(starts: object) -> str:
    return "named" if isinstance(starts, list | tuple) else "drawn"


Starts = Annotated[
    Annotated[Count, Tag("drawn")] | Annotated[list[StartConfig], Field(min_length=1), Tag("named")],
    Discriminator(_are_named),
]
"""How many, or which."""


class ReplayConfig(DataSource):
    """Measured data that are the pool: a data set by name, or a file of mixtures as `train` takes it.

    A column `failed` of a file says which experiments failed, see `Replay.of_file`.

    Attributes:
        target: Of a file, what was measured.
        direction: Of a file, which of its values are the best.
    """

    target: str = CONDUCTIVITY.name
    direction: Direction = "highest"

    @model_validator(mode="before")
    @classmethod
    def _in_one_word(cls, given: object) -> object:
        return {"dataset": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _knows_its_target(self) -> ReplayConfig:
        if self.dataset is not None and {"target", "direction"} & self.model_fields_set:
            raise ValueError("target and direction belong to a file; a data set's are known")
        return self


class TableConfig(BaseModel):
    """A file of any other measurements that is the pool, in numbers; rows with the same inputs are one.

    Attributes:
        file: CSV or Parquet, with a header.
        inputs: Columns of what was made and how: amounts or conditions.
        formula: Column of compositions, expanded into shares of elements.
        target: Column of what was measured.
        direction: Which of its values are the best.
    """

    model_config = STRICT

    file: Path
    inputs: list[str] = Field(default_factory=list)
    formula: str | None = None
    target: str
    direction: Direction = "highest"

    @model_validator(mode="after")
    def _has_inputs(self) -> TableConfig:
        if not self.inputs and self.formula is None:
            raise ValueError("give inputs, the columns of amounts and conditions, or formula, or both")
        return self


class TruthConfig(BaseModel):
    """A surrogate that is played as truth.

    Attributes:
        emulator: A model that ships by its name, or its directory, relative to the job's file.
        noise: Standard deviation of a measurement, as a share of the truth: of cathodes alone, whose networks
            say none; by default 0.02. An emulator of mixtures scatters by the variance that it states.
    """

    model_config = STRICT

    emulator: str
    noise: Annotated[float, Field(ge=0, lt=1)] | None = None

    def relative_to(self, job: Path) -> TruthConfig:
        """Return the same with a directory as seen from here, not from the job's file."""
        is_directory = "/" in self.emulator or "\\" in self.emulator
        return self.model_copy(update={"emulator": join(job.parent, self.emulator)}) if is_directory else self


class CampaignsConfig(BaseModel):
    """Which strategies are compared on a pool, and for how long.

    Attributes:
        goal: `best`, judged by regret, or `top`, by the share of the best candidates that is found.
        top_percent: How many of the candidates count as the best, for `top`.
        strategies: Which.
        rounds: Of proposals and measurements.
        batch: Proposals a round.
        seeds: Numbered from 0; each has other starts and, unless measured data answer, another laboratory.
        retrain_every: Rounds between fits of the process; between them it is conditioned. 0: it never learns.
    """

    model_config = STRICT

    goal: Goal = "best"
    top_percent: Annotated[float, Field(gt=0, le=50)] = 1.0
    strategies: Annotated[list[Name], Field(min_length=1)]
    rounds: Annotated[int, Field(ge=1, le=999, strict=True)] = 10  # each has a seed of its own
    batch: Count = 1
    seeds: Count = 20
    retrain_every: int = Field(default=1, ge=0, le=10_000, strict=True)

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len(set(self.strategies)) < len(self.strategies):
            raise ValueError("strategies holds one twice; give each once")
        return self


class CompareConfig(CampaignsConfig):
    """A comparison on mixtures, or on a table of anything measured.

    Attributes:
        space: The pool, measured by the virtual laboratory, or by `truth`; or
        replay: Measured mixtures, or a data set; or
        table: A file of other measurements.
        truth: Answers instead of the virtual laboratory.
        constraints: What candidates of a space must fulfil.
        model: Trained before, of what is measured; none if null, as always with measured data.
        starts: Measured before the first round: how many, drawn by the seed, or which.
        failure_rate: Share of the virtual laboratory's experiments that fail.
    """

    space: SpaceConfig | None = None
    replay: ReplayConfig | None = None
    table: TableConfig | None = None
    truth: TruthConfig | None = None
    constraints: ConstraintsConfig | None = None
    model: str | None = "diffmix-calisol"
    starts: Starts = 4
    failure_rate: Annotated[float, Field(ge=0, lt=1)] = 0.0

    @model_validator(mode="before")
    @classmethod
    def _data_have_no_model(cls, given: object) -> object:
        is_measured = isinstance(given, dict) and (given.get("replay") or given.get("table"))
        return {"model": None, **given} if is_measured and isinstance(given, dict) else given

    @model_validator(mode="after")
    def _fits_together(self) -> CompareConfig:
        pools = {"space": self.space, "replay": self.replay, "table": self.table}
        given = [name for name, pool in pools.items() if pool is not None]
        if len(given) != 1:
            came = " and ".join(given) or "none"
            raise ValueError(
                "give one pool: space, which the virtual laboratory or truth measures, or replay, or table; "
                f"{came} came"
            )
        if self.space is None:
            self._are_measured(given[0])
        if self.truth is not None:
            self._is_emulated(self.truth)
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

    def _are_measured(self, pool: str) -> None:
        alone = {
            "constraints": self.constraints,
            "failure_rate": self.failure_rate,
            "truth": self.truth,
        }
        for key, given in alone.items():
            if given:
                raise ValueError(f"{key} belongs to a space; a {pool} has its measurements as they are")
        if self.model is not None:
            raise ValueError(f"a {pool} starts without a model: write model: null")
        if not isinstance(self.starts, int):
            raise ValueError(f"starts of a {pool} are drawn: give how many")

    def _is_emulated(self, truth: TruthConfig) -> None:
        if truth.noise is not None:
            raise ValueError(
                "truth.noise belongs to cathodes; an emulator of mixtures scatters by the variance it states"
            )
        if self.failure_rate:
            raise ValueError("failure_rate belongs to the virtual laboratory; an emulator fails at none")
        if self.model == truth.emulator:
            raise ValueError(
                f"model and truth.emulator are both {self.model}; who knows the truth has nothing to find: "
                "give another model, or model: null"
            )

    def relative_to(self, job: Path) -> CompareConfig:
        """Return the same with the paths of its files as seen from here, not from the job's file."""
        moved: dict[str, object] = {}
        if self.constraints is not None:
            moved["constraints"] = self.constraints.relative_to(job)
        if self.truth is not None:
            moved["truth"] = self.truth.relative_to(job)
        for key, source in (("replay", self.replay), ("table", self.table)):
            if source is not None and source.file is not None:
                moved[key] = source.model_copy(update={"file": job.parent / source.file})
        return self.model_copy(update=moved)


class CompareCathodesConfig(CampaignsConfig):
    """A comparison on a space of cathodes, of which a discharge model is played as truth.

    Attributes:
        space: The compositions; those that fulfil the constraints are the pool.
        objectives: One: what is measured, under which condition; the highest is the best.
        constraints: What compositions must fulfil.
        truth: Which model is played, and how its measurements scatter.
        starts: Measured before the first round, drawn by the seed.
    """

    space: CompositionSpaceConfig
    objectives: Annotated[list[ObjectiveConfig], Field(min_length=1)]
    constraints: CathodeConstraintsConfig | None = None
    truth: TruthConfig = TruthConfig(emulator=DISTILLED)
    starts: Count = 40

    @model_validator(mode="before")
    @classmethod
    def _are_cathodes_alone(cls, given: object) -> object:
        keys = dict(given) if isinstance(given, dict) else {}
        for key in ("replay", "table", "failure_rate"):
            if keys.get(key):
                raise ValueError(
                    f"{key} does not go with objectives or metals, which are a space of cathodes"
                )
        if keys.pop("model", None) is not None:
            raise ValueError(
                "no model of cathodes is trained before: leave model out; the one that is played as truth "
                "stands in truth: {emulator: ...}"
            )
        return keys or given

    @model_validator(mode="after")
    def _fits_together(self) -> CompareCathodesConfig:
        climbing = [name for name in self.strategies if needs_gradients(name)]
        if climbing:
            raise ValueError(f"{climbing[0]} follows gradients over mixtures; cathodes have none here")
        if len(self.objectives) > 1:
            names = ", ".join(one.objective().name for one in self.objectives)
            raise ValueError(f"strategies are compared on one objective; {names} came")
        space = self.space.space()
        if len(space) > MOST:
            raise ValueError(f"the space has {len(space):,} candidates; {MOST:,} are held at most")
        if self.constraints is not None:
            self.constraints.check_names(space)
        return self

    def relative_to(self, job: Path) -> CompareCathodesConfig:
        """Return the same with a directory of its model as seen from here, not from the job's file."""
        return self.model_copy(update={"truth": self.truth.relative_to(job)})


AnyComparison = CompareConfig | CompareCathodesConfig


def comparison_kind(document: object) -> type[AnyComparison]:
    """Return what a file describes."""
    return CompareCathodesConfig if are_cathodes(document) else CompareConfig
