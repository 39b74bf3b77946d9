"""Train an ensemble: judge it on splits beside the forest, then fit it to all rows and write it."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from campaigns.best_surrogate import best_surrogate
from campaigns.config import load_yaml, resolve_job
from campaigns.judging import SHOWN, SURROGATES, fit, judge
from campaigns.report import progress
from campaigns.train_config import DataSource, SplitPlan, TrainConfig
from surrogates.aligned_model import unseen_laboratories
from surrogates.checkpoints import ModelCard, ScoreRow, card_of, encoder_of, save_model
from surrogates.datasets import dataset, load_dataset
from surrogates.ensemble import check_ensemble_trainable
from surrogates.errors import InputError, Problem
from surrogates.laboratories import FEWEST_PAPERS, estimate_laboratories
from surrogates.law_ensemble import LawSettings
from surrogates.law_training import check_law_trainable
from surrogates.mixture_data import MixtureData
from surrogates.model_directories import check_free
from surrogates.splits import (
    Split,
    hotter_split,
    mixture_splits,
    paper_splits,
    random_splits,
    solvent_splits,
)
from surrogates.tables import read_mixtures

_TOLD = {
    "random": "drawn at random",
    "mixture": "of unseen mixtures",
    "solvent": "with an unseen solvent",
    "paper": "of unseen papers",
    "paper, carbonates": "of unseen papers, only carbonates, 233 to 345 K",
}


def train_to_directory(job: str, out: Path, data_dir: Path | None, console: Console) -> ModelCard:
    """Train what a YAML file or a bundled job describes and write the model directory.

    Args:
        job: A path or a name.
        out: The directory, new or empty.
        data_dir: Where data sets are looked for first.
        console: Where progress is shown.

    Raises:
        InputError: If the job, the data or the directory cannot be used; nothing is written.
    """
    path = resolve_job(job)
    config = load_yaml(path, TrainConfig)
    check_free(out)
    data = _read(config, path.parent, data_dir)
    for line in data.report:
        console.print(line, markup=False, soft_wrap=True)
    settings = config.settings()
    everything = torch.arange(len(data))
    check = check_law_trainable if isinstance(settings, LawSettings) else check_ensemble_trainable
    check(data, everything, settings.members)
    splits = list(_splits(data, config.splits, config.seed, console))
    for split in splits:
        check(data, split.train, settings.members)
    beside = config.beside
    if config.surrogate == "best":
        surrogate = best_surrogate(data, settings, config.seed, console)
        beside = (*SURROGATES, *beside)
    else:
        surrogate = config.surrogate
    judged = judge(data, splits, settings, beside, console, surrogate)
    print_times(judged.times, console)
    torch.set_num_threads(1)  # as on the splits: the numbers do not depend on the machine's cores
    with progress(console, "epochs of the final fit", settings.training.epochs) as told:
        fitted = fit(data, everything, settings, config.seed, lambda done, of: told(done), surrogate)
    papers = unseen_laboratories(encoder_of(fitted), data, judged.held_out)
    card = card_of(
        fitted,
        settings,
        _facts(config.data, data),
        config.seed,
        versions(),
        judged.scores,
        laboratories=estimate_laboratories(papers) if len(papers) >= FEWEST_PAPERS else None,
    )
    save_model(fitted, card, out, judged.held_out)
    if not judged.held_out.empty:
        from campaigns.evaluation_plots import save_held_out  # Matplotlib takes half a second

        save_held_out(judged.held_out, surrogate, data.target_name, out)
    return card


def print_scores(card: ModelCard, console: Console) -> None:
    """Print the scores of a card, a table for each kind of split with a column for each model."""
    for splits in dict.fromkeys(row.splits for row in card.scores):
        rows = [row for row in card.scores if row.splits == splits]
        told = f"test rows {_TOLD.get(splits, splits)}, {rows[0].repeats} splits"
        title = f"{card.target}, {told}: mean ± standard deviation over splits"
        print_score_table(title, rows, SHOWN, ".3f", console)


def print_score_table(
    title: str, rows: Sequence[ScoreRow], shown: Mapping[str, str], digits: str, console: Console
) -> None:
    """Print the scores of models on one kind of split, a column for each model.

    Args:
        title: Of the table.
        rows: Of the models.
        shown: Names of scores, and how they are told; those that no row has are left out.
        digits: How numbers are written, a format.
        console: Where.
    """
    table = Table(box=SIMPLE_HEAD, title=title)
    table.add_column("")
    for row in rows:
        table.add_column(row.model)
    for name, words in shown.items():
        if name in rows[0].mean:
            cells = (f"{_number(row.mean[name], digits)} ± {_number(row.std[name], digits)}" for row in rows)
            table.add_row(words, *cells)
    console.print(table)


def print_times(times: pd.DataFrame, console: Console) -> None:
    """Print how long models took to fit, and how fast they predict, over the first of them."""
    if len(times) < 2:
        return
    table = Table(box=SIMPLE_HEAD, title="one thread, mean over splits, all splits at work beside each other")
    for heading in ("model", "fit, s", "over the first", "rows a second", "over the first"):
        table.add_column(heading)
    for row in times.to_dict("records"):
        numbers = (row["fit_s"], row["fit_s_over_first"], row["rate"], row["rate_over_first"])
        table.add_row(row["model"], *(f"{number:.3g}" for number in numbers))
    console.print(table)


def versions() -> dict[str, str]:
    """Return the versions of what decides the numbers."""
    packages = ("activelearn", "torch", "torch-geometric", "rdkit", "scikit-learn", "numpy")
    return {"python": platform.python_version()} | {name: version(name) for name in packages}


def _read(config: TrainConfig, beside: Path, data_dir: Path | None) -> MixtureData:
    if config.data.dataset is not None:
        data = load_dataset(config.data.dataset, data_dir)
        if data.target_name != config.target:
            wrong = f"{config.target} is not what {config.data.dataset} holds"
            raise InputError(Problem('key "target"', wrong, f"Write {data.target_name}."))
        return data
    path = beside / (config.data.file or "")
    return read_mixtures(path, config.target, config.data.columns, config.data.units)


def _splits(data: MixtureData, plan: SplitPlan, seed: int, console: Console) -> Iterator[Split]:
    yield from random_splits(len(data), plan.random, plan.test_fraction, seed)
    yield from mixture_splits(data, plan.mixture, plan.test_fraction, seed)
    if plan.paper:
        yield from paper_splits(data)[: plan.paper]
    if plan.trained_up_to_K is not None:
        yield hotter_split(data, plan.trained_up_to_K)
    if plan.solvent:
        try:
            yield from solvent_splits(data, plan.solvent, plan.test_fraction, seed)
        except InputError as error:
            if "solvent" in plan.model_fields_set:
                raise
            console.print(f"Not judged on unseen solvents. {error}", markup=False)


def _number(value: float | None, digits: str) -> str:
    return "-" if value is None else format(value, digits)


def _facts(source: DataSource, data: MixtureData) -> dict[str, Any]:
    facts: dict[str, Any] = {"source": data.source, "sha256": data.sha256, "rows": len(data)}
    if source.dataset is not None:
        entry = dataset(source.dataset)
        facts |= {"name": entry.name, "licence": entry.licence, "citation": entry.citation}
        facts["url"] = " ".join(file.url for file in entry.files)
    return facts | {"columns": source.columns, "units": source.units, "report": list(data.report)}
