"""A model beside its rivals on the same splits: what each says of rows that it has not seen."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, replace
from statistics import fmean, pstdev
from time import perf_counter
from typing import Literal, TypeGuard, TypeVar, get_args

import pandas as pd
import torch
from joblib import Parallel, delayed
from rich.console import Console
from torch import Tensor

from campaigns.report import progress
from surrogates.calibration import scores
from surrogates.checkpoints import MixtureModel, ScoreRow, Surrogate
from surrogates.ensemble import EnsembleSettings, fit_ensemble, fit_judged_ensemble
from surrogates.fingerprint_ensemble import fit_fingerprint
from surrogates.forest import Forest
from surrogates.judged_ensemble import AnyJudgedEnsemble
from surrogates.law_ensemble import LawSettings, fit_judged_law_ensemble, fit_law_ensemble
from surrogates.mixture_data import MixtureData
from surrogates.splits import Split, tested_parts

Settings = EnsembleSettings | LawSettings
Rival = Literal[
    "ensemble", "gp", "gp-variational", "deep-kernel", "forest", "fingerprint", "no-law", "no-law-log"
]
SURROGATES: tuple[Surrogate, ...] = get_args(Surrogate)
"""What can be trained and kept; the other rivals are but judged."""
OnEnsemble = Surrogate | Literal["gp-variational"]
POOLED = "paper"
"""Splits whose test rows are scored together: papers differ in size by two orders of magnitude."""
SHOWN = {
    "mae": "MAE",
    "mae_mS_cm": "MAE, mS/cm",
    "rmse": "RMSE",
    "pearson": "Pearson",
    "spearman": "Spearman",
    "nll": "NLL",
    "crps": "CRPS",
    "coverage_90": "coverage of 90 %",
    "width_90": "its width",
    "error_spearman": "Spearman of error, std",
    "ence": "ENCE",
    "miscalibration_area": "miscal. area",
}
_ASKED_AT_ONCE = 4096
"""Mixtures that tell a model's rate: the test rows, as often as needed."""
Rows = TypeVar("Rows", bound=Sized)
_LOG_CONDUCTIVITY = "log10_conductivity_S_cm"


@dataclass(frozen=True)
class Words:
    """What a model says of `n` test rows.

    Attributes:
        rows: `n`, which rows of the data.
        mean: `n`, in the target's unit.
        std: `n`, of a measurement.
        interval: `n`, standard deviations on either side of the mean that hold 90 %.
    """

    rows: Tensor
    mean: Tensor
    std: Tensor
    interval: Tensor


@dataclass(frozen=True)
class Trial:
    """A model on a split.

    Attributes:
        words: What it says of the test rows.
        fit_s: Seconds that it took to fit, on one thread, with that of the ensemble on which it stands.
        rate: Mixtures a second that it predicts.
    """

    words: Words
    fit_s: float
    rate: float


@dataclass(frozen=True)
class Judged:
    """What came of judging.

    Attributes:
        scores: A row for each model on each part of the test rows that is told.
        held_out: A row for each test row of each split and model: `splits`, what no training row shared with
            it; `split`, its number; `model`; `row`, of the data file; the target as measured, its `_mean`,
            `_std`, `_lower_90` and `_upper_90`.
        times: A row for each model, its `fit_s` and `rate` in the mean over the splits, and both over those
            of the first model: beside other work only the ratios tell something.
    """

    scores: tuple[ScoreRow, ...]
    held_out: pd.DataFrame
    times: pd.DataFrame


def judge(
    data: MixtureData,
    splits: Sequence[Split],
    settings: Settings,
    beside: Sequence[Rival],
    console: Console,
    surrogate: Surrogate = "ensemble",
) -> Judged:
    """Score a model and its rivals on each split, as many splits at once as there are cores.

    Args:
        data: Measured mixtures.
        splits: Which rows train and which test; those by paper are scored as one.
        settings: Of the ensemble.
        beside: Its rivals; `fingerprint`, `no-law` and `no-law-log` stand beside a law ensemble only.
        console: Where progress is shown.
        surrogate: The model.

    Raises:
        InputError: If the ensemble or a rival cannot be fitted to the training rows of a split.
    """
    said: dict[tuple[str, str], list[Words]] = {}
    held_out: list[pd.DataFrame] = []
    times: list[dict[str, object]] = []
    judged = Parallel(n_jobs=-1, return_as="generator")(
        delayed(_judge_split)(data, split, settings, tuple(dict.fromkeys((surrogate, *beside))))
        for split in splits
    )
    with progress(console, "splits", len(splits)) as told:
        for number, (split, models) in enumerate(zip(splits, judged, strict=True), 1):
            for model, trial in models.items():
                words = trial.words
                times.append({"model": model, "fit_s": trial.fit_s, "rate": trial.rate})
                which = {"splits": split.name, "split": number, "model": model}
                held_out.append(_held_out(data, words).assign(**which))
                for part, rows in tested_parts(split, data).items():
                    said.setdefault((part, model), []).append(_of(words, rows))
            console.print(f"split {number} ({split.name}), {_errors(data, models)}", soft_wrap=True)
            told(number)
    found = tuple(_summed_up(data, part, model, each) for (part, model), each in said.items())
    said_of_rows = pd.concat(held_out, ignore_index=True) if held_out else pd.DataFrame()
    return Judged(found, said_of_rows, mean_times(times))


def fit(
    data: MixtureData,
    rows: Tensor,
    settings: Settings,
    seed: int,
    told: Callable[[int, int], None] = lambda done, of: None,
    surrogate: OnEnsemble = "ensemble",
) -> MixtureModel:
    """Return a surrogate on the encoder that the settings are of; see `fit_ensemble`, `fit_law_ensemble`."""
    if surrogate != "ensemble":
        return _standing_on(_judged(data, rows, settings, seed, told), surrogate, seed)
    if isinstance(settings, LawSettings):
        return fit_law_ensemble(data, rows, settings, seed, told)
    return fit_ensemble(data, rows, settings, seed, told)


def _judged(
    data: MixtureData,
    rows: Tensor,
    settings: Settings,
    seed: int,
    told: Callable[[int, int], None] = lambda done, of: None,
) -> AnyJudgedEnsemble:
    if isinstance(settings, LawSettings):
        return fit_judged_law_ensemble(data, rows, settings, seed, told)
    return fit_judged_ensemble(data, rows, settings, seed, told)


def _standing_on(judged: AnyJudgedEnsemble, surrogate: OnEnsemble, seed: int) -> MixtureModel:
    """Return a surrogate on the encoders of an ensemble that is fitted."""
    if surrogate == "ensemble":
        return judged.calibrated()
    # BoTorch takes seconds to import that a training of an ensemble alone need not wait.
    from surrogates.deep_kernel import fit_deep_kernel
    from surrogates.gp_fitting import fit_gp

    if surrogate == "deep-kernel":
        return fit_deep_kernel(judged, seed)
    return fit_gp(judged, seed, "variational" if surrogate == "gp-variational" else None)


def _judge_split(
    data: MixtureData, split: Split, settings: Settings, names: tuple[Rival, ...]
) -> dict[str, Trial]:
    torch.set_num_threads(1)
    return {
        name: Trial(predict(split.test), fit_s, rate(predict, asked_at_once(split.test)))
        for name, predict, fit_s in _fitted(data, split, settings, names)
    }


def _fitted(
    data: MixtureData, split: Split, settings: Settings, names: tuple[Rival, ...]
) -> Iterator[tuple[str, Callable[[Tensor], Words], float]]:
    """Yield each model by name, what it says of rows, and the seconds it took; some share an ensemble."""
    judged, shared_s = None, 0.0
    if sum(_stands_on_ensemble(name) for name in names) > 1:
        started = perf_counter()
        judged = _judged(data, split.train, settings, split.seed)
        shared_s = perf_counter() - started
    for name in names:
        started = perf_counter()
        if not _stands_on_ensemble(name):
            yield name, _rival(name, data, split, settings), perf_counter() - started
            continue
        model = (
            fit(data, split.train, settings, split.seed, surrogate=name)
            if judged is None
            else _standing_on(judged, name, split.seed)
        )
        yield name, _says(data, model), shared_s + perf_counter() - started


def _stands_on_ensemble(name: Rival) -> TypeGuard[OnEnsemble]:
    return name in (*SURROGATES, "gp-variational")


def asked_at_once(test: Tensor) -> Tensor:
    """Return test rows, as often as needed, that tell a model's rate."""
    return test.repeat(-(-_ASKED_AT_ONCE // len(test)))[:_ASKED_AT_ONCE]


def rate(predict: Callable[[Rows], object], rows: Rows) -> float:
    """Return the rows a second that a model predicts."""
    started = perf_counter()
    predict(rows)
    return len(rows) / (perf_counter() - started)


def mean_times(times: Sequence[Mapping[str, object]]) -> pd.DataFrame:
    """Return `Judged.times` from the `model`, `fit_s` and `rate` of each model on each split."""
    if not times:
        return pd.DataFrame()
    mean = pd.DataFrame([*times]).groupby("model", sort=False).mean()
    ratios = (mean / mean.iloc[0]).add_suffix("_over_first")
    return pd.concat([mean, ratios], axis=1).reset_index()


def _says(data: MixtureData, model: MixtureModel) -> Callable[[Tensor], Words]:
    predictor = model.bind(data.table)

    def predict(rows: Tensor) -> Words:
        said = predictor.predict(data.batch[rows])
        return Words(rows, said.mean.double(), said.std.double(), said.interval_factor.double())

    return predict


def _rival(rival: Rival, data: MixtureData, split: Split, settings: Settings) -> Callable[[Tensor], Words]:
    if rival == "forest":
        forest = Forest.fit(data, split.train, split.seed)
        return lambda rows: _words(rows, *forest.predict(data.batch[rows]), forest.interval_factor)
    if not isinstance(settings, LawSettings):
        raise ValueError(f"{rival} stands beside a law ensemble only")
    if rival == "fingerprint":
        known = fit_fingerprint(data, split.train, settings, split.seed)
        return lambda rows: _words(rows, *known.predict(data.batch[rows]), known.interval_factor)
    encoder = replace(settings.encoder, law="none" if rival == "no-law" else "log")
    return _says(data, fit(data, split.train, replace(settings, encoder=encoder), split.seed))


def _words(rows: Tensor, mean: Tensor, std: Tensor, factor: float) -> Words:
    return Words(rows, mean.double(), std.double(), torch.full((len(rows),), factor, dtype=torch.float64))


def _of(words: Words, rows: Tensor) -> Words:
    some = torch.isin(words.rows, rows)
    return Words(words.rows[some], words.mean[some], words.std[some], words.interval[some])


def _held_out(data: MixtureData, words: Words) -> pd.DataFrame:
    name, margin = data.target_name, words.interval * words.std
    return pd.DataFrame(
        {
            "splits": "",
            "split": 0,
            "model": "",
            "row": data.rows["row"].to_numpy()[words.rows.numpy()],
            name: data.target[words.rows].numpy(),
            f"{name}_mean": words.mean.numpy(),
            f"{name}_std": words.std.numpy(),
            f"{name}_lower_90": (words.mean - margin).numpy(),
            f"{name}_upper_90": (words.mean + margin).numpy(),
        }
    )


def _scored(data: MixtureData, words: Words) -> dict[str, float]:
    target = data.target[words.rows]
    found = scores(target, words.mean, words.std, words.interval)
    known = {name: float(getattr(found, name)) for name in SHOWN if hasattr(found, name)}
    return known | error_in_mS_cm(data.target_name, target, words.mean)


def error_in_mS_cm(target: str, measured: Tensor, mean: Tensor) -> dict[str, float]:
    """Return the mean absolute error in mS/cm of a logarithm of conductivity, nothing of other targets."""
    if target != _LOG_CONDUCTIVITY:
        return {}
    return {"mae_mS_cm": float((10 ** (mean + 3) - 10 ** (measured + 3)).abs().mean())}


def _errors(data: MixtureData, models: Mapping[str, Trial]) -> str:
    """Return the mean absolute error of each model, in words; of a conductivity in mS/cm."""
    found = {model: _scored(data, trial.words) for model, trial in models.items()}
    if data.target_name == _LOG_CONDUCTIVITY:
        return "MAE in mS/cm: " + ", ".join(f"{m} {one['mae_mS_cm']:.4f}" for m, one in found.items())
    return "MAE: " + ", ".join(f"{model} {one['mae']:.3f}" for model, one in found.items())


def _summed_up(data: MixtureData, part: str, model: str, each: Sequence[Words]) -> ScoreRow:
    repeats, is_pooled = len(each), part.startswith(POOLED)
    if is_pooled:
        fields = ("rows", "mean", "std", "interval")
        each = [Words(*(torch.cat([getattr(words, name) for words in each]) for name in fields))]
    found = [_scored(data, words) for words in each]
    row = mean_scores(part, model, [{name: one[name] for name in SHOWN if name in one} for one in found])
    return row.model_copy(
        update={"repeats": repeats} | ({"std": dict.fromkeys(row.std)} if is_pooled else {})
    )


def mean_scores(part: str, model: str, each: Sequence[Mapping[str, float]]) -> ScoreRow:
    """Return the mean and the standard deviation of the scores of a model over splits.

    Args:
        part: Which test rows.
        model: Its name.
        each: Scores by name, one a split, all of the same names.
    """
    columns = {name: [one[name] for one in each] for name in each[0]}
    return ScoreRow(
        splits=part,
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
