"""From measurements to the experiments to do next: a YAML file and CSV in, CSV out."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from torch import Tensor

from activelearn.acquisition import WORDS
from activelearn.asked import Asked, Proposals
from activelearn.chemical_constraints import MixtureVariables
from activelearn.constraints import Constraints
from activelearn.experiments import Experiments, Listed, MixtureModel
from activelearn.propose import propose
from activelearn.screening import Engine
from activelearn.spaces import MixtureSpace
from campaigns.constrained_list import ConstrainedSpace
from campaigns.constraint_config import ConstraintsConfig
from campaigns.predict import check_all_free, check_suffix, write_table
from campaigns.propose_config import Fractions, ProposeConfig
from campaigns.row_models import AnyMixtureModel, check_finite, check_salts
from campaigns.screen import mixture_facts, model_directory
from campaigns.screen_record import estimate_columns
from campaigns.stopping import NEXT_TO_NOTHING, is_hopeless, worth_warnings
from surrogates.checkpoints import load_model, takes_one_salt
from surrogates.errors import InputError, Problem
from surrogates.gp import MixtureGP
from surrogates.mixture_data import MixtureData
from surrogates.mole_fractions import mole_fractions
from surrogates.prior_gp import fit_prior_gp
from surrogates.student import Student
from surrogates.tables import candidate_mixtures, measured_mixtures
from surrogates.text_tables import read_text

_AROUND = 500
"""Candidates of which a process learns what varies in a space."""


@dataclass(frozen=True)
class Proposed:
    """What came of a call.

    Attributes:
        table: A row for each proposal, in people's words.
        target: What the model predicts, with its unit.
        warnings: A sentence for each thing that is not known, or strange.
    """

    table: pd.DataFrame
    target: str
    warnings: tuple[str, ...]


def propose_to_file(
    config: ProposeConfig,
    data: Path | None,
    pending: Path | None,
    q: int,
    out: Path,
    engine: AbstractContextManager[Engine],
    columns: Mapping[str, str],
    units: Mapping[str, str],
    console: Console,
) -> Proposed:
    """Choose the next experiments and write them as a table that can be measured and read again.

    Args:
        config: What is wanted.
        data: Measurements, CSV or Parquet, as a training file; None before the first.
        pending: Mixtures that are being measured, in the same columns, without a target.
        q: How many to choose.
        out: `.csv` or `.parquet`, new, written whole.
        engine: Opened for a pool.
        columns: The files' header for each of our column names that they call otherwise; not of pending ones
            that were proposed here.
        units: The files' unit for each of our column names that is in another; likewise.
        console: Where it is told what was read.

    Raises:
        InputError: If anything cannot be used, or no candidate fulfils all; nothing is written.
    """
    check_suffix(out)
    check_all_free([out])
    directory = model_directory(config.model)
    model, space = model_and_space(config)
    constrained = ConstrainedSpace.of(config.constraints or ConstraintsConfig(), space)
    measured = None if data is None else _measured(model, data, columns, units, console)
    warnings = [*constrained.warnings()]
    if measured is not None and measured.sha256 == mixture_facts(directory)["data"].get("sha256"):
        warnings.append("the model was trained on these measurements: it takes them for new ones")
    believed = model if measured is None else believed_after(config, model, measured, space)
    experiments = Experiments(
        space=space,
        constraints=constraints_of(constrained),
        model=believed,
        measured=None if measured is None else Listed.measured(measured),
        pending=None if pending is None else _pending(model, pending, columns, units),
    )
    asked = Asked(experiments, config.rule(), constrained.mask, config.avoid_unknown, config.seed)
    with engine as score:
        found = propose(asked, q, config.way(), score)
    table = proposals_table(config, experiments, constrained, found)
    write_table(table, out)
    return Proposed(table, model.target, (*warnings, *worth_warnings(table)))


def model_and_space(config: ProposeConfig) -> tuple[AnyMixtureModel, MixtureSpace]:
    """Return what a file names.

    Raises:
        InputError: If the model cannot be read, or cannot be asked about the space.
    """
    model, space = load_model(model_directory(config.model)), config.space.space()
    if takes_one_salt(model) and 0 in space.molality_mol_kg:
        wrong = "0 is a mixture without salt; a model of encoder: molsets takes one salt a mixture"
        raise InputError(
            Problem('key "space.molality_mol_kg"', wrong, "Remove the 0, or give another model.")
        )
    return model, space


def check_can_learn(config: ProposeConfig, model: AnyMixtureModel) -> None:
    """Check that a model can learn from measurements, if that is asked.

    Raises:
        InputError: If it cannot.
    """
    if config.learns == "gp" and isinstance(model, Student):
        wrong = "a student came; it learns nothing from measurements"
        mend = "Give the ensemble that it stands for, or write learns: nothing."
        raise InputError(Problem(config.model, wrong, mend))


def proposals_table(
    config: ProposeConfig, experiments: Experiments, constrained: ConstrainedSpace, found: Proposals
) -> pd.DataFrame:
    """Return proposals in people's words, a row each, the first chosen first.

    `proposal`; components, fractions, molality and temperature in the columns of a training file; grams where
    a mass is asked for; what the model says; the acquisition value and why; what constraints leave.
    """
    rule = config.rule()
    mixtures = _mixtures_table(experiments.space, found.x, config.fractions)
    target = experiments.model.target
    said = found.prediction
    parts = (said.mean, said.epistemic.sqrt(), said.aleatoric.sqrt(), said.interval_factor)
    estimate = pd.DataFrame(estimate_columns(target, *(part.double().numpy() for part in parts)))
    further = pd.DataFrame(
        {
            "in_domain": said.in_domain.numpy(),
            "acquisition": rule.kind,
            "acquisition_value": found.value.numpy(),
            "why": _why(config, experiments, found),
        }
    )
    grams = pd.DataFrame(_grams(experiments.space, found.x, config.batch_g))
    number = pd.DataFrame({"proposal": np.arange(1, len(found) + 1)})
    limits = constrained.columns_of(mixtures, found.x)
    return pd.concat([number, mixtures, grams, estimate, further, limits], axis=1)


def print_proposed(done: Proposed, out: Path | None, console: Console) -> None:
    """Print the proposals and, if they were written, where they are."""
    table, target = Table(box=SIMPLE_HEAD), done.target
    for heading in ("", "mixture", f"{target}: mean ± std", "in domain", "value"):
        table.add_column(heading)
    for row in done.table.to_dict("records"):
        mean, std = row[f"{target}_mean"], row[f"{target}_std"]
        value = f"{row['acquisition_value']:.3g}"
        known = "yes" if row["in_domain"] else "no"
        table.add_row(str(row["proposal"]), _in_words(row), f"{mean:.4g} ± {std:.2g}", known, value)
    console.print(table)
    for warning in done.warnings:
        console.print(f"Warning: {warning}", soft_wrap=True, highlight=False, markup=False)
    if out is not None:
        console.print(f"The proposals: {out}", soft_wrap=True, highlight=False, markup=False)


def _measured(
    model: AnyMixtureModel,
    file: Path,
    columns: Mapping[str, str],
    units: Mapping[str, str],
    console: Console,
) -> MixtureData:
    data = measured_mixtures(read_text(file), model.target, columns, units)
    check_salts(model, data.batch, data.rows, data.source)
    for line in data.report:
        console.print(line, markup=False, soft_wrap=True)
    check_finite(model.bind(data.table).predict(data.batch), data.rows["row"], (model.target,), data.source)
    return data


def _pending(
    model: AnyMixtureModel, file: Path, columns: Mapping[str, str], units: Mapping[str, str]
) -> Listed:
    text = read_text(file)
    if {"proposal", "acquisition_value"} <= {*text.cells.columns}:  # written here: in our words and units
        columns, units = {}, {}
    found = candidate_mixtures(text, columns, units)
    check_salts(model, found.batch, found.rows, file.name)
    return Listed(found.table, found.batch.to(torch.float64), torch.zeros(0, dtype=torch.float64))


def believed_after(
    config: ProposeConfig, model: AnyMixtureModel, data: MixtureData, space: MixtureSpace
) -> MixtureModel:
    """Return the model after the measurements.

    Raises:
        InputError: If it cannot learn from any.
    """
    if config.learns == "nothing":
        return model
    if isinstance(model, MixtureGP):
        return model.condition_on(data)
    check_can_learn(config, model)
    assert not isinstance(model, Student)
    generator = torch.Generator().manual_seed(config.seed)
    drawn = torch.randint(len(space), (_AROUND,), generator=generator)
    return fit_prior_gp(model, data, (space.table, space.at(drawn)), config.seed)


def constraints_of(constrained: ConstrainedSpace) -> Constraints:
    """Return what holds for every candidate, with what is asked besides."""
    if constrained.mask is not None:
        return constrained.mask.constraints
    space = constrained.space
    variables = MixtureVariables(space.solvents, space.salts)
    molality, kelvin = space.molality_mol_kg, space.temperature_K
    ends = (min(molality), max(molality)), (min(kelvin), max(kelvin))
    return Constraints(variables.names, variables.domain(*ends), ())


def _mixtures_table(space: MixtureSpace, x: Tensor, fractions: Fractions) -> pd.DataFrame:
    """Return what mixtures are, in the columns of a training file."""
    k, names, salts = len(space.solvents), list(space.solvents), list(space.salts)
    shares = x[:, :k]
    if fractions == "mole":
        shares = mole_fractions(
            shares, torch.tensor([c.molar_mass for c in space.solvents.values()]).double()
        )
    present = [(row > 0).nonzero()[:, 0].tolist() for row in x[:, :k]]
    columns: dict[str, list[object]] = {}
    for slot in range(max(map(len, present))):
        there = [where[slot] if slot < len(where) else None for where in present]
        columns[f"solvent_{slot + 1}"] = [None if one is None else names[one] for one in there]
        columns[f"{fractions}_fraction_{slot + 1}"] = [
            np.nan if one is None else float(row[one]) for row, one in zip(shares, there, strict=True)
        ]
    molality = x[:, k:-1]
    salt = [salts[int(row.argmax())] if bool((row > 0).any()) else None for row in molality]
    return pd.DataFrame(
        {
            **columns,
            "salt": salt,
            "molality_mol_kg": molality.sum(1).numpy(),
            "temperature_K": x[:, -1].numpy(),
        }
    )


def _grams(space: MixtureSpace, x: Tensor, batch_g: float | None) -> dict[str, np.ndarray]:
    """Return what to weigh in of each component [g], 0 of what is absent everywhere left out."""
    if batch_g is None:
        return {}
    k = len(space.solvents)
    masses = torch.tensor([c.molar_mass for c in space.salts.values()]).double()
    weighed = torch.cat([x[:, :k], x[:, k:-1] * masses / 1000], dim=1)
    grams = batch_g * weighed / weighed.sum(1, keepdim=True)
    named = zip([*space.solvents, *space.salts], grams.T, strict=True)
    return {f"{name}_g": column.numpy().round(4) for name, column in named if bool((column > 0).any())}


def _why(config: ProposeConfig, experiments: Experiments, found: Proposals) -> list[str]:
    """Return a phrase for each proposal."""
    kind, std = config.rule().kind, found.prediction.epistemic.sqrt()
    surer = [f"{int((std < one).sum()) + 1} of {len(std)} by what is not known of it" for one in std]
    words = f"where the gradient leads to the {WORDS[kind]}" if config.how == "gradient" else WORDS[kind]
    is_alone = kind in ("mean", "thompson") or config.how == "gradient"
    beside = ["" if is_alone or not place else f", beside the {place} before it" for place in range(len(std))]
    is_last = len(experiments.baseline) > 0 and is_hopeless(kind, found)
    end = f"; {NEXT_TO_NOTHING}" if is_last else ""
    return [f"{words}{one}; {rank}{end}" for one, rank in zip(beside, surer, strict=True)]


def _in_words(row: Mapping[Any, Any]) -> str:
    parts, slot = [], 1
    while isinstance(name := row.get(f"solvent_{slot}"), str):
        share = row.get(f"weight_fraction_{slot}", row.get(f"mole_fraction_{slot}"))
        parts.append(f"{name} {share:.4g}")
        slot += 1
    salt = f", {row['molality_mol_kg']:.4g} mol/kg {row['salt']}" if isinstance(row["salt"], str) else ""
    return " + ".join(parts) + salt + f", {row['temperature_K']:.5g} K"
