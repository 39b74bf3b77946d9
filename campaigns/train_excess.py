"""Train an ensemble on excess properties: judge it beside its rivals, then fit it and write it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from campaigns.excess_config import ExcessConfig, ExcessSource
from campaigns.excess_judging import judge_excess
from campaigns.report import progress
from campaigns.train import print_times, versions
from surrogates.checkpoints import ScoreRow
from surrogates.datasets import dataset, load_excess_dataset
from surrogates.errors import InputError, Problem
from surrogates.excess_data import ExcessData
from surrogates.excess_models import ExcessCard, ExcessEnsemble, save_excess_model
from surrogates.excess_tables import read_excess
from surrogates.excess_training import ExcessSettings, check_excess, fit_excess
from surrogates.model_directories import check_free
from surrogates.three_way_splits import FEWEST_GROUPS, ThreeWaySplit, three_way_splits


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
    rows, times = judge_excess(data, splits, config, console)
    print_times(times, console)
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
