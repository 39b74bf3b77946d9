"""A model aligned with a laboratory: the measurements, the choice and its reasons, a new model directory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from campaigns.row_models import check_finite, check_salts
from campaigns.screen import model_directory
from surrogates.aligned_model import AlignedModel, FittedModel, compare
from surrogates.alignment import FEWEST, Choice, align
from surrogates.alignment_card import AlignmentCard
from surrogates.checkpoints import ModelCard, load_card, load_model, save_model
from surrogates.errors import InputError, Problem
from surrogates.gp import MixtureGP
from surrogates.laboratories import Laboratories, default_laboratories
from surrogates.mixture_data import MixtureData
from surrogates.model_directories import check_free, model_hash
from surrogates.student import Student
from surrogates.tables import measured_mixtures
from surrogates.text_tables import read_text

_LOG = "log10_"


@dataclass(frozen=True)
class Aligned:
    """What came of an alignment.

    Attributes:
        choice: The correction and its rivals.
        laboratories: What was expected.
        card: What the model directory says of it.
        unknown: A sentence for each thing among the rows that the model does not know.
    """

    choice: Choice
    laboratories: Laboratories
    card: AlignmentCard
    unknown: tuple[str, ...]


def align_to_directory(
    model: str,
    measured: Path,
    out: Path,
    columns: Mapping[str, str],
    units: Mapping[str, str],
    console: Console,
) -> Aligned:
    """Align a model with measurements and write it as a new model directory, whole or not at all.

    Args:
        model: The name of a model of mixtures that ships, or a model directory.
        measured: CSV or Parquet, as a training file.
        out: The directory, new or empty.
        columns: The file's header for each of our column names that it calls otherwise.
        units: The file's unit for each of our column names that is in another.
        console: Where it is told what was read.

    Raises:
        InputError: If the model, the measurements or the directory cannot be used; nothing is written.
    """
    check_free(out)
    card, fitted = alignable(model)
    data = measured_mixtures(read_text(measured), fitted.target, columns, units)
    check_salts(fitted, data.batch, data.rows, data.source)
    for line in data.report:
        console.print(line, markup=False, soft_wrap=True)
    check_finite(fitted.bind(data.table).predict(data.batch), data.rows["row"], (fitted.target,), data.source)
    laboratories = card.laboratories or default_laboratories()
    choice = align(compare(fitted, data.table, data.batch, data.target), laboratories, data.source)
    about = _about(choice, laboratories, data, model_hash(model_directory(model)))
    save_model(AlignedModel(fitted, choice.alignment), card.model_copy(update={"alignment": about}), out)
    return Aligned(choice, laboratories, about, tuple(unknown(fitted, data)))


def alignable(model: str) -> tuple[ModelCard, FittedModel]:
    """Return the card and the ensemble of a model that can be aligned.

    Raises:
        InputError: If it cannot be loaded, is no ensemble, or predicts what is no logarithm.
    """
    directory = model_directory(model)
    card, fitted = load_card(directory), load_model(directory)
    if not isinstance(fitted, FittedModel):
        raise InputError(Problem(model, *_not_an_ensemble(fitted)))
    if not fitted.target.startswith(_LOG):
        wrong = f"the model predicts {fitted.target}; only a logarithm can be corrected by a factor"
        raise InputError(Problem(model, wrong, f"Train a model with a target that begins with {_LOG}."))
    return card, fitted


def _not_an_ensemble(model: MixtureGP | Student | AlignedModel) -> tuple[str, str]:
    """Return what is wrong with a model that cannot be aligned, and what to do."""
    if isinstance(model, AlignedModel):
        wrong = "the model is aligned with a laboratory already"
        return wrong, "Give the model it was made of, and all measurements at once."
    if isinstance(model, Student):
        return "the model stands for an ensemble", "Give that ensemble."
    return "the model is a Gaussian process", "Give an ensemble of networks."


def unknown(model: FittedModel, data: MixtureData) -> list[str]:
    """Return a sentence for each salt that training did not hold, and one for the rows far from training."""
    used = data.batch.salts[data.batch.molality > 0].unique().tolist()
    salts = [data.table.components[salt].smiles for salt in used]
    strange = [smiles for smiles in salts if smiles not in model.domain.salt_smiles]
    said = [f"The model was not trained on the salt {smiles}." for smiles in strange]
    known = model.domain.bind(data.table, model.features).holds(data.batch.to(torch.float32))
    if not known.all():
        far = (~known).nonzero()[:, 0]
        present = data.batch.solvents[far][data.batch.weights[far] > 0].unique().tolist()
        names = ", ".join(data.table.components[solvent].smiles for solvent in present)
        rows = ", ".join(str(data.rows["row"].iloc[int(row)]) for row in far)
        said.append(f"Not in the model's domain, and used all the same: rows {rows}, of {names}.")
    return said


def print_aligned(found: Aligned, console: Console) -> None:
    """Print how well each family foretells the rows, what was chosen and why, and what it comes to."""
    card = found.card
    table = Table(box=SIMPLE_HEAD, padding=(0, 2, 0, 0), show_edge=False)
    table.add_column("correction")
    table.add_column("log density of each row, foretold from the others, nats", justify="right")
    table.add_column("unseen papers that needed it", justify="right")
    for candidate in found.choice.candidates:
        score = (
            f"{candidate.score:.2f}"
            if candidate.score is not None
            else f"needs {FEWEST[candidate.family]} rows"
        )
        table.add_row(candidate.family, score, f"{candidate.odds:.0%}")
    console.print(table)
    lines = [found.choice.why()]
    if card.family != "none":
        mean, low, high = card.factor
        lines.append(
            f"Your laboratory reads {mean:.2f} ({low:.2f} to {high:.2f}) of the model, over its rows."
        )
    if card.rows_set_aside:
        rows = ", ".join(map(str, card.rows_set_aside))
        lines.append(f"Set aside, too far from the model for how far the others are: rows {rows}.")
    lines.append(f"What was expected: {found.laboratories.source}.")
    for line in (*lines, *found.unknown):
        console.print(line, soft_wrap=True, markup=False)


def _about(choice: Choice, laboratories: Laboratories, data: MixtureData, model_sha256: str) -> AlignmentCard:
    alignment = choice.alignment
    row: pd.Series[int] = data.rows["row"]
    mean, low, high = (10**value for value in alignment.overall())
    return AlignmentCard(
        family=alignment.family,
        prior=alignment.prior,
        laboratories=laboratories.source,
        candidates=choice.candidates,
        factor=(mean, low, high),
        variance_factor=alignment.variance_factor,
        source=data.source,
        sha256=data.sha256,
        rows=len(data),
        rows_set_aside=tuple(row[~alignment.used.numpy()].tolist()),
        model_sha256=model_sha256,
    )
