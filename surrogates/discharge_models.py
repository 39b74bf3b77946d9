"""Models of discharge by name or directory: the one that ships, the published one, a user's own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from surrogates import datasets
from surrogates.composition_batches import CompositionBatch, CompositionTable
from surrogates.conditions import PUBLISHED_RANGES
from surrogates.discharge_domain import DischargeDomain, published_domain
from surrogates.encoders.drxnet import PUBLISHED, DRXNet, DRXNetSettings
from surrogates.encoders.drxnet_published import load_published
from surrogates.errors import InputError, Problem
from surrogates.members import Members
from surrogates.model_directories import WEIGHTS, read_card, unreadable, write_directory

DISTILLED, PUBLISHED_NAME = "drxnet-distilled", "drxnet-published"
_PREFIX = "members."


class DischargeCard(BaseModel):
    """What a discharge model is, what it was trained on, and how good it was.

    Attributes:
        kind: That it is one.
        format: Of the directory.
        name: What the model is called.
        settings: Of its networks.
        members: Their number.
        domain: What it knows.
        data: What it was trained on: source, licence, citation, and what was done to it.
        seed: Of the training.
        versions: Of the software.
        errors: On what it was not trained on.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    kind: Literal["discharge"] = "discharge"
    format: Literal[1] = 1
    name: str
    settings: DRXNetSettings
    members: int = Field(ge=2)
    domain: DischargeDomain
    data: dict[str, Any]
    seed: int
    versions: dict[str, str]
    errors: dict[str, Any]


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


def discharge_model(model: str | Path, data_dir: Path | None = None) -> DischargeEnsemble:
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


def save_discharge_model(model: DischargeEnsemble, directory: Path) -> None:
    """Write a model directory, whole or not at all.

    Raises:
        InputError: If something stands there already, or it cannot be written.
    """
    tensors = {_PREFIX + name: tensor for name, tensor in model.members.state().items()}
    write_directory(tensors, model.card, directory)


def load_discharge_model(directory: Path) -> DischargeEnsemble:
    """Read a model directory.

    Raises:
        InputError: If a file is missing, damaged or of another kind of model.
    """
    card = read_card(directory, DischargeCard)
    path = directory / WEIGHTS
    try:
        tensors = load(path.read_bytes())
        state = {name.removeprefix(_PREFIX): tensor for name, tensor in tensors.items()}
        members = Members.of([DRXNet(card.settings)] * card.members).with_state(_finite(state))
    except OSError as error:
        raise unreadable(path, os.strerror(error.errno or 0)) from None
    except (SafetensorError, RuntimeError, ValueError, IndexError) as error:
        raise unreadable(path, str(error)) from None
    except KeyError as error:
        raise unreadable(path, f"there is no tensor {error}") from None
    return DischargeEnsemble(members[:], card)


def _finite(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    for name, tensor in state.items():
        if not tensor.isfinite().all():
            raise ValueError(f"{name} holds a number that is not finite")
    return {name: tensor.to(torch.float32) for name, tensor in state.items()}
