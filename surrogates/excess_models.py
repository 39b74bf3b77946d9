"""A fitted ensemble for excess properties, and the model directory it is kept in."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from surrogates.atom_features import atom_features
from surrogates.blends import BlendBatch
from surrogates.checkpoints import ScoreRow
from surrogates.encoders.diffmix_excess import DiffMixExcessSettings, excess_network
from surrogates.excess_data import ExcessData
from surrogates.members import Members
from surrogates.model_directories import WEIGHTS, read_card, unreadable, write_directory
from surrogates.molecules import MoleculeTable
from surrogates.prediction import Calibration, Prediction

_MARGIN_K = 0.5
"""By how much a temperature may lie outside the training range: files round differently."""


@dataclass(frozen=True)
class ExcessDomain:
    """What an ensemble knows.

    Attributes:
        pairs: Of molecules that training mixtures hold, canonical SMILES, sorted.
        temperature_K: Lowest and highest in training.
    """

    pairs: tuple[tuple[str, str], ...]
    temperature_K: tuple[float, float]

    @staticmethod
    def of(data: ExcessData) -> ExcessDomain:
        """Return the domain of measurements."""
        smiles = [component.smiles for component in data.table.components]
        pairs = {tuple(sorted((smiles[a], smiles[b]))) for a, b in data.molecules.unique(dim=0).tolist()}
        t = data.temperature_K
        return ExcessDomain(tuple(sorted((a, b) for a, b in pairs)), (float(t.min()), float(t.max())))

    def holds(self, table: MoleculeTable, batch: BlendBatch) -> Tensor:
        """Return whether all molecules of a mixture have met in training, at such temperatures, `n`, bool."""
        smiles = [component.smiles for component in table.components]
        met = torch.eye(len(table), dtype=torch.bool)
        for a, b in combinations(range(len(table)), 2):
            met[a, b] = met[b, a] = tuple(sorted((smiles[a], smiles[b]))) in self.pairs
        there = batch.x > 0
        apart = ~(there[:, :, None] & there[:, None, :])
        known = met[batch.molecules[:, :, None], batch.molecules[:, None, :]] | apart
        low, high = self.temperature_K
        warm = (batch.temperature_K >= low - _MARGIN_K) & (batch.temperature_K <= high + _MARGIN_K)
        return known.all(2).all(1) & warm


@dataclass(frozen=True)
class ExcessEnsemble:
    """A fitted ensemble, for mixtures of any molecules without a salt.

    Attributes:
        members: The networks; what they say is in units of `scale`.
        calibration: What makes the variances and the interval true.
        domain: What it knows.
        target: Name of the target with its unit.
        scale: Standard deviation of the target in training.
    """

    members: Members
    calibration: Calibration
    domain: ExcessDomain
    target: str
    scale: float

    def predict(
        self, table: MoleculeTable, molecules: Tensor, x: Tensor, temperature_K: Tensor
    ) -> Prediction:
        """Return mean and variance for mixtures of any number of molecules.

        Args:
            table: The molecules.
            molecules: `n x k`, int64, rows of the table; any row where `x` is 0.
            x: `n x k`, mole fractions, rows sum to 1.
            temperature_K: `n`, K.
        """
        batch = BlendBatch.of(molecules, x.float(), temperature_K.float())
        with torch.no_grad():
            mean, variance = self.members.each("forward", table, atom_features(table), batch)
        unit = self.scale**2
        epistemic, aleatoric = self.calibration.apply(
            mean.double().var(0) * unit, variance.double().mean(0) * unit
        )
        return Prediction(
            mean=(mean.double().mean(0) * self.scale).float(),
            epistemic=epistemic.float(),
            aleatoric=aleatoric.float(),
            in_domain=self.domain.holds(table, batch),
            interval_factor=torch.full((len(x),), self.calibration.interval_factor),
        )


class ExcessCard(BaseModel):
    """What an excess model is, what it was trained on, and how good it was.

    Attributes:
        kind: That it is one.
        format: Of the directory.
        target: Name of the target with its unit.
        scale: Standard deviation of the target in training.
        network: Settings of each member.
        members: Their number.
        calibration: What makes the variances and the interval true.
        domain: What it knows.
        data: Source, hash, rows, licence, citation, and what the loader did.
        seed: Of the training.
        versions: Of the software.
        scores: On splits; of the rows, the model itself has held out a tenth.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    kind: Literal["excess"] = "excess"
    format: Literal[1] = 1
    target: str
    scale: float
    network: DiffMixExcessSettings
    members: int = Field(ge=2)
    calibration: Calibration
    domain: ExcessDomain
    data: dict[str, Any]
    seed: int
    versions: dict[str, str]
    scores: tuple[ScoreRow, ...]


def save_excess_model(ensemble: ExcessEnsemble, card: ExcessCard, directory: Path) -> None:
    """Write a model directory, whole or not at all.

    Raises:
        InputError: If something stands there already, or it cannot be written.
    """
    write_directory(ensemble.members.state(), card, directory)


def load_excess_model(directory: Path) -> ExcessEnsemble:
    """Read a model directory.

    Raises:
        InputError: If a file is missing, damaged or of another kind of model.
    """
    card = read_card(directory, ExcessCard)
    path = directory / WEIGHTS
    try:
        state = load(path.read_bytes())
        for name, tensor in state.items():
            if not tensor.isfinite().all():
                raise ValueError(f"{name} holds a number that is not finite")
        members = Members.of([excess_network(card.network)] * card.members).with_state(state)
    except OSError as error:
        raise unreadable(path, os.strerror(error.errno or 0)) from None
    except (SafetensorError, RuntimeError, ValueError) as error:
        raise unreadable(path, str(error)) from None
    except KeyError as error:
        raise unreadable(path, f"there is no tensor {error}") from None
    return ExcessEnsemble(members[:], card.calibration, card.domain, card.target, card.scale)
