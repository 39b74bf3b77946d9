"""The YAML of a training on excess properties."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, model_validator

from campaigns.config import STRICT
from surrogates.excess_training import ExcessSettings

Target = Literal["excess_molar_enthalpy_J_mol", "excess_molar_volume_cm3_mol"]
Order = Annotated[int, Field(ge=0, le=12, strict=True)]
_DEFAULT = ExcessSettings()


class ExcessSource(BaseModel):
    """A data set by name, or a file of the user's own, and which property to learn."""

    model_config = STRICT

    property: Target
    dataset: str | None = None
    file: Path | None = None
    columns: dict[str, str] = Field(default_factory=dict)
    units: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_source(self) -> ExcessSource:
        if (self.dataset is None) == (self.file is None):
            raise ValueError("give either dataset, a name that `activelearn datasets list` shows, or file")
        if self.dataset is not None and (self.columns or self.units):
            raise ValueError("columns and units belong to a file; a data set's are known")
        return self


class ExcessSplits(BaseModel):
    """On how many splits the model is judged; 0 leaves a kind out.

    Attributes:
        rows: Of single rows, as the paper does; a series stands in all parts.
        pairs: Of pairs of molecules, so that no tested pair was trained on.
    """

    model_config = STRICT

    rows: int = Field(default=5, ge=0, le=1000, strict=True)
    pairs: int = Field(default=5, ge=0, le=1000, strict=True)


class ExcessConfig(BaseModel):
    """A training on excess properties.

    Attributes:
        excess: What to learn from.
        members: Of the ensemble.
        steps: Of the optimiser.
        order: Highest of the Redlich-Kister series.
        other_orders: Of series that are judged beside it, on splits of rows.
        splits: On how many splits the model is judged.
        seed: Of everything.
    """

    model_config = STRICT

    excess: ExcessSource
    members: int = Field(default=_DEFAULT.members, ge=2, le=100, strict=True)
    steps: int = Field(default=_DEFAULT.steps, ge=1, le=1_000_000, strict=True)
    order: Order = 9
    other_orders: list[Order] = Field(default_factory=list)
    splits: ExcessSplits = ExcessSplits()
    seed: int = Field(default=0, ge=0, lt=2**31, strict=True)

    def settings(self, order: int | None) -> ExcessSettings:
        """Return the settings of an ensemble with a series to this order, or of one without a law."""
        network = replace(_DEFAULT.network, order=order)
        return replace(_DEFAULT, members=self.members, steps=self.steps, network=network)
