"""The YAML of a landscape: which three solvents, at what lithium and temperature, and what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field, PositiveFloat, field_validator, model_validator

from activelearn.landscape import TernarySystem, ternary_grid
from campaigns.config import STRICT
from campaigns.screen_config import Ingredient
from surrogates.checkpoints import SHIPPED


class SystemConfig(BaseModel):
    """A `TernarySystem`: three solvents, a lithium salt, and the mole fraction of lithium."""

    model_config = STRICT

    solvents: Annotated[list[Ingredient], Field(min_length=3, max_length=3)]
    salt: Ingredient
    lithium_mole_fraction: PositiveFloat

    @model_validator(mode="after")
    def _is_a_system(self) -> SystemConfig:
        self.system()
        return self

    def system(self) -> TernarySystem:
        """Return the system.

        Raises:
            ValueError: If there is no such system.
        """
        named = [item.name for item in self.solvents]
        if len(set(named)) < len(named):
            raise ValueError("solvents holds one name twice; give each its own")
        return TernarySystem(
            solvents={item.name: item.component() for item in self.solvents},
            salt_name=self.salt.name,
            salt=self.salt.component(),
            lithium_mole_fraction=self.lithium_mole_fraction,
        )


class MeasuredConfig(BaseModel):
    """A file to compare with, and what its headers and units mean; see `read_measured`."""

    model_config = STRICT

    file: Path
    columns: dict[str, str] = Field(default_factory=dict)
    units: dict[str, str] = Field(default_factory=dict)


class LandscapeConfig(BaseModel):
    """A landscape.

    Attributes:
        model: The name of one that ships, or the directory of another, relative to the file.
        temperature_K: Of all grid points, and of measured rows without; 100 to 1000, as in data.
        step: Of the grid, in mole fraction; its inverse is a whole number, at most 200.
        systems: A ternary each.
        measured: Files of measurements, relative to the file.
    """

    model_config = STRICT

    model: str = SHIPPED[1]
    temperature_K: Annotated[float, Field(ge=100, le=1000)] = 298.15
    step: Annotated[float, Field(ge=0.005, le=0.5)] = 0.02
    systems: Annotated[list[SystemConfig], Field(min_length=1)]
    measured: list[MeasuredConfig] = Field(default_factory=list)

    @field_validator("step")
    @classmethod
    def _divides_one(cls, step: float) -> float:
        ternary_grid(step)
        return step

    def relative_to(self, job: Path) -> LandscapeConfig:
        """Return the landscape with its paths as seen from here, not from the job's file."""
        model = self.model if self.model in SHIPPED else str(job.parent / self.model)
        measured = [item.model_copy(update={"file": job.parent / item.file}) for item in self.measured]
        return self.model_copy(update={"model": model, "measured": measured})
