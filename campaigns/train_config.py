"""The YAML of a training: which data, which splits, which network.

Counts are strict, for `yes` is a number to Python, and bounded, for a slip of the hand fills the memory.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, model_validator

from campaigns.config import STRICT
from campaigns.discharge_judging import DischargeRival
from campaigns.judging import SURROGATES, Rival
from surrogates.checkpoints import Surrogate
from surrogates.discharge_models import DischargeSurrogate
from surrogates.discharge_training import ProfileSettings
from surrogates.distillation import DistillationSettings
from surrogates.encoders.convolutions import ConvolutionName
from surrogates.encoders.drxnet import DRXNetSettings
from surrogates.encoders.mixture_law import LawName
from surrogates.encoders.molsets import MolSetsSettings
from surrogates.ensemble import EnsembleSettings
from surrogates.law_ensemble import LawSettings
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
    """On how many splits the model is judged; 0 leaves a kind out.

    Attributes:
        random: Rows drawn at random.
        mixture: Mixtures drawn at random, each with all its rows.
        solvent: An unseen solvent in each test row.
        paper: Papers that are left out one after the other, the largest first, of data that name them.
        trained_up_to_K: Highest temperature to train on; hotter rows test.
        test_fraction: Share of the rows that test in the first three.
    """

    model_config = STRICT

    random: int = Field(default=10, ge=0, le=1000, strict=True)
    mixture: int = Field(default=0, ge=0, le=1000, strict=True)
    solvent: int = Field(default=10, ge=0, le=1000, strict=True)
    paper: int = Field(default=0, ge=0, le=1000, strict=True)
    trained_up_to_K: float | None = Field(default=None, gt=0.0)
    test_fraction: float = Field(default=0.2, gt=0.0, lt=0.5)


class TrainConfig(BaseModel):
    """A training.

    Attributes:
        data: What to learn from.
        target: What was measured, as a column or a data set names it.
        encoder: `molsets`, or `diffmix`, which says how the logarithm of a property depends on temperature.
        law: Of `diffmix`, see `MixtureLaw`.
        facts: Whether `diffmix` is told facts of solvents and anions beside their graphs.
        convolution: Of `molsets`.
        surrogate: What stands on an ensemble's encoders: their own heads (`ensemble`), a Gaussian process
            (`gp`), or one that is trained together with an encoder (`deep-kernel`). `best` judges all three.
        beside: What else is judged on the same splits: `forest` or another surrogate; of `diffmix` also
            `no-law` and `no-law-log`, which are DiffMix with `law: none` and `law: log`, and `fingerprint`.
        members: Of the ensemble.
        epochs: Passes over the rows; by default the encoder's.
        seed: Of everything.
        splits: On which the model is judged.
    """

    model_config = STRICT

    data: DataSource
    target: str = "log10_conductivity_S_cm"
    encoder: Literal["molsets", "diffmix"] = "molsets"
    law: LawName | None = None
    facts: bool | None = None
    convolution: ConvolutionName | None = None
    surrogate: Surrogate | Literal["best"] = "ensemble"
    beside: tuple[Rival, ...] = ("forest",)
    members: int = Field(default=5, ge=2, le=100, strict=True)
    epochs: int | None = Field(default=None, ge=1, le=100_000, strict=True)
    seed: int = Field(
        default=0, ge=0, lt=2**31, strict=True
    )  # splits count up from it; scikit-learn ends at 2**32
    splits: SplitPlan = SplitPlan()

    @model_validator(mode="after")
    def _fits_the_encoder(self) -> TrainConfig:
        if self.encoder == "molsets" and self.law is not None:
            raise ValueError("a law belongs to encoder: diffmix")
        if self.encoder == "molsets" and self.facts is not None:
            raise ValueError("facts belong to encoder: diffmix; molsets has descriptors")
        theirs = [rival for rival in self.beside if rival not in (*SURROGATES, "gp-variational", "forest")]
        if self.encoder == "molsets" and theirs:
            raise ValueError(
                f"{', '.join(theirs)} in beside belongs to encoder: diffmix; molsets stands beside "
                f"{', '.join((*SURROGATES, 'gp-variational', 'forest'))}"
            )
        if self.encoder == "diffmix" and self.convolution is not None:
            raise ValueError("diffmix has GraphConv; convolution belongs to encoder: molsets")
        return self

    def settings(self) -> EnsembleSettings | LawSettings:
        """Return the settings of the ensemble."""
        if self.encoder == "diffmix":
            default = LawSettings()
            told = default.encoder.facts if self.facts is None else self.facts
            return LawSettings(
                members=self.members,
                encoder=replace(default.encoder, law=self.law or "vft", facts=told),
                training=replace(default.training, epochs=self.epochs or default.training.epochs),
            )
        return EnsembleSettings(
            members=self.members,
            encoder=MolSetsSettings(convolution=self.convolution or "GraphConv"),
            training=TrainingSettings(epochs=self.epochs or TrainingSettings.epochs),
        )


class DistillationConfig(BaseModel):
    """A distillation of the published DRXNet.

    Attributes:
        teachers: `drxnet-published`, or the directory of its weights, relative to the job.
        conditions: Sampled to teach.
        unseen: Sampled for the errors.
        epochs: Passes over the sample.
        seed: Of everything.
    """

    model_config = STRICT

    teachers: str
    conditions: int = Field(default=DistillationSettings.conditions, ge=100, le=10_000_000, strict=True)
    unseen: int = Field(default=DistillationSettings.unseen, ge=100, le=1_000_000, strict=True)
    epochs: int = Field(default=DistillationSettings().training.epochs, ge=1, le=100_000, strict=True)
    seed: int = Field(default=0, ge=0, lt=2**31, strict=True)

    def settings(self) -> DistillationSettings:
        """Return the settings of the distillation."""
        training = replace(DistillationSettings().training, epochs=self.epochs)
        return DistillationSettings(conditions=self.conditions, unseen=self.unseen, training=training)


class ProfileSource(BaseModel):
    """A file of discharge profiles, with what its headers mean."""

    model_config = STRICT

    file: Path
    columns: dict[str, str] = Field(default_factory=dict)


class ProfileConfig(BaseModel):
    """A training on discharge profiles.

    Attributes:
        profiles: What to learn from.
        surrogate: What is kept: the ensemble, or a Gaussian process of the capacity on its embedding.
        beside: What else is judged on the same splits; the ensemble always is.
        members: Of the ensemble.
        steps: Of the optimiser.
        monotonic: Whether charge is zero at V_high and never falls as the voltage falls.
        splits: On how many splits the model is judged.
        test_fraction: Share of the compositions, or profiles, that test.
        seed: Of everything.
    """

    model_config = STRICT

    profiles: ProfileSource
    surrogate: DischargeSurrogate = "ensemble"
    beside: tuple[DischargeRival, ...] = ()
    members: int = Field(default=ProfileSettings.members, ge=2, le=100, strict=True)
    steps: int = Field(default=ProfileSettings.steps, ge=1, le=1_000_000, strict=True)
    monotonic: bool = True
    splits: int = Field(default=3, ge=0, le=1000, strict=True)
    test_fraction: float = Field(default=0.2, gt=0.0, lt=0.5)
    seed: int = Field(default=0, ge=0, lt=2**31, strict=True)

    def settings(self) -> ProfileSettings:
        """Return the settings of the ensemble."""
        network = DRXNetSettings(monotonic=self.monotonic)
        return ProfileSettings(members=self.members, steps=self.steps, network=network)

    def judged(self) -> tuple[DischargeRival, ...]:
        """Return what is judged, each once, the ensemble first."""
        every: tuple[DischargeRival, ...] = ("ensemble", self.surrogate, *self.beside)
        return tuple(dict.fromkeys(every))
