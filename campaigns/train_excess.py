"""Train an ensemble on excess properties: judge it beside its rivals, then fit it and write it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

import torch
from joblib import Parallel, delayed
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from torch import Tensor

from campaigns.excess_config import ExcessConfig, ExcessSource
from campaigns.report import progress
from campaigns.train import versions
from surrogates.calibration import scores
from surrogates.checkpoints import ScoreRow
from surrogates.datasets import dataset, load_excess_dataset
from surrogates.errors import InputError, Problem
from surrogates.excess_baselines import ExcessForest, FingerprintExcess
from surrogates.excess_data import ExcessData
from surrogates.excess_models import ExcessCard, ExcessEnsemble, save_excess_model
from surrogates.excess_tables import read_excess
from surrogates.excess_training import ExcessSettings, check_excess, fit_excess, predict
from surrogates.model_directories import check_free
from surrogates.three_way_splits import FEWEST_GROUPS, ThreeWaySplit, three_way_splits

SHOWN = {
    "mae": "MAE",
    "mae_exchanged": "MAE, exchanged",
    "mae_sound": "MAE, no suspects",
    "rmse": "RMSE",
    "nll": "NLL",
    "coverage_90": "coverage",
    "width_90": "width",
}
_TOLD = {"rows": "rows at random", "pairs": "unseen pairs"}


def train_excess_to_directory(
    config: ExcessConfig, beside: Path, out: Path, data_dir: Path | None, console: Console
) -> ExcessCard:
    """Train on excess properties, judge on splits, and write the model directory.

    Args:
        config: What and how.
        beside: Directory of the job, from which a path in it counts.
        out: The directory, new or empty.
        data_dir: Where data sets are looked for first.
        console: Where progress is shown.

    Raises:
        InputError: If the data or the directory cannot be used; nothing is written.
    """
    check_free(out)
    data = _read(config.excess, beside, data_dir)
    for line in data.report:
        console.print(line, markup=False, soft_wrap=True)
    settings = config.settings(config.order)
    check_excess(data, settings)
    splits = _splits(data, config)
    rows = _judge(data, splits, config, console)
    torch.set_num_threads(1)  # the numbers do not depend on the machine's cores
    (last,) = three_way_splits("rows", torch.arange(len(data)), 1, config.seed)
    with progress(console, "steps of the final fit", settings.steps) as told:
        ensemble = fit_excess(
            data,
            torch.cat([last.train, last.test]),
            last.validate,
            settings,
            config.seed,
            lambda done, of: told(done),
        )
    card = _card(ensemble, settings, config, data, rows)
    save_excess_model(ensemble, card, out)
    return card


def print_excess_scores(card: ExcessCard, console: Console) -> None:
    """Print the scores of a card, a line for each model on each kind of split."""
    table = Table(box=SIMPLE_HEAD, title=f"{card.target}: mean over splits ± standard deviation")
    for heading in ("test rows", "model", *SHOWN.values()):
        table.add_column(heading)
    for row in card.scores:
        cells = [f"{row.mean[name]:.3g} ± {row.std[name]:.2g}" for name in SHOWN]
        table.add_row(f"{_TOLD[row.splits]} ({row.repeats} splits)", row.model, *cells)
    if card.scores:
        console.print(table)


def _read(source: ExcessSource, beside: Path, data_dir: Path | None) -> ExcessData:
    if source.dataset is not None:
        return load_excess_dataset(source.dataset, source.property, data_dir)
    return read_excess(beside / (source.file or ""), source.property, source.columns, source.units)


def _splits(data: ExcessData, config: ExcessConfig) -> list[ThreeWaySplit]:
    pairs = torch.tensor(data.rows["pair"].to_numpy())
    if config.splits.pairs and len(pairs.unique()) < FEWEST_GROUPS:
        wrong = f"{len(pairs.unique())} pairs of molecules; a test on unseen pairs needs {FEWEST_GROUPS}"
        mend = "Add measurements of other pairs, or write splits: {pairs: 0}."
        raise InputError(Problem(data.source, wrong, mend))
    return [
        *three_way_splits("rows", torch.arange(len(data)), config.splits.rows, config.seed),
        *three_way_splits("pairs", pairs, config.splits.pairs, config.seed),
    ]


def _judge(
    data: ExcessData, splits: Sequence[ThreeWaySplit], config: ExcessConfig, console: Console
) -> tuple[ScoreRow, ...]:
    """Score the ensemble and its rivals on each split, as many splits at once as there are cores."""
    found: dict[tuple[str, str], list[dict[str, float]]] = {}
    judged = Parallel(n_jobs=-1, return_as="generator")(
        delayed(_judge_split)(data, split, config) for split in splits
    )
    with progress(console, "splits", len(splits)) as told:
        for number, (split, models) in enumerate(zip(splits, judged, strict=True), 1):
            for model, its_scores in models.items():
                found.setdefault((split.name, model), []).append(its_scores)
            errors = ", ".join(f"{model} {its_scores['mae']:.3g}" for model, its_scores in models.items())
            console.print(f"split {number} ({split.name}), MAE: {errors}", soft_wrap=True)
            told(number)
    return tuple(_summed_up(kind, model, each) for (kind, model), each in found.items())


def _judge_split(data: ExcessData, split: ThreeWaySplit, config: ExcessConfig) -> dict[str, dict[str, float]]:
    torch.set_num_threads(1)
    train, validate, seed = split.train, split.validate, split.seed
    others = config.other_orders if split.name == "rows" else []
    settings = {f"Redlich-Kister, order {n}": config.settings(n) for n in (config.order, *others)}
    settings["GNN-only"] = config.settings(None)
    test = data.take(split.test)
    found: dict[str, dict[str, float]] = {}
    for model, its in settings.items():
        ensemble = fit_excess(data, train, validate, its, seed)
        both = [(said.mean, said.std) for said in (predict(ensemble, d) for d in (test, test.exchanged()))]
        found[model] = _scored(test, both, ensemble.calibration.interval_factor)
    fingerprint = FingerprintExcess.fit(data, train, validate, config.members, seed)
    both = [fingerprint.predict(d) for d in (test, test.exchanged())]
    found["fingerprint"] = _scored(test, both, fingerprint.calibration.interval_factor)
    forest = ExcessForest.fit(data, train, validate, seed)
    both = [forest.predict(d) for d in (test, test.exchanged())]
    found["forest"] = _scored(test, both, forest.calibration.interval_factor)
    return found


def _scored(test: ExcessData, both: Sequence[tuple[Tensor, Tensor]], factor: float) -> dict[str, float]:
    """Return scores of what a model says of rows and of the same rows with components exchanged."""
    said, exchanged = (scores(test.target, mean, std, factor) for mean, std in both)
    sound = torch.tensor(~test.rows["suspect"].to_numpy(dtype=bool))
    others = scores(test.target[sound], both[0][0][sound], both[0][1][sound], factor)
    shown = {name: float(getattr(said, name)) for name in SHOWN if hasattr(said, name)}
    return shown | {"mae_exchanged": exchanged.mae, "mae_sound": others.mae}


def _summed_up(kind: str, model: str, each: Sequence[dict[str, float]]) -> ScoreRow:
    columns = {name: [one[name] for one in each] for name in SHOWN}
    return ScoreRow(
        splits=kind,
        model=model,
        repeats=len(each),
        mean={name: fmean(values) for name, values in columns.items()},
        std={name: pstdev(values) for name, values in columns.items()},
    )


def _card(
    ensemble: ExcessEnsemble,
    settings: ExcessSettings,
    config: ExcessConfig,
    data: ExcessData,
    rows: tuple[ScoreRow, ...],
) -> ExcessCard:
    facts: dict[str, Any] = {"source": data.source, "sha256": data.sha256, "rows": len(data)}
    if config.excess.dataset is not None:
        entry = dataset(config.excess.dataset)
        facts |= {"name": entry.name, "licence": entry.licence, "citation": entry.citation}
        facts["url"] = " ".join(file.url for file in entry.files if file.name == data.source)
    facts["columns"], facts["units"] = config.excess.columns, config.excess.units
    return ExcessCard(
        target=ensemble.target,
        scale=ensemble.scale,
        network=settings.network,
        members=settings.members,
        calibration=ensemble.calibration,
        domain=ensemble.domain,
        data=facts | {"report": list(data.report)},
        seed=config.seed,
        versions=versions(),
        scores=rows,
    )
