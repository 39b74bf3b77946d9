"""Train an ensemble: judge it on splits beside the forest, then fit it to all rows and write it."""

from __future__ import annotations

import math
import platform
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

import torch
from joblib import Parallel, delayed
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from campaigns.config import load_yaml, resolve_job
from campaigns.report import progress
from campaigns.train_config import DataSource, SplitPlan, TrainConfig
from surrogates.calibration import Scores, scores
from surrogates.checkpoints import ModelCard, ScoreRow, card_of, save_model
from surrogates.datasets import dataset, load_dataset
from surrogates.ensemble import EnsembleSettings, check_trainable, fit_ensemble
from surrogates.errors import InputError, Problem
from surrogates.forest import Forest
from surrogates.mixture_data import MixtureData
from surrogates.model_directories import check_free
from surrogates.splits import Split, random_splits, solvent_splits
from surrogates.tables import read_mixtures

SHOWN = {
    "mae": "MAE",
    "rmse": "RMSE",
    "pearson": "Pearson",
    "spearman": "Spearman",
    "nll": "NLL",
    "coverage_90": "coverage of 90 %",
    "width_90": "its width",
    "miscalibration_area": "miscal. area",
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
    check_trainable(data, everything, settings.members)
    splits = list(_splits(data, config.splits, config.seed, console))
    for split in splits:
        check_trainable(data, split.train, settings.members)
    rows = _judge(data, splits, settings, console)
    torch.set_num_threads(1)  # as on the splits: the numbers do not depend on the machine's cores
    with progress(console, "epochs of the final fit", settings.training.epochs) as told:
        ensemble = fit_ensemble(data, everything, settings, config.seed, lambda done, of: told(done))
    card = card_of(ensemble, settings, _facts(config.data, data), config.seed, versions(), rows)
    save_model(ensemble, card, out)
    return card


def print_scores(card: ModelCard, console: Console) -> None:
    """Print the scores of a card, a line for each model on each kind of split."""
    table = Table(box=SIMPLE_HEAD, title=f"{card.target}: mean over splits ± standard deviation")
    for heading in ("test rows", "model", *SHOWN.values()):
        table.add_column(heading)
    told = {"random": "drawn at random", "solvent": "with an unseen solvent"}
    for row in card.scores:
        cells = [f"{_number(row.mean[name])} ± {_number(row.std[name])}" for name in SHOWN]
        table.add_row(f"{told[row.splits]} ({row.repeats} splits)", row.model, *cells)
    if card.scores:
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
    if plan.solvent:
        try:
            yield from solvent_splits(data, plan.solvent, plan.test_fraction, seed)
        except InputError as error:
            if "solvent" in plan.model_fields_set:
                raise
            console.print(f"Not judged on unseen solvents. {error}", markup=False)


def _judge(
    data: MixtureData, splits: Sequence[Split], settings: EnsembleSettings, console: Console
) -> tuple[ScoreRow, ...]:
    """Score ensemble and forest on each split, as many splits at once as there are cores."""
    found: dict[tuple[str, str], list[Scores]] = {}
    judged = Parallel(n_jobs=-1, return_as="generator")(
        delayed(_judge_split)(data, split, settings) for split in splits
    )
    with progress(console, "splits", len(splits)) as told:
        for number, (split, both) in enumerate(zip(splits, judged, strict=True), 1):
            for model, its_scores in both.items():
                found.setdefault((split.name, model), []).append(its_scores)
            errors = ", ".join(f"{model} {its_scores.mae:.3f}" for model, its_scores in both.items())
            console.print(f"split {number} ({split.name}), MAE: {errors}", soft_wrap=True)
            told(number)
    return tuple(_summed_up(kind, model, each) for (kind, model), each in found.items())


def _judge_split(data: MixtureData, split: Split, settings: EnsembleSettings) -> dict[str, Scores]:
    torch.set_num_threads(1)
    test, target = data.batch[split.test], data.target[split.test]
    ensemble = fit_ensemble(data, split.train, settings, split.seed)
    said = ensemble.bind(data.table).predict(test)
    forest = Forest.fit(data, split.train, split.seed)
    mean, std = forest.predict(test)
    return {
        "ensemble": scores(target, said.mean, said.std, ensemble.calibration.interval_factor),
        "forest": scores(target, mean, std, forest.interval_factor),
    }


def _summed_up(kind: str, model: str, each: Sequence[Scores]) -> ScoreRow:
    columns = {name: [getattr(one, name) for one in each] for name in SHOWN}
    return ScoreRow(
        splits=kind,
        model=model,
        repeats=len(each),
        mean={name: _finite(fmean(values)) for name, values in columns.items()},
        std={name: _finite(_spread(values)) for name, values in columns.items()},
    )


def _spread(values: Sequence[float]) -> float:
    """Return the standard deviation; that of the standard library fails on NaN."""
    return pstdev(values) if all(map(math.isfinite, values)) else math.nan


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _facts(source: DataSource, data: MixtureData) -> dict[str, Any]:
    facts: dict[str, Any] = {"source": data.source, "sha256": data.sha256, "rows": len(data)}
    if source.dataset is not None:
        entry = dataset(source.dataset)
        facts |= {"name": entry.name, "licence": entry.licence, "citation": entry.citation}
        facts["url"] = " ".join(file.url for file in entry.files)
    return facts | {"columns": source.columns, "units": source.units, "report": list(data.report)}
