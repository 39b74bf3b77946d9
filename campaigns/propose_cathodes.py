"""From measured cathodes to those to make next: a YAML file and CSV in, CSV out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from activelearn.acquisition import WORDS, Acquisition
from activelearn.cathode_pool import (
    FRONT_WORDS,
    AskedCathodes,
    CathodePool,
    CathodeProposals,
    Made,
    propose_cathodes,
)
from activelearn.screening import Engine
from campaigns.cathode_propose_config import CathodeProposeConfig
from campaigns.constrained_list import ConstrainedCompositions
from campaigns.constraint_config import CathodeConstraintsConfig
from campaigns.predict import check_all_free, check_suffix, write_table
from campaigns.report import with_std
from campaigns.row_models import Said
from surrogates.composition_batches import read_formulas
from surrogates.discharge_models import discharge_model
from surrogates.discharge_objectives import DischargeObjectives, Objective
from surrogates.discharge_prior_gp import fit_discharge_prior_gp
from surrogates.measured_cathodes import read_measured_cathodes
from surrogates.text_tables import read_text

_AROUND = 200
"""Candidates of which processes learn what varies in a space."""


@dataclass(frozen=True)
class ProposedCathodes:
    """What came of a call.

    Attributes:
        table: A row for each proposal, in people's words.
        objectives: What the model predicts.
        warnings: A sentence for each thing that is strange.
    """

    table: pd.DataFrame
    objectives: tuple[str, ...]
    warnings: tuple[str, ...]


def propose_cathodes_to_file(
    config: CathodeProposeConfig,
    data: Path | None,
    pending: Path | None,
    q: int,
    out: Path,
    engine: AbstractContextManager[Engine],
    columns: Mapping[str, str],
    units: Mapping[str, str],
    console: Console,
) -> ProposedCathodes:
    """Choose the next cathodes and write them as a table to which measurements can be added.

    Args:
        config: What is wanted.
        data: What was measured, CSV or Parquet, see `read_measured_cathodes`; None before the first.
        pending: What is being made, in a column `formula`.
        q: How many to choose.
        out: `.csv` or `.parquet`, new, written whole.
        engine: Opened for the pool.
        columns: The files' header for each of our column names that they call otherwise.
        units: The files' unit for each of our column names that is in another.
        console: Where it is told what was read.

    Raises:
        InputError: If anything cannot be used, or too few candidates fulfil all; nothing is written.
    """
    check_suffix(out)
    check_all_free([out])
    space, objectives = config.space.space(), config.asked()
    model, names = DischargeObjectives(discharge_model(config.model), objectives), config.names()
    constrained = ConstrainedCompositions.of(config.constraints or CathodeConstraintsConfig(), space)
    measured = None if data is None else _read(data, objectives, columns, units, console)
    formula = {ours: theirs for ours, theirs in columns.items() if ours == "formula"}
    waiting = None if pending is None else _read(pending, (), formula, {}, console)
    pool = CathodePool(space, model, names, constrained.mask, measured, waiting)
    for line in _compared(pool):
        console.print(line, markup=False, soft_wrap=True)
    pool, told = after_learning(pool, model, config)
    for line in told:
        console.print(line, markup=False, soft_wrap=True)
    asked = AskedCathodes(pool, config.rule(), config.avoid_unknown, config.seed)
    with engine as score:
        found = propose_cathodes(asked, q, score)
    table = cathodes_table(asked, constrained, found)
    write_table(table, out)
    return ProposedCathodes(table, names, tuple(model.warnings()))


def cathodes_table(
    asked: AskedCathodes, constrained: ConstrainedCompositions, found: CathodeProposals
) -> pd.DataFrame:
    """Return proposals in people's words, a row each, the first chosen first.

    `proposal`; formula and amounts as a screen lists them; what the model says of each objective and whether
    it knows the cathode; the rule, its value and why; what constraints leave.
    """
    described = asked.pool.space.describe(found.candidate.numpy())
    said = Said(
        found.prediction,
        {"acquisition": asked.kind, "acquisition_value": found.value.numpy(), "why": _why(asked, found)},
    )
    number = pd.DataFrame({"proposal": np.arange(1, len(found) + 1)})
    made = described.drop(columns="candidate")
    limits = constrained.columns(described)
    return pd.concat([number, made, said.columns(asked.pool.objectives), limits], axis=1)


def print_cathodes(done: ProposedCathodes, out: Path | None, console: Console) -> None:
    """Print the proposals and, if they were written, where they are."""
    table = Table(box=SIMPLE_HEAD)
    for heading in ("", "formula", *done.objectives, "in domain", "value"):
        table.add_column(heading, overflow="fold")
    for row in done.table.to_dict("records"):
        said = [with_std(row[f"{name}_mean"], row[f"{name}_std"]) for name in done.objectives]
        last = ["yes" if row["in_domain"] else "no", f"{row['acquisition_value']:.3g}"]
        table.add_row(str(row["proposal"]), row["formula"], *said, *last)
    console.print(table)
    for warning in done.warnings:
        console.print(f"Warning: {warning}", soft_wrap=True, highlight=False, markup=False)
    if out is not None:
        console.print(f"The proposals: {out}", soft_wrap=True, highlight=False, markup=False)


def _read(
    file: Path,
    objectives: Sequence[Objective],
    columns: Mapping[str, str],
    units: Mapping[str, str],
    console: Console,
) -> Made:
    """Return the cathodes of a file."""
    found = read_measured_cathodes(read_text(file), objectives, columns, units)
    for line in found.report:
        console.print(line, markup=False, soft_wrap=True)
    table, batch = read_formulas(found.formulas, f"{found.source}, formulas")
    return Made(table, batch, torch.from_numpy(found.values))


def _compared(pool: CathodePool) -> Iterator[str]:
    """Yield how measurements are used, and how far from the model they are, a line each."""
    if pool.measured is None:
        return
    n, could = len(pool.measured.batch), len(pool.baseline)
    yield f"{could} of {n} measured cathodes could be candidates of the space; proposals are judged by these"
    mean = pool.predictor.predict(pool.over_table(pool.measured)).mean
    off = mean.double() - pool.measured.values
    for name, error in zip(pool.objectives, off.T, strict=True):
        if (there := error.isfinite()).any():
            told = f"{float(error[there].mean()):+.3g}, absolute {float(error[there].abs().mean()):.3g}"
            yield f"{name}: mean error of the model {told}, over {int(there.sum())} values"


def after_learning(
    pool: CathodePool, model: DischargeObjectives, config: CathodeProposeConfig
) -> tuple[CathodePool, list[str]]:
    """Return the pool with the model as it is after the measurements, and what it has learnt, in lines.

    Args:
        pool: The candidates with what was measured.
        model: As it was before.
        config: What learns, and the seed.
    """
    if pool.measured is None:
        return pool, []
    if config.learns == "nothing":
        return pool, ["learns: nothing; the model is as it was before these measurements"]
    generator = torch.Generator().manual_seed(config.seed)
    drawn = torch.randint(len(pool.space), (_AROUND,), generator=generator).unique()
    around = pool.space.table, pool.space.at(drawn)
    measured = pool.measured
    learnt = fit_discharge_prior_gp(
        model, (measured.table, measured.batch), measured.values, around, config.seed
    )
    told = [
        f"learns: gp; {name}: {len(one.process)} values lie {one.offset:+.3g} from the model on the whole, "
        f"and beside that {one.spread:.2g} times as far as it states"
        for name, one in zip(pool.objectives, learnt.processes, strict=True)
    ]
    return replace(pool, model=learnt, has_learnt=True), told


def _why(asked: AskedCathodes, found: CathodeProposals) -> list[str]:
    """Return a phrase for each proposal."""
    rule = asked.acquisition
    if isinstance(rule, Acquisition):
        words, is_alone = WORDS[rule.kind], rule.kind in ("mean", "thompson")
    else:
        words, is_alone = FRONT_WORDS[rule], rule == "pareto-rank"
    beside = [
        "" if is_alone or not place else f", beside the {place} before it" for place in range(len(found))
    ]
    return [words + one for one in beside]
