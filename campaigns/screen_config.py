"""The YAML of a screen: which space, and what its candidates are ranked by."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from activelearn.screening import Score, by_mean, by_probability_above, by_ucb
from activelearn.spaces import MixtureSpace
from campaigns.config import STRICT
from campaigns.constraint_config import ConstraintsConfig
from surrogates.chemicals import UnknownChemical, name_of, resolve
from surrogates.molecules import Component, MoleculeTable, is_polymer
from surrogates.quantities import quantity

RankBy = Literal["mean", "ucb", "probability_above"]


def _canonical(text: str) -> str:
    try:
        return resolve(text)
    except UnknownChemical as error:
        raise ValueError(f"{error}. {error.mend()}") from None


class Ingredient(BaseModel):
    """A solvent or a salt: one known name or SMILES, or a name of the user's own with its SMILES."""

    model_config = STRICT

    name: str
    smiles: Annotated[str, AfterValidator(_canonical)]
    molar_mass_g_mol: PositiveFloat | None = None

    @model_validator(mode="before")
    @classmethod
    def _in_one_word(cls, given: object) -> object:
        if not isinstance(given, str):
            return given
        smiles = _canonical(given)
        return {"name": name_of(smiles), "smiles": smiles}

    @model_validator(mode="after")
    def _can_be_featurised(self) -> Ingredient:
        if is_polymer(self.smiles) and self.molar_mass_g_mol is None:
            raise ValueError("a repeat unit with caps needs molar_mass_g_mol, the molar mass of its chain")
        MoleculeTable.build([self.component()])
        return self

    def component(self) -> Component:
        """Return the component of a mixture."""
        return Component.of(self.smiles, self.molar_mass_g_mol)


class SpaceConfig(BaseModel):
    """The factors of a `MixtureSpace`; without `fraction_step` solvents stand in equal weight fractions."""

    model_config = STRICT

    solvents: list[Ingredient]
    salts: list[Ingredient]
    solvents_per_mixture: list[int] = [2]
    fraction_step: Annotated[float, Field(gt=0, le=1)] | None = None
    molality_mol_kg: list[NonNegativeFloat] = [1.0]
    temperature_K: list[PositiveFloat] = [298.15]

    @model_validator(mode="after")
    def _is_a_space(self) -> SpaceConfig:
        expects = quantity("temperature_K")  # what is proposed at another could not be recorded
        if not expects.accept(np.array(self.temperature_K)).all():
            given = ", ".join(f"{kelvin:g}" for kelvin in self.temperature_K)
            raise ValueError(f"temperature_K is {given}; {expects.expected} was expected: 25 C is 298.15")
        self.space()
        return self

    def space(self) -> MixtureSpace:
        """Return the space.

        Raises:
            ValueError: If there is no such space.
        """
        return MixtureSpace(
            solvents=_by_name("solvents", self.solvents),
            salts=_by_name("salts", self.salts),
            solvents_per_mixture=tuple(self.solvents_per_mixture),
            fraction_step=self.fraction_step,
            molality_mol_kg=tuple(self.molality_mol_kg),
            temperature_K=tuple(self.temperature_K),
        )


class ScreenConfig(BaseModel):
    """A screen: the space, the target, what to rank by, how many of the best to list, and constraints."""

    model_config = STRICT

    target: str = "log10_conductivity_S_cm"
    rank_by: RankBy = "mean"
    kappa: float | None = None
    threshold: float | None = None
    top_k: PositiveInt = 1000
    space: SpaceConfig
    constraints: ConstraintsConfig | None = None

    @model_validator(mode="after")
    def _ranks_by_what_it_needs(self) -> ScreenConfig:
        check_ranking(self.rank_by, self.kappa, self.threshold)
        if self.constraints is not None:
            self.constraints.check_names(self.space.space())
        return self

    def relative_to(self, job: Path) -> ScreenConfig:
        """Return the screen with the paths of its constraints as seen from here, not from the job's file."""
        if self.constraints is None:
            return self
        return self.model_copy(update={"constraints": self.constraints.relative_to(job)})

    def score(self) -> Score:
        """Return what the candidates are ranked by."""
        return score_by(self.kappa, self.threshold)


def check_ranking(rank_by: RankBy, kappa: float | None, threshold: float | None) -> None:
    """Refuse a `rank_by` without the number that it needs, or with one that it does not.

    Raises:
        ValueError: Which.
    """
    for key, number, user in (("kappa", kappa, "ucb"), ("threshold", threshold, "probability_above")):
        if (number is not None) != (rank_by == user):
            raise ValueError(f"{key} must be given with rank_by: {user}, and only with it")


def score_by(kappa: float | None, threshold: float | None) -> Score:
    """Return what candidates are ranked by: the mean, or what the number that is given belongs to."""
    if kappa is not None:
        return partial(by_ucb, kappa=kappa)
    if threshold is not None:
        return partial(by_probability_above, threshold=threshold)
    return by_mean


def _by_name(factor: str, ingredients: Sequence[Ingredient]) -> dict[str, Component]:
    named = {ingredient.name: ingredient.component() for ingredient in ingredients}
    if len(named) < len(ingredients):
        raise ValueError(f"{factor} holds one name twice; give each its own")
    return named
