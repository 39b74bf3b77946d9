"""What a discharge model says of all feasible compositions of a space, scored as a screen scores them."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from rich.console import Console

from activelearn.screening import Engine, Screen, by_mean
from activelearn.shards import written_whole
from campaigns.compare_config import CompareCathodesConfig
from campaigns.constrained_list import ConstrainedCompositions
from campaigns.constraint_config import CathodeConstraintsConfig, used_files
from campaigns.report import progress
from surrogates.discharge_models import AnyDischargeModel
from surrogates.discharge_objectives import DischargeObjectives
from surrogates.errors import InputError, Problem
from surrogates.model_directories import check_place

_FIRST = "truth-"
_ROW = np.dtype([("candidate", "i8"), ("truth", "f8"), ("in_domain", "?")])


@dataclass(frozen=True)
class Scoring:
    """How a space is scored, which takes milliseconds a composition.

    Attributes:
        engine: Makes who scores it, opened when need be.
        out: Directory of the comparison's results, where what comes out is kept; made if need be.
        console: Where progress is shown.
    """

    engine: Callable[[], AbstractContextManager[Engine]]
    out: Path
    console: Console


def scored_cathodes(config: CompareCathodesConfig, model: AnyDischargeModel, scoring: Scoring) -> np.ndarray:
    """Return the candidates that fulfil all constraints, what the model says, and whether it knows each.

    Structured, `n`: `candidate`, in order; `truth`, in the objective's unit; `in_domain`.

    What was kept of the same space, constraints, objective and model is not scored again.

    Raises:
        InputError: If the constraints or the model cannot be used, or the directory holds something else.
    """
    kept = _kept(config, model, scoring.out)
    if kept.exists():
        rows: np.ndarray = np.load(kept, allow_pickle=False)
        return rows
    check_ours(scoring.out)  # before minutes are spent
    rows = _scored(config, model, scoring)
    scoring.out.mkdir(parents=True, exist_ok=True)
    with written_whole(kept) as part, part.open("wb") as file:
        np.save(file, rows, allow_pickle=False)
    return rows


def check_ours(out: Path) -> None:
    """Refuse a directory of results that holds something else, or that cannot be one.

    Raises:
        InputError: If so.
    """
    check_place(out / "run.json", "Give another --out.")
    if (out / "run.json").exists() or not out.exists():
        return
    if any(not path.name.startswith(_FIRST) for path in out.iterdir()):
        wrong = "the directory holds something else"
        raise InputError(Problem(str(out), wrong, "Give another --out."))


def _scored(config: CompareCathodesConfig, model: AnyDischargeModel, scoring: Scoring) -> np.ndarray:
    space, objective = config.space.space(), config.objectives[0].objective()
    mask = ConstrainedCompositions.of(config.constraints or CathodeConstraintsConfig(), space).mask
    predictor = DischargeObjectives(model, (objective,)).bind(space.table)
    screen = Screen(space, predictor, by_mean, len(space), None, (objective.name,), mask)
    parts, done = [], 0
    with scoring.engine() as score, progress(scoring.console, "compositions", len(space)) as told:
        for scored in score(screen, screen.chunks()):
            parts.append(scored.top)
            done += len(scored.chunk)
            told(done)
    found = np.concatenate(parts)
    found = found[np.argsort(found["candidate"])]
    rows = np.empty(len(found), _ROW)
    rows["truth"] = found[f"{objective.name}_mean"]
    for column in ("candidate", "in_domain"):
        rows[column] = found[column]
    return rows


def _kept(config: CompareCathodesConfig, model: AnyDischargeModel, out: Path) -> Path:
    asked = config.model_dump(mode="json", include={"space", "objectives", "constraints"})
    functions = {} if config.constraints is None else used_files(config.constraints)
    said = json.dumps([asked, functions, model.sha256()], sort_keys=True)
    return out / f"{_FIRST}{sha256(said.encode()).hexdigest()[:16]}.npy"
