"""The YAML of a training: which data, which splits, which network.

Counts are strict, for `yes` is a number to Python, and bounded, for a slip of the hand fills the memory.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field, model_validator

from campaigns.config import STRICT
from surrogates.encoders.convolutions import ConvolutionName
from surrogates.encoders.molsets import MolSetsSettings
from surrogates.ensemble import EnsembleSettings
from surrogates.training import TrainingSettings


class DataSource(BaseModel):
    """A data set by name, or a file of the user's own with what its headers and units mean."""

    model_config = STRICT

    dataset: str | None = None
    file: Path | None = None
    columns: dict[str, str] = Field(default_factory=dict)
    units: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_source(self) -> DataSource:
        if (self.dataset is None) == (self.file is None):
            raise ValueError("give either dataset, a name that `activelearn datasets list` shows, or file")
        if self.dataset is not None and (self.columns or self.units):
            raise ValueError("columns and units belong to a file; a data set's are known")
        return self


class SplitPlan(BaseModel):
    """On how many splits the model is judged; 0 leaves a kind out."""

    model_config = STRICT

    random: int = Field(default=10, ge=0, le=1000, strict=True)
    solvent: int = Field(default=10, ge=0, le=1000, strict=True)
    test_fraction: float = Field(default=0.2, gt=0.0, lt=0.5)


class TrainConfig(BaseModel):
    """A training."""

    model_config = STRICT

    data: DataSource
    target: str = "log10_conductivity_S_cm"
    members: int = Field(default=5, ge=2, le=100, strict=True)
    convolution: ConvolutionName = "GraphConv"
    epochs: int = Field(default=TrainingSettings.epochs, ge=1, le=100_000, strict=True)
    seed: int = Field(
        default=0, ge=0, lt=2**31, strict=True
    )  # splits count up from it; scikit-learn ends at 2**32
    splits: SplitPlan = SplitPlan()

    def settings(self) -> EnsembleSettings:
        """Return the settings of the ensemble."""
        return EnsembleSettings(
            members=self.members,
            encoder=MolSetsSettings(convolution=self.convolution),
            training=TrainingSettings(epochs=self.epochs),
        )
