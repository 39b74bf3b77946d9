"""The YAML of a screen of cathodes: which compositions, which model, which objectives."""

from __future__ import annotations

from os.path import join
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, Field, PositiveInt, model_validator

from activelearn.composition_spaces import CompositionSpace
from activelearn.screening import Score
from campaigns.config import STRICT
from campaigns.constraint_config import CathodeConstraintsConfig
from campaigns.screen_config import RankBy, check_ranking, score_by
from surrogates.conditions import nonsense
from surrogates.discharge_models import DISTILLED
from surrogates.discharge_objectives import COLUMNS, RETAINED, Objective, Quantity


class CompositionSpaceConfig(BaseModel):
    """The factors of a `CompositionSpace`."""

    model_config = STRICT

    metals: list[str]
    metals_per_composition: list[int]
    lithium: list[float]
    fluorine: list[float]
    step: float

    @model_validator(mode="after")
    def _is_a_space(self) -> CompositionSpaceConfig:
        self.space()
        return self

    def space(self) -> CompositionSpace:
        """Return the space.

        Raises:
            ValueError: If there is no such space.
        """
        return CompositionSpace(
            metals=tuple(self.metals),
            metals_per_composition=tuple(self.metals_per_composition),
            lithium=tuple(self.lithium),
            fluorine=tuple(self.fluorine),
            step=self.step,
        )


class ObjectiveConfig(BaseModel):
    """A quantity under a condition; a name of its own where the quantity stands more than once."""

    model_config = STRICT

    quantity: Quantity
    rate_mA_g: float
    window_V: Annotated[list[float], Field(min_length=2, max_length=2)]
    cycle: float | None = None
    name: Annotated[str, Field(pattern=r"^\w+$")] | None = None

    @model_validator(mode="after")
    def _can_be_measured(self) -> ObjectiveConfig:
        if self.quantity == "retention_30" and self.cycle is not None:
            raise ValueError(f"retention_30 compares cycle {RETAINED} with the first; leave cycle out")
        if self.quantity != "retention_30" and self.cycle is None:
            raise ValueError(f"{self.quantity} needs a cycle, 1 for the first")
        asked = self.objective()
        found = nonsense(asked.name, asked.rate_mA_g, asked.V_low, asked.V_high, asked.cycle)
        if found:
            raise ValueError("; ".join(f"{problem.where}: {problem.wrong}" for problem in found))
        return self

    def objective(self) -> Objective:
        """Return the objective."""
        V_low, V_high = self.window_V
        cycle = RETAINED if self.cycle is None else self.cycle
        name = self.name or COLUMNS[self.quantity]
        return Objective(name, self.quantity, self.rate_mA_g, V_low, V_high, cycle)


class CathodesConfig(BaseModel):
    """Cathodes and what is asked of them.

    Attributes:
        model: `drxnet-distilled`, `drxnet-published` or the directory of another, relative to the file.
        objectives: What is wanted high.
        space: The compositions.
        constraints: What they must fulfil.
    """

    model_config = STRICT

    model: str = DISTILLED
    objectives: Annotated[list[ObjectiveConfig], Field(min_length=1)]
    space: CompositionSpaceConfig
    constraints: CathodeConstraintsConfig | None = None

    @model_validator(mode="after")
    def _has_names_of_its_own(self) -> Self:
        names = [asked.objective().name for asked in self.objectives]
        twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
        if twice:
            raise ValueError(f"two objectives are called {twice[0]}; give each a name of its own")
        if self.constraints is not None:
            self.constraints.check_names(self.space.space())
        return self

    def asked(self) -> tuple[Objective, ...]:
        """Return the objectives."""
        return tuple(asked.objective() for asked in self.objectives)

    def names(self) -> tuple[str, ...]:
        """Return the names of the objectives."""
        return tuple(one.name for one in self.asked())

    def relative_to(self, job: Path) -> Self:
        """Return the same with a directory of its model as seen from here, not from the job's file."""
        is_directory = "/" in self.model or "\\" in self.model
        # Joined so that it keeps a separator, by which a directory is told from a name.
        return self.model_copy(update={"model": join(job.parent, self.model)}) if is_directory else self


class CathodeScreenConfig(CathodesConfig):
    """A screen of cathodes: how they are ranked, and how many of the best to list.

    Attributes:
        rank_by: As for mixtures, of one objective; several are ranked by the Pareto rank of their means.
        kappa: Of `ucb`.
        threshold: Of `probability_above`.
        top_k: Length of the list.
    """

    rank_by: RankBy = "mean"
    kappa: float | None = None
    threshold: float | None = None
    top_k: PositiveInt = 1000

    @model_validator(mode="after")
    def _ranks_by_what_it_needs(self) -> CathodeScreenConfig:
        check_ranking(self.rank_by, self.kappa, self.threshold)
        if self.rank_by != "mean" and len(self.objectives) > 1:
            raise ValueError(
                f"rank_by: {self.rank_by} ranks one objective; several are ranked by the Pareto rank of "
                "their means"
            )
        return self

    def score(self) -> Score:
        """Return what the candidates are ranked by."""
        return score_by(self.kappa, self.threshold)


def are_cathodes(document: object) -> bool:
    """Return whether a file is of cathodes: only these have objectives, or a space with metals."""
    keys = document if isinstance(document, dict) else {}
    space = keys.get("space")
    return "objectives" in keys or (isinstance(space, dict) and "metals" in space)
