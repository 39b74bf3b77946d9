"""Distil an ensemble: teach one network what it says of a space, judge it on fresh candidates, write it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from torch import Tensor

from activelearn.screening import BLOCK
from activelearn.spaces import MixtureSpace
from campaigns.report import progress
from campaigns.screen import check_fits, choose_model, choose_screen, model_directory, taught_space
from campaigns.screen_config import ScreenConfig
from campaigns.timing import in_turns
from campaigns.train import versions
from surrogates.checkpoints import ModelCard, card_of, load_card, save_model
from surrogates.ensemble import MixtureEnsemble
from surrogates.errors import InputError, Problem
from surrogates.law_ensemble import LawEnsemble
from surrogates.model_directories import check_free
from surrogates.prediction import Predictor
from surrogates.student import Student
from surrogates.student_card import StandsFor
from surrogates.student_training import FEWEST, StudentSettings, compare, student_settings, teach

TEACHING = StudentSettings()
_ROUNDS = 15
_TIMED_BLOCKS = 2
"""Blocks of a space that either predicts a round."""


def distil_to_directory(model: str, job: str, out: Path, seed: int, console: Console) -> ModelCard:
    """Teach a student of an ensemble on a space and write its model directory.

    Args:
        model: As `choose_model` takes it.
        job: A YAML file or a bundled job, of a screen of mixtures.
        out: The directory, new or empty.
        seed: Of everything.
        console: Where progress is shown.

    Raises:
        InputError: If the model, the job or the directory cannot be used; nothing is written.
    """
    check_free(out)
    config = choose_screen(job, None)
    if not isinstance(config, ScreenConfig):
        wrong = "a screen of cathodes came; one of mixtures was expected"
        raise InputError(Problem(job, wrong, "`activelearn train drxnet-distilled` distils cathodes."))
    chosen = choose_model(model)
    ensemble = chosen.model
    if not isinstance(ensemble, MixtureEnsemble | LawEnsemble):
        what = "a student itself" if isinstance(ensemble, Student) else "no ensemble"
        wrong = f"the model is {what}; it has no members to learn from"
        raise InputError(Problem(model, wrong, "Give an ensemble of networks."))
    check_fits(ensemble, ensemble.target, config)
    space = config.space.space()
    factors = taught_space(space)
    taught, fresh = draw(len(space), job, seed)
    card = load_card(model_directory(model))
    settings = student_settings(card.settings, TEACHING.training(len(taught)))
    torch.set_num_threads(1)  # the numbers do not depend on the machine's cores
    with progress(console, "epochs", settings.training.epochs) as told:
        student = teach(
            ensemble, settings, factors, space.table, space.at(taught), seed, lambda done, of: told(done)
        )
    stands_for = StandsFor(
        ensemble_sha256=chosen.facts["sha256"],
        members=len(ensemble.members),
        space=factors,
        space_sha256=factors.sha256(),
        taught=len(taught),
        seed=seed,
        errors=compare(student, ensemble, space.table, space.at(fresh)),
        rate_ratio=round(rate_ratio(student.bind(space.table), ensemble.bind(space.table), space), 2),
    )
    written = card_of(student.network, settings, card.data, card.seed, versions(), (), stands_for)
    save_model(student.network, written, out)
    return written


def draw(candidates: int, job: str, seed: int) -> tuple[Tensor, Tensor]:
    """Return the candidates of a space that teach a student and the fresh ones that judge it.

    Args:
        candidates: Of the space.
        job: Named if they are too few.
        seed: Of the draw.

    Raises:
        InputError: If they are too few.
    """
    if candidates < FEWEST:
        wrong = f"its space has {candidates} candidates; a student needs at least {FEWEST}"
        raise InputError(Problem(job, wrong, "Give a larger space, or screen it with the ensemble."))
    fresh = min(TEACHING.fresh, candidates // 5)
    count = min(TEACHING.taught, candidates - fresh) + fresh
    drawn = np.random.default_rng(seed).choice(candidates, count, replace=False)
    return torch.from_numpy(drawn[fresh:]), torch.from_numpy(drawn[:fresh])


def rate_ratio(student: Predictor, ensemble: Predictor, space: MixtureSpace) -> float:
    """Return how many times the ensemble's candidates a second a student screens, on one thread.

    Either decodes and predicts as a worker of a screen does, domain included, in turns with the other.
    """
    stop = min(len(space), _TIMED_BLOCKS * BLOCK)
    blocks = [range(start, min(start + BLOCK, stop)) for start in range(0, stop, BLOCK)]
    time = in_turns(
        {name: partial(_predict, one, space, blocks) for name, one in (("s", student), ("e", ensemble))},
        _ROUNDS,
    )
    return time["e"] / time["s"]


def _predict(predictor: Predictor, space: MixtureSpace, blocks: Sequence[range]) -> None:
    with torch.inference_mode():
        for block in blocks:
            predictor.predict(space[block.start : block.stop])


def print_student(card: ModelCard, console: Console) -> None:
    """Print how near a student is to its ensemble, and whether that is as near as it should be."""
    told = card.stands_for
    assert told is not None
    errors = told.errors
    title = f"One network for {told.members}: on {errors.fresh:,} candidates that it was not taught"
    table = Table("", "student", "should be", "", box=SIMPLE_HEAD, title=title)
    error, spearman, rate = errors.mean_error, errors.std_spearman, told.rate_ratio
    for words, value, bar, missed in (
        ("means, mean absolute difference over the target's spread", error, "at most 0.05", error > 0.05),
        ("standard deviations, rank correlation", spearman, "at least 0.85", (spearman or 0) < 0.85),
        ("candidates a second, of the ensemble's", rate, "at least 3", rate < 3),
    ):
        table.add_row(words, _number(value), bar, "missed" if missed else "")
    for words, value in (
        ("means, the same over the spread of the ensemble's", errors.mean_mae / errors.candidates_spread),
        ("epistemic standard deviations, rank correlation", errors.epistemic_spearman),
        ("aleatoric standard deviations, rank correlation", errors.aleatoric_spearman),
    ):
        table.add_row(words, _number(value), "", "")
    console.print(table)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
