"""Models of an excess property beside each other: what each says of rows that it was not fitted to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, TypeVar

import pandas as pd
import torch
from joblib import Parallel, delayed
from rich.console import Console
from torch import Tensor

from campaigns.excess_config import ExcessConfig
from campaigns.judging import asked_at_once, mean_scores, mean_times, rate
from campaigns.report import progress
from campaigns.train import print_score_table
from surrogates.calibration import scores
from surrogates.checkpoints import ScoreRow
from surrogates.excess_baselines import ExcessForest, FingerprintExcess
from surrogates.excess_data import ExcessData
from surrogates.excess_models import ExcessCard, ExcessEnsemble
from surrogates.excess_training import fit_excess, predict
from surrogates.prediction import Prediction
from surrogates.three_way_splits import ThreeWaySplit

if TYPE_CHECKING:
    from surrogates.excess_gp import ExcessGP

SHOWN = {
    "mae": "MAE",
    "mae_exchanged": "MAE, exchanged",
    "mae_sound": "MAE, no suspects",
    "rmse": "RMSE",
    "spearman": "Spearman",
    "nll": "NLL",
    "crps": "CRPS",
    "coverage_90": "coverage of 90 %",
    "width_90": "its width",
}
PROCESS = "Gaussian process"
Model = TypeVar("Model")
_TOLD = {"rows": "rows at random", "pairs": "unseen pairs"}


@dataclass(frozen=True)
class _Fitted:
    """A model.

    Attributes:
        name: Of the model.
        predict: Returns mean and standard deviation of measurements, each `n`.
        factor: Standard deviations on either side of the mean that hold 90 %.
        fit_s: Seconds that it took to fit, with that of the ensemble on which it stands.
    """

    name: str
    predict: Callable[[ExcessData], tuple[Tensor, Tensor]]
    factor: float
    fit_s: float


@dataclass(frozen=True)
class _Trial:
    """A model on a split: its scores, the seconds it took to fit, and the rows a second that it predicts."""

    scores: dict[str, float]
    fit_s: float
    rate: float


def judge_excess(
    data: ExcessData, splits: Sequence[ThreeWaySplit], config: ExcessConfig, console: Console
) -> tuple[tuple[ScoreRow, ...], pd.DataFrame]:
    """Score the ensemble and its rivals on each split, as many splits at once as there are cores.

    The rivals are ensembles with other laws or none, a Gaussian process on the embedding of the first
    ensemble, fingerprints and a forest.

    Args:
        data: Measurements.
        splits: Which rows train, which stop the training and calibrate, and which test.
        config: What is judged.
        console: Where progress is shown.

    Returns:
        A row for each model on each kind of split; and `judging.Judged.times`.
    """
    found: dict[tuple[str, str], list[dict[str, float]]] = {}
    times: list[dict[str, object]] = []
    judged = Parallel(n_jobs=-1, return_as="generator")(
        delayed(_judge_split)(data, split, config) for split in splits
    )
    with progress(console, "splits", len(splits)) as told:
        for number, (split, models) in enumerate(zip(splits, judged, strict=True), 1):
            for model, trial in models.items():
                found.setdefault((split.name, model), []).append(trial.scores)
                times.append({"model": model, "fit_s": trial.fit_s, "rate": trial.rate})
            errors = ", ".join(f"{model} {trial.scores['mae']:.3g}" for model, trial in models.items())
            console.print(f"split {number} ({split.name}), MAE: {errors}", soft_wrap=True)
            told(number)
    return tuple(mean_scores(kind, model, each) for (kind, model), each in found.items()), mean_times(times)


def print_excess_scores(card: ExcessCard, console: Console) -> None:
    """Print the scores of a card, a table for each kind of split with a column for each model."""
    for kind in dict.fromkeys(row.splits for row in card.scores):
        rows = [row for row in card.scores if row.splits == kind]
        told = f"{_TOLD[kind]} ({rows[0].repeats} splits)"
        title = f"{card.target}, {told}: mean ± standard deviation over splits"
        print_score_table(title, rows, SHOWN, ".3g", console)


def _judge_split(data: ExcessData, split: ThreeWaySplit, config: ExcessConfig) -> dict[str, _Trial]:
    torch.set_num_threads(1)
    test, asked = data.take(split.test), data.take(asked_at_once(split.test))
    return {
        model.name: _Trial(_scored(test, model), model.fit_s, rate(model.predict, asked))
        for model in _fitted(data, split, config)
    }


def _fitted(data: ExcessData, split: ThreeWaySplit, config: ExcessConfig) -> Iterator[_Fitted]:
    # BoTorch takes seconds to import that a training without splits need not wait.
    from surrogates.excess_gp import fit_excess_gp

    known, seed = (data, split.train, split.validate), split.seed
    first, first_s = _timed(lambda: fit_excess(*known, config.settings(config.order), seed))
    yield _Fitted(_law(config.order), _says(partial(predict, first)), _factor(first), first_s)
    gp, gp_s = _timed(lambda: fit_excess_gp(first, *known, seed))
    yield _Fitted(PROCESS, _says(gp.predict), _factor(gp), first_s + gp_s)
    others = config.other_orders if split.name == "rows" else []
    for order in dict.fromkeys((*(order for order in others if order != config.order), None)):
        other, other_s = _timed(partial(fit_excess, *known, config.settings(order), seed))
        yield _Fitted(_law(order), _says(partial(predict, other)), _factor(other), other_s)
    fingerprint, its_s = _timed(lambda: FingerprintExcess.fit(*known, config.members, seed))
    yield _Fitted("fingerprint", fingerprint.predict, _factor(fingerprint), its_s)
    forest, its_s = _timed(lambda: ExcessForest.fit(*known, seed))
    yield _Fitted("forest", forest.predict, _factor(forest), its_s)


def _timed(fit: Callable[[], Model]) -> tuple[Model, float]:
    started = perf_counter()
    return fit(), perf_counter() - started


def _law(order: int | None) -> str:
    return "GNN-only" if order is None else f"Redlich-Kister, order {order}"


def _factor(model: ExcessEnsemble | ExcessGP | FingerprintExcess | ExcessForest) -> float:
    return model.calibration.interval_factor


def _says(predict: Callable[[ExcessData], Prediction]) -> Callable[[ExcessData], tuple[Tensor, Tensor]]:
    def says(data: ExcessData) -> tuple[Tensor, Tensor]:
        said = predict(data)
        return said.mean, said.std

    return says


def _scored(test: ExcessData, model: _Fitted) -> dict[str, float]:
    """Return scores of what a model says of rows and of the same rows with components exchanged."""
    mean, std = model.predict(test)
    said = scores(test.target, mean, std, model.factor)
    exchanged = scores(test.target, *model.predict(test.exchanged()), model.factor)
    sound = torch.tensor(~test.rows["suspect"].to_numpy(dtype=bool))
    others = scores(test.target[sound], mean[sound], std[sound], model.factor)
    more = {"mae_exchanged": exchanged.mae, "mae_sound": others.mae}
    return {name: more[name] if name in more else float(getattr(said, name)) for name in SHOWN}
