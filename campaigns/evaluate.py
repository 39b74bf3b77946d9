"""A model beside a user's own measurements: scores, figures, and the rows where it was furthest off."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from campaigns.judging import SHOWN, error_in_mS_cm
from campaigns.predict import renamed, skipped_words, write_bad_rows, write_csv
from campaigns.row_models import RowModel, Rows, choose_row_model
from campaigns.train import versions
from surrogates.calibration import levels_of, miscalibration_area, recalibrated, scores, z_of_levels
from surrogates.errors import InputError, Problem
from surrogates.model_directories import check_free, written_directory
from surrogates.text_tables import TextTable, read_text, read_usable

WORST = 10
"""Rows in `worst.csv`."""
PARTS = {"all": "all", "in_domain": "in domain", "out_of_domain": "not in domain"}
_PRINTED = {"rows": "rows", **SHOWN, "recalibrated_area": "the same, recalibrated"}
_MAY_BE_TRAINED = (
    "These are the data the model was trained on (same sha256): the scores are not those of a test, and "
    "too good."
)


@dataclass(frozen=True)
class Evaluation:
    """How near a model comes to measurements.

    Attributes:
        target: What was measured.
        scores: A row for each of `PARTS` that has rows: `part`, then the scores.
        judged: Of each row, as `evaluation_plots` takes them.
        worst: The rows of largest error, largest first.
        is_training_data: Whether the file is the one the model learnt from.
        table: The file, without its bad rows.
        facts: What `scores.json` says of model and data.
    """

    target: str
    scores: pd.DataFrame
    judged: pd.DataFrame
    worst: pd.DataFrame
    is_training_data: bool
    table: TextTable
    facts: Mapping[str, Any]


def evaluate_to_directory(
    model: str,
    measured: Path,
    out: Path,
    columns: Mapping[str, str],
    units: Mapping[str, str],
    skip_bad: bool,
    console: Console,
) -> Evaluation:
    """Judge a model by measurements and write the directory, whole or not at all.

    `scores.csv` and `scores.json` hold the scores, `worst.csv` the ten worst rows, `parity.png`,
    `reliability.png` and `errors.png` the figures, `bad.csv` the rows that were left out, if any were.

    Args:
        model: See `choose_row_model`.
        measured: CSV or Parquet, as a training file.
        out: The directory, new or empty.
        columns: The file's header for each of our column names that it calls otherwise.
        units: The file's unit for each of our column names that is in another.
        skip_bad: Leave out bad rows.
        console: Where it is told what was read.

    Raises:
        InputError: If the model, the measurements or the directory cannot be used; nothing is written.
    """
    check_free(out)
    table = read_text(measured, skip_bad)
    asked = choose_row_model(model)
    rows, table = read_usable(table, lambda part: asked.read(part, True, columns, units), skip_bad)
    for line in rows.report:
        console.print(line, markup=False, soft_wrap=True)
    found = evaluation(asked, rows, table)
    try:
        with written_directory(out) as unfinished:
            _write(found, unfinished)
    except OSError as error:
        wrong = f"the directory cannot be written: {os.strerror(error.errno or 0)}"
        raise InputError(Problem(str(out), wrong, "Give another --out.")) from None
    return found


def evaluation(asked: RowModel, rows: Rows, table: TextTable) -> Evaluation:
    """Return how near a model comes to what was measured."""
    said = rows.predict()
    columns = said.columns(asked.targets)
    names = {part: f"{rows.target}_{part}" for part in ("mean", "std", "lower_90", "upper_90")}
    judged = pd.DataFrame({part: columns[name] for part, name in names.items()})
    factor = said.prediction.interval_factor.double().numpy()
    judged = judged.assign(measured=rows.measured, in_domain=columns["in_domain"], factor=factor)
    trained_on = asked.facts["data"].get("sha256")
    facts = {
        "model": dict(asked.facts),
        "data": {
            "source": table.file,
            "sha256": table.sha256,
            "rows": len(judged),
            "bad_rows": len(table.bad_rows),
        },
        "target": rows.target,
        "versions": versions(),
    }
    return Evaluation(
        target=rows.target,
        scores=_scores(judged, rows.target),
        judged=judged,
        worst=_worst(judged, columns, rows, table),
        is_training_data=trained_on == table.sha256,
        table=table,
        facts=facts,
    )


def print_evaluation(found: Evaluation, out: Path, console: Console) -> None:
    """Print the scores, what is worth a warning, and where the files are."""
    title = f"{found.target}: {found.facts['data']['source']}"
    printed = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    printed.add_column("")
    names = [name for name in _PRINTED if name in found.scores]
    for row in found.scores.to_dict("records"):
        printed.add_column(PARTS[row["part"]], justify="right")
    for name in names:
        printed.add_row(_PRINTED[name], *(_number(value) for value in found.scores[name]))
    console.print(printed)
    if found.is_training_data:
        console.print(_MAY_BE_TRAINED, soft_wrap=True)
    if found.table.bad_rows:
        console.print(skipped_words(len(found.table.bad_rows), out / "bad.csv"), soft_wrap=True, markup=False)
    files = {
        "The scores": "scores.csv",
        f"The {len(found.worst)} worst rows": "worst.csv",
        "The figures": "*.png",
        "What was judged": "scores.json",
    }
    for what, name in files.items():
        console.print(f"{what}: {out / name}", soft_wrap=True, markup=False)


def _scores(judged: pd.DataFrame, target: str) -> pd.DataFrame:
    known = judged["in_domain"]
    parts = {"all": judged, "in_domain": judged[known], "out_of_domain": judged[~known]}
    found = []
    for part, some in parts.items():
        if some.empty:
            continue
        measured, mean = (torch.tensor(some[name].to_numpy()) for name in ("measured", "mean"))
        std = some["std"].to_numpy()
        one = asdict(scores(measured, mean, std, some["factor"].to_numpy()))
        level = recalibrated(levels_of(measured, mean, std))
        if level is not None:
            one["recalibrated_area"] = miscalibration_area(z_of_levels(level))
        found.append({"part": part, **one, **error_in_mS_cm(target, measured, mean)})
    return pd.DataFrame(found)


def _worst(judged: pd.DataFrame, columns: pd.DataFrame, rows: Rows, table: TextTable) -> pd.DataFrame:
    """Return the rows of largest error: number, cells, measured, error, distance, predictions."""
    error = judged["mean"] - judged["measured"]
    ours: dict[str, Any] = {
        f"{rows.target}_measured": judged["measured"],
        "error": error,
        "error_in_std": error / judged["std"],
    }
    if rows.distance is not None:
        ours |= {"distance_to_training": rows.distance(), "distance_limit": rows.distance_limit}
    beside = pd.DataFrame(ours).join(columns)
    own = table.cells.set_axis(renamed([str(name) for name in table.cells], ["row", *beside]), axis=1)
    whole = pd.concat([own.reset_index(drop=True), beside], axis=1)
    whole.insert(0, "row", table.cells.index)
    order = np.argsort(-error.abs().to_numpy(), kind="stable")[:WORST]
    return whole.iloc[order]


def _write(found: Evaluation, directory: Path) -> None:
    from campaigns.evaluation_plots import (  # Matplotlib takes half a second
        save_errors,
        save_parity,
        save_reliability,
    )

    write_csv(found.scores, directory / "scores.csv")
    write_csv(found.worst, directory / "worst.csv")
    by_part = {row.pop("part"): row for row in found.scores.to_dict("records")}
    content = {
        **found.facts,
        "is_training_data": found.is_training_data,
        "scores": {part: {name: _finite(of) for name, of in row.items()} for part, row in by_part.items()},
    }
    (directory / "scores.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    if found.table.bad_rows:
        write_bad_rows(found.table, directory / "bad.csv")
    save_parity(found.judged, found.target, directory / "parity.png")
    save_reliability(found.judged, directory / "reliability.png")
    save_errors(found.judged, found.target, directory / "errors.png")


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _number(value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:,}" if isinstance(value, int | np.integer) else f"{value:.3g}"
