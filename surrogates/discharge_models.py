"""Models of discharge by name or directory: the one that ships, the published one, a user's own."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from surrogates import datasets
from surrogates.composition_batches import CompositionBatch, CompositionTable
from surrogates.conditions import PUBLISHED_RANGES
from surrogates.discharge_domain import DischargeDomain, published_domain
from surrogates.discharge_gp import CapacityPredictor, DischargeGP
from surrogates.discharge_objectives import DischargePredictor, Objective
from surrogates.encoders.drxnet import PUBLISHED, DRXNet, DRXNetSettings
from surrogates.encoders.drxnet_published import load_published
from surrogates.errors import InputError, Problem
from surrogates.members import Members
from surrogates.model_directories import WEIGHTS, read_card, unreadable, write_directory
from surrogates.prediction import Calibration

DischargeSurrogate = Literal["ensemble", "gp"]
"""Who answers: the members' own heads, or a Gaussian process on their embeddings."""
DISTILLED, PUBLISHED_NAME = "drxnet-distilled", "drxnet-published"
_PREFIX = "members."


class CapacityScores(BaseModel):
    """Scores of what one surrogate said of capacities on one kind of split; `None` where there is none.

    Attributes:
        tested: What no training profile shares with a test profile.
        model: Which.
        repeats: Number of splits.
        mean: Of each score of `surrogates.calibration.scores`, over the splits.
        std: Likewise.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    tested: str
    model: str
    repeats: int
    mean: dict[str, float | None]
    std: dict[str, float | None]


class DischargeCard(BaseModel):
    """What a discharge model is, what it was trained on, and how good it was.

    Attributes:
        kind: That it is one.
        format: Of the directory.
        name: What the model is called.
        settings: Of its networks.
        members: Their number.
        surrogate: Who answers.
        calibration: Of a process; an ensemble of discharge has none.
        domain: What it knows.
        data: What it was trained on: source, licence, citation, and what was done to it.
        seed: Of the training.
        versions: Of the software.
        errors: Of the ensemble, on what it was not trained on.
        scores: Of the capacity of each surrogate that was judged, on each kind of split.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    kind: Literal["discharge"] = "discharge"
    format: Literal[1] = 1
    name: str
    settings: DRXNetSettings
    members: int = Field(ge=2)
    surrogate: DischargeSurrogate = "ensemble"
    calibration: Calibration | None = None
    domain: DischargeDomain
    data: dict[str, Any]
    seed: int
    versions: dict[str, str]
    errors: dict[str, Any]
    scores: tuple[CapacityScores, ...] = ()


@dataclass(frozen=True)
class DischargeEnsemble:
    """A model of discharge profiles.

    Attributes:
        members: `K` networks of `DRXNet`, float32; see `surrogates.discharge` for what they say.
        card: Where they come from and what they know.
    """

    members: Members
    card: DischargeCard

    def in_domain(self, table: CompositionTable, batch: CompositionBatch, embedding: Tensor) -> Tensor:
        """Return whether the model knows each composition, `n`, bool; see `DischargeDomain.holds`."""
        return self.card.domain.holds(self.members, table, batch, embedding)

    def bind(self, table: CompositionTable, objectives: tuple[Objective, ...]) -> DischargePredictor:
        """Return the predictor of some objectives for compositions of these elements."""
        picklable = replace(self.card.domain, ranges=dict(self.card.domain.ranges))
        return DischargePredictor(self.members, picklable, table, objectives)

    def sha256(self) -> str:
        """Return the hash of the members."""
        return self.members.sha256()


@dataclass(frozen=True)
class DischargeProcess:
    """A model of capacities alone.

    Attributes:
        gp: The process, with the members that embed compositions.
        card: Where it comes from and what it knows.
    """

    gp: DischargeGP
    card: DischargeCard

    def bind(self, table: CompositionTable, objectives: tuple[Objective, ...]) -> CapacityPredictor:
        """Return the predictor of capacities for compositions of these elements.

        Raises:
            InputError: With every objective that is no capacity.
        """
        mend = "Ask for capacity, or give a model trained with surrogate: ensemble."
        problems = [
            Problem(
                f'objective "{one.name}"',
                f"{one.quantity} was asked; {self.card.name}, a Gaussian process, says capacity alone",
                mend,
            )
            for one in objectives
            if one.quantity != "capacity"
        ]
        if problems:
            raise InputError(problems)
        return self.gp.bind(table, objectives)

    def sha256(self) -> str:
        """Return the hash of members and process."""
        return hashlib.sha256(self.gp.members.sha256().encode() + save(self.gp.tensors())).hexdigest()


AnyDischargeModel = DischargeEnsemble | DischargeProcess


def discharge_ensemble(model: str | Path, data_dir: Path | None = None) -> DischargeEnsemble:
    """Return what `discharge_model` does, if it says whole profiles.

    Raises:
        InputError: If there is no such model, it cannot be read, or it is a Gaussian process.
    """
    found = discharge_model(model, data_dir)
    if isinstance(found, DischargeEnsemble):
        return found
    wrong = (
        "this is a Gaussian process, which says capacity alone; an ensemble, which says profiles, is needed"
    )
    raise InputError(Problem(f'model "{model}"', wrong, "Give a model trained with surrogate: ensemble."))


def discharge_model(model: str | Path, data_dir: Path | None = None) -> AnyDischargeModel:
    """Return a model by its name or from its directory.

    Args:
        model: `drxnet-distilled`, `drxnet-published` or, with a separator, a directory that
            `activelearn train` wrote.
        data_dir: Where the published weights are looked for first.

    Raises:
        InputError: If there is no such model, it is damaged, or it cannot be fetched.
    """
    if isinstance(model, Path) or "/" in model or "\\" in model:
        return load_discharge_model(Path(model))
    if model == PUBLISHED_NAME:
        return published_model(data_dir)
    if model == DISTILLED:
        return load_discharge_model(Path(str(files("surrogates") / "pretrained" / DISTILLED)))
    wrong = f"no model has this name; there are {DISTILLED} and {PUBLISHED_NAME}"
    mend = f"To name a directory of your own, write ./{model}."
    raise InputError(Problem(f'model "{model}"', wrong, mend))


def published_model(data_dir: Path | None = None) -> DischargeEnsemble:
    """Return the published networks, fetched where need be.

    Raises:
        InputError: If they cannot be fetched or are not the published ones.
    """
    entry = datasets.dataset(PUBLISHED_NAME)
    members = load_published(datasets.fetch(entry, data_dir))
    card = DischargeCard(
        name=PUBLISHED_NAME,
        settings=PUBLISHED,
        members=len(members),
        domain=published_domain(members, PUBLISHED_RANGES),
        data={"source": entry.what, "licence": entry.licence, "citation": entry.citation}
        | {"url": [file.url for file in entry.files], "sha256": [file.sha256 for file in entry.files]},
        seed=0,
        versions={},
        errors={},
    )
    return DischargeEnsemble(members, card)


def save_discharge_model(model: AnyDischargeModel, directory: Path) -> None:
    """Write a model directory, whole or not at all.

    Raises:
        InputError: If something stands there already, or it cannot be written.
    """
    members = model.gp.members if isinstance(model, DischargeProcess) else model.members
    tensors = {_PREFIX + name: tensor for name, tensor in members.state().items()}
    if isinstance(model, DischargeProcess):
        tensors |= model.gp.tensors()
    write_directory(tensors, model.card, directory)


def load_discharge_model(directory: Path) -> AnyDischargeModel:
    """Read a model directory.

    Raises:
        InputError: If a file is missing, damaged or of another kind of model.
    """
    card = read_card(directory, DischargeCard)
    path = directory / WEIGHTS
    try:
        tensors = load(path.read_bytes())
        _check_finite(tensors)
        state = {name.removeprefix(_PREFIX): tensor.float() for name, tensor in tensors.items()}
        members = Members.of([DRXNet(card.settings)] * card.members).with_state(state)[:]
        if card.surrogate == "gp":
            if card.calibration is None:
                raise ValueError("its card holds no calibration")
            gp = DischargeGP.of_tensors(tensors, members, card.domain, card.calibration)
            return DischargeProcess(gp, card)
    except OSError as error:
        raise unreadable(path, os.strerror(error.errno or 0)) from None
    except (SafetensorError, RuntimeError, ValueError, IndexError) as error:
        raise unreadable(path, str(error)) from None
    except KeyError as error:
        raise unreadable(path, f"there is no tensor {error}") from None
    return DischargeEnsemble(members, card)


def _check_finite(tensors: Mapping[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise ValueError(f"{name.removeprefix(_PREFIX)} holds a number that is not finite")
