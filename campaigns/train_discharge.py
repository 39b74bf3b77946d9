"""Train discharge models: distil the published one, or learn from a user's own profiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from pydantic import BaseModel
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from campaigns.config import load_yaml_by_key, resolve_job
from campaigns.report import progress
from campaigns.train import print_scores, train_to_directory, versions
from campaigns.train_config import DistillationConfig, TrainConfig
from surrogates import datasets
from surrogates.checkpoints import check_free
from surrogates.discharge_models import (
    DISTILLED,
    PUBLISHED_NAME,
    DischargeCard,
    DischargeEnsemble,
    save_discharge_model,
)
from surrogates.distillation import MOST_CHARGE, STUDENT, compare, distil, domain_of
from surrogates.encoders.drxnet_published import load_published

KINDS: Mapping[str, type[BaseModel]] = {"data": TrainConfig, "teachers": DistillationConfig}
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
        domain=domain_of(students),
        data=data,
        seed=config.seed,
        versions=versions(),
        errors=asdict(errors),
    )
    save_discharge_model(DischargeEnsemble(students, card), out)
    return card


def print_errors(card: DischargeCard, console: Console) -> None:
    """Print the errors of a card, a line each; a column for each member where they are told apart."""
    members = [f"member {number}" for number in range(card.members)]
    table = Table(box=SIMPLE_HEAD, title=f"{card.name}: errors on what was not trained on")
    for heading in ("", *members, "ensemble"):
        table.add_column(heading)
    for name, value in card.errors.items():
        each = [f"{one:.2f}" for one in value] if isinstance(value, (list, tuple)) else [""] * card.members
        whole = "" if isinstance(value, (list, tuple)) else f"{value:.4g}"
        table.add_row(name, *each, whole)
    console.print(table)
