"""The model directory of a model for mixtures, of either encoder: what its tensors and its card hold."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
import torch
from pydantic import BaseModel, ConfigDict, Discriminator, Tag
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from surrogates.aligned_model import AlignedModel
from surrogates.alignment_card import AlignmentCard, alignment_of, alignment_tensors
from surrogates.descriptors import descriptor_names
from surrogates.domain import Domain
from surrogates.encoders.diffmix import DiffMix
from surrogates.encoders.molsets import MolSets
from surrogates.ensemble import EnsembleSettings, MixtureEnsemble
from surrogates.errors import InputError, Problem
from surrogates.features import MoleculeFeatures
from surrogates.gp import MixtureGP
from surrogates.laboratories import Laboratories
from surrogates.law_ensemble import LawEnsemble, LawSettings
from surrogates.members import Members
from surrogates.model_directories import WEIGHTS, read_card, unreadable, write_directory
from surrogates.prediction import Calibration
from surrogates.student import VARIANCES, Student
from surrogates.student_card import StandsFor

MixtureModel = MixtureEnsemble | LawEnsemble | MixtureGP
Surrogate = Literal["ensemble", "gp", "deep-kernel"]
"""What stands on the encoders: their own heads, or a Gaussian process."""
SHIPPED = ("molsets-conductivity", "diffmix-calisol")
"""Names of the models of conductivity that ship; the first is at 298 K."""
_FEATURES = ("shift", "scale", "centre", "components")
_DOMAIN = ("solvent_scale", "salt_scale", "mixtures", "mixture_salt", "salts")


def _encoder(settings: Any) -> str:
    """Return whose settings these are, read or made; only DiffMix has a law."""
    encoder = settings.get("encoder") if isinstance(settings, dict) else getattr(settings, "encoder", None)
    has_law = "law" in encoder if isinstance(encoder, dict) else hasattr(encoder, "law")
    return "diffmix" if has_law else "molsets"


class ScoreRow(BaseModel):
    """Scores of one model on one kind of split; `None` where a score does not exist.

    Attributes:
        splits: What no training row shares with a test row: `random`, `mixture`, `solvent`, `paper`, or how
            much hotter the test rows are.
        model: Which.
        repeats: Number of splits.
        mean: Of each score, over the splits.
        std: Likewise.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    splits: str
    model: str
    repeats: int
    mean: dict[str, float | None]
    std: dict[str, float | None]


class ModelCard(BaseModel):
    """What a model is, what it was trained on, and how good it was.

    Attributes:
        format: Of the directory.
        target: Name of the target with its unit.
        shift: Mean of the target in training.
        scale: Standard deviation of the target in training.
        settings: Of the ensemble, or of the student.
        surrogate: What stands on its encoders; below a deep kernel there is one.
        calibration: What makes the variances and the interval true.
        salts: Canonical SMILES of the training salts.
        molality_mol_kg: Lowest and highest of all salts together in training.
        temperature_K: Lowest and highest in training.
        domain_threshold: Distance beyond which a mixture counts as unknown.
        descriptors_sha256: Of the names of the descriptors, in order.
        data: Source, hash, rows, licence, citation, and what the loader did.
        seed: Of the training.
        versions: Of the software.
        scores: On splits; the model itself has seen all rows.
        stands_for: Of a student, which ensemble it learnt from; None of an ensemble.
        laboratories: How far papers were from ensembles that had not seen them, if enough were judged.
        alignment: Of a model that is aligned with a laboratory, how.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    format: Literal[1] = 1
    target: str
    shift: float
    scale: float
    settings: Annotated[
        Annotated[EnsembleSettings, Tag("molsets")] | Annotated[LawSettings, Tag("diffmix")],
        Discriminator(_encoder),
    ]
    surrogate: Surrogate = "ensemble"
    calibration: Calibration
    salts: tuple[str, ...]
    molality_mol_kg: tuple[float, float]
    temperature_K: tuple[float, float]
    domain_threshold: float
    descriptors_sha256: str
    data: dict[str, Any]
    seed: int
    versions: dict[str, str]
    scores: tuple[ScoreRow, ...]
    stands_for: StandsFor | None = None
    laboratories: Laboratories | None = None
    alignment: AlignmentCard | None = None


def card_of(
    model: MixtureModel,
    settings: EnsembleSettings | LawSettings,
    data: Mapping[str, Any],
    seed: int,
    versions: Mapping[str, str],
    scores: tuple[ScoreRow, ...],
    stands_for: StandsFor | None = None,
    laboratories: Laboratories | None = None,
) -> ModelCard:
    """Return the card of a fitted model, or of a student's network."""
    ensemble = encoder_of(model)
    return ModelCard(
        target=ensemble.target,
        shift=ensemble.shift,
        scale=ensemble.scale,
        settings=settings,
        surrogate=model.surrogate if isinstance(model, MixtureGP) else "ensemble",
        calibration=model.calibration,
        salts=ensemble.domain.salt_smiles,
        molality_mol_kg=ensemble.domain.molality,
        temperature_K=ensemble.domain.temperature_K,
        domain_threshold=ensemble.domain.threshold,
        descriptors_sha256=_descriptors_hash(),
        data=dict(data),
        seed=seed,
        versions=dict(versions),
        scores=scores,
        stands_for=stands_for,
        laboratories=laboratories,
    )


def save_model(
    model: MixtureModel | AlignedModel,
    card: ModelCard,
    directory: Path,
    held_out: pd.DataFrame | None = None,
) -> None:
    """Write a model directory, whole or not at all.

    Args:
        model: The model.
        card: Its card.
        directory: New or empty.
        held_out: What was said of rows that no training saw; kept beside the model, if there are any.

    Raises:
        InputError: If something stands there already, or it cannot be written.
    """
    aligned = {}
    if isinstance(model, AlignedModel):
        aligned, model = alignment_tensors(model.alignment), model.model
    ensemble = encoder_of(model)
    tensors = {f"members.{name}": tensor for name, tensor in ensemble.members.state().items()}
    tensors |= {f"features.{name}": getattr(ensemble.features, name) for name in _FEATURES}
    tensors |= {f"domain.{name}": getattr(ensemble.domain, name) for name in _DOMAIN}
    if isinstance(model, MixtureGP):
        tensors |= model.tensors()
    write_directory(tensors | aligned, card, directory, held_out)


def encoder_of(model: MixtureModel) -> MixtureEnsemble | LawEnsemble:
    """Return the ensemble itself, or the one on whose encoders a Gaussian process stands."""
    return model.encoder if isinstance(model, MixtureGP) else model


def load_card(directory: Path) -> ModelCard:
    """Read the card of a model directory.

    Raises:
        InputError: If it is missing or is not a card.
    """
    return read_card(directory, ModelCard)


def load_model(directory: Path) -> MixtureModel | Student | AlignedModel:
    """Read a model directory.

    Raises:
        InputError: If a file is missing or damaged, or this RDKit has other descriptors.
    """
    card = load_card(directory)
    path = directory / WEIGHTS
    if card.descriptors_sha256 != _descriptors_hash():
        wrong = "this RDKit computes other descriptors than the one the model was trained with"
        mend = f"Install rdkit {card.versions.get('rdkit', 'as constraints.txt pins it')}, or train again."
        raise InputError(Problem(str(directory), wrong, mend))
    try:
        tensors = load(path.read_bytes())
        _check_shapes(tensors, card)
        ensemble = _ensemble(tensors, card)
        if card.stands_for is not None:
            return Student(ensemble, card.stands_for.space)
        if card.alignment is not None:
            return AlignedModel(ensemble, alignment_of(tensors, card.alignment))
        if card.surrogate == "ensemble":
            return ensemble
        return MixtureGP.of_tensors(tensors, ensemble, card.calibration)
    except OSError as error:
        raise unreadable(path, os.strerror(error.errno or 0)) from None
    except (SafetensorError, RuntimeError, ValueError, TypeError, IndexError) as error:
        raise unreadable(path, str(error)) from None
    except KeyError as error:
        raise unreadable(path, f"there is no tensor {error}") from None


def _ensemble(tensors: Mapping[str, Tensor], card: ModelCard) -> MixtureEnsemble | LawEnsemble:
    """Return the ensemble, or what a process or a student has in its place, from tensors of checked shapes.

    Raises:
        KeyError: If one of the members' is missing.
        ValueError: If one does not fit the network.
    """
    features = MoleculeFeatures(*(tensors[f"features.{name}"] for name in _FEATURES))
    network = network_of(card.settings, features.width, 1 if card.stands_for is None else VARIANCES)
    prefix = "members."
    state = {n.removeprefix(prefix): tensor for n, tensor in tensors.items() if n.startswith(prefix)}
    count = 1 if card.surrogate == "deep-kernel" else card.settings.members
    members = Members.of([network] * count).with_state(state)
    fitted = LawEnsemble if isinstance(card.settings, LawSettings) else MixtureEnsemble
    return fitted(
        members=Members(members.network, *(_detached(t) for t in (members.parameters, members.buffers))),
        features=features,
        domain=Domain(
            **{name: tensors[f"domain.{name}"] for name in _DOMAIN},
            salt_smiles=card.salts,
            molality=card.molality_mol_kg,
            temperature_K=card.temperature_K,
            threshold=card.domain_threshold,
        ),
        calibration=card.calibration,
        target=card.target,
        shift=card.shift,
        scale=card.scale,
    )


def network_of(settings: EnsembleSettings | LawSettings, width: int, variances: int = 1) -> nn.Module:
    """Return a network of these sizes, set to predict.

    Args:
        settings: Of the ensemble.
        width: Features of a molecule.
        variances: That the network says.
    """
    if isinstance(settings, LawSettings):
        return DiffMix(settings.encoder, variances).eval()
    return MolSets(settings.encoder, width, variances).eval()


def takes_one_salt(model: object) -> bool:
    """Return whether an ensemble of mixtures, or what stands on one, takes exactly one salt a mixture."""
    if isinstance(model, Student):
        model = model.network
    elif isinstance(model, MixtureGP):
        model = model.encoder
    elif isinstance(model, AlignedModel):
        model = model.model
    return isinstance(model, MixtureEnsemble)


def _check_shapes(tensors: Mapping[str, Tensor], card: ModelCard) -> None:
    """Check the tensors of features and domain; those of members are checked against the network.

    Raises:
        KeyError: If one is missing.
        ValueError: If one has another shape, points to a salt that is not there, or is not finite.
    """
    p, r, t = len(descriptor_names()), len(tensors["domain.mixtures"]), len(card.salts)
    c = tensors["features.components"].shape[-1]
    width = c + 2
    expected: dict[str, tuple[int, ...]] = {
        "features.shift": (p,),
        "features.scale": (p,),
        "features.centre": (p,),
        "features.components": (p, c),
        "domain.solvent_scale": (width,),
        "domain.salt_scale": (width,),
        "domain.mixtures": (r, width),
        "domain.mixture_salt": (r,),
        "domain.salts": (t, width),
    }
    for name, shape in expected.items():
        if tuple(tensors[name].shape) != shape:
            raise ValueError(f"{name} is {tuple(tensors[name].shape)}, not {shape}")
    salt = tensors["domain.mixture_salt"]
    if salt.dtype != torch.int64 or not ((salt >= -1) & (salt < t)).all():  # -1: without salt
        raise ValueError(f"domain.mixture_salt does not number the {t} salts of the card")
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise ValueError(f"{name} holds a number that is not finite")


def _detached(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().to(torch.get_default_dtype()) for name, tensor in tensors.items()}


def _descriptors_hash() -> str:
    return hashlib.sha256(json.dumps(descriptor_names()).encode()).hexdigest()
