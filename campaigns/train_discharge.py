"""Train what a job asks for; discharge models here, distilled or learnt from a user's own profiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

import torch
from pydantic import BaseModel
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from torch import Tensor

from campaigns.config import load_yaml_by_key, resolve_job
from campaigns.discharge_judging import (
    COMPOSITIONS,
    PROFILES,
    judge_profiles,
    print_capacity_scores,
    profile_splits,
)
from campaigns.excess_config import ExcessConfig
from campaigns.excess_judging import print_excess_scores
from campaigns.report import progress
from campaigns.train import print_scores, train_to_directory, versions
from campaigns.train_config import DistillationConfig, ProfileConfig, TrainConfig
from campaigns.train_excess import train_excess_to_directory
from surrogates import datasets
from surrogates.discharge_domain import published_domain
from surrogates.discharge_gp_fitting import check_gp, fit_discharge_gp
from surrogates.discharge_models import (
    DISTILLED,
    PUBLISHED_NAME,
    DischargeCard,
    DischargeEnsemble,
    DischargeProcess,
    save_discharge_model,
)
from surrogates.discharge_profiles import ProfileData, read_profiles
from surrogates.discharge_training import (
    ProfileScores,
    ProfileSettings,
    check_profiles,
    fit_profiles,
    profile_domain,
)
from surrogates.distillation import MOST_CHARGE, RANGES, STUDENT, compare, distil
from surrogates.encoders.drxnet_published import load_published
from surrogates.members import Members
from surrogates.model_directories import check_free

KINDS: Mapping[str, type[BaseModel]] = {
    "data": TrainConfig,
    "profiles": ProfileConfig,
    "excess": ExcessConfig,
    "teachers": DistillationConfig,
}
"""What a job trains, by the key that only its kind has."""


def train_job(job: str, out: Path, data_dir: Path | None, console: Console, report: Console) -> None:
    """Train what a YAML file or a bundled job describes, write the model directory and print its scores.

    Args:
        job: A path or a name.
        out: The directory, new or empty.
        data_dir: Where data sets are looked for first.
        console: Where progress is shown.
        report: Where the scores are printed.

    Raises:
        InputError: If the job, the data or the directory cannot be used; nothing is written.
    """
    path = resolve_job(job)
    config = load_yaml_by_key(path, KINDS)
    if isinstance(config, DistillationConfig):
        print_errors(distil_to_directory(config, path.parent, out, data_dir, console), report)
    elif isinstance(config, ProfileConfig):
        card = train_profiles_to_directory(config, path, out, console)
        print_errors(card, report)
        print_capacity_scores(card, report)
    elif isinstance(config, ExcessConfig):
        print_excess_scores(train_excess_to_directory(config, path.parent, out, data_dir, console), report)
    else:
        print_scores(train_to_directory(job, out, data_dir, console), report)


def distil_to_directory(
    config: DistillationConfig, beside: Path, out: Path, data_dir: Path | None, console: Console
) -> DischargeCard:
    """Distil the published models and write the model directory.

    Args:
        config: What and how.
        beside: Directory of the job, from which a path in it counts.
        out: The directory, new or empty.
        data_dir: Where the published weights are looked for first.
        console: Where progress is shown.

    Raises:
        InputError: If the teachers or the directory cannot be used; nothing is written.
    """
    check_free(out)
    entry = datasets.dataset(PUBLISHED_NAME)
    named = config.teachers == PUBLISHED_NAME
    folder = datasets.fetch(entry, data_dir) if named else beside / config.teachers
    teachers = load_published(folder)
    torch.set_num_threads(1)  # the numbers do not depend on the machine's cores
    settings = config.settings()
    with progress(console, "epochs", settings.training.epochs) as told:
        students = distil(teachers, settings, config.seed, lambda done, of: told(done))
    errors = compare(students, teachers, settings.unseen, config.seed + 1)
    data = {
        "source": "outputs of the five published DRXNet models; their own training data are not all public",
        "how": "Each member starts from one published network. Its state network is replaced by a monotonic "
        "one, which is trained on that network's charge and slope; its other layers stay as published.",
        "conditions": settings.conditions,
        "sampled": "charge-balanced compositions of Li, 1 to 6 of 13 metals, O and F, each under a rate, "
        "window and cycle of its own, at 17 voltages; see surrogates/distillation.py",
        "left_out": f"conditions at which a published network says more than {MOST_CHARGE:g} mAh/g",
        "licence": entry.licence,
        "citation": entry.citation,
        "url": [file.url for file in entry.files],
    }
    card = DischargeCard(
        name=DISTILLED,
        settings=STUDENT,
        members=len(students),
        domain=published_domain(students, RANGES),
        data=data,
        seed=config.seed,
        versions=versions(),
        errors=asdict(errors),
    )
    save_discharge_model(DischargeEnsemble(students, card), out)
    return card


def train_profiles_to_directory(
    config: ProfileConfig, job: Path, out: Path, console: Console
) -> DischargeCard:
    """Train on a file of discharge profiles, judge on splits, and write the model directory.

    Args:
        config: What and how.
        job: File of the configuration; the model has its name, and a path in it counts from its directory.
        out: The directory, new or empty.
        console: Where progress is shown.

    Raises:
        InputError: If the profiles or the directory cannot be used; nothing is written.
    """
    check_free(out)
    data = read_profiles(job.parent / config.profiles.file, config.profiles.columns)
    for line in data.report:
        console.print(line, markup=False, soft_wrap=True)
    settings, everything = config.settings(), torch.arange(len(data))
    check_profiles(data, everything, settings)
    if "gp" in config.judged():
        check_gp(data)
    splits = profile_splits(data, settings, config.splits, config.test_fraction, config.seed)
    torch.set_num_threads(1)  # the numbers do not depend on the machine's cores
    found, capacities = judge_profiles(
        data,
        splits,
        config.judged(),
        lambda rows, seed: _fitted(data, rows, settings, seed, "epochs of a split", console),
    )
    members = _fitted(data, everything, settings, config.seed, "epochs of the final fit", console)
    domain = profile_domain(members, data)
    gp = None
    if config.surrogate == "gp":
        gp = fit_discharge_gp(members, domain, data, everything, config.seed)
        if gp.calibration.note:
            console.print(gp.calibration.note, soft_wrap=True)
    card = DischargeCard(
        name=job.stem,
        settings=settings.network,
        members=settings.members,
        surrogate=config.surrogate,
        calibration=gp.calibration if gp else None,
        domain=domain,
        data={
            "source": data.source,
            "sha256": data.sha256,
            "profiles": len(data),
            "compositions": len(data.batch),
            "report": list(data.report),
        },
        seed=config.seed,
        versions=versions(),
        errors=_summed_up(found, COMPOSITIONS if len(data.batch) > 1 else PROFILES),
        scores=capacities,
    )
    save_discharge_model(DischargeProcess(gp, card) if gp else DischargeEnsemble(members, card), out)
    return card


def _fitted(
    data: ProfileData, rows: Tensor, settings: ProfileSettings, seed: int, unit: str, console: Console
) -> Members:
    with progress(console, unit, settings.training(len(rows)).epochs) as told:
        return fit_profiles(data, rows, settings, seed, lambda done, of: told(done))


def _summed_up(found: Sequence[ProfileScores], tested: str) -> dict[str, Any]:
    """Return the means of scores over splits, and their standard deviations, under what was tested."""
    if not found:
        return {}
    columns = {name: [asdict(one)[name] for one in found] for name in asdict(found[0])}
    errors: dict[str, Any] = {"tested": tested, "splits": len(found)}
    return (
        errors
        | {name: fmean(each) for name, each in columns.items()}
        | {f"{name} (std over splits)": pstdev(columns[name]) for name in columns if "mae" in name}
    )


def print_errors(card: DischargeCard, console: Console) -> None:
    """Print the errors of a card, a line each, in its words; with the members' own where it has them."""
    table = Table(
        "", "ensemble", "members", box=SIMPLE_HEAD, title=f"{card.name}: on what was not trained on"
    )
    for name, value in card.errors.items():
        if isinstance(value, (list, tuple)):
            table.add_row(name, "", "  ".join(f"{one:.2f}" for one in value))
        else:
            table.add_row(name, value if isinstance(value, str) else f"{value:.4g}", "")
    if card.errors:
        console.print(table)
