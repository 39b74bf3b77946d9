"""Models side by side on splits: who is asked, on which rows, and how errors are summed up."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from statistics import fmean, pstdev

import pytest
import torch
from joblib import parallel_config
from rich.console import Console
from torch import Tensor

from campaigns import judging
from campaigns.judging import SHOWN, Rival, fit, judge
from surrogates.batches import MixtureBatch
from surrogates.calibration import scores
from surrogates.checkpoints import ScoreRow
from surrogates.ensemble import EnsembleSettings
from surrogates.judged_ensemble import JudgedEnsemble
from surrogates.law_ensemble import LawEnsemble, LawSettings, fit_law_ensemble
from surrogates.mixture_data import MixtureData
from surrogates.molecules import MoleculeTable
from surrogates.prediction import Prediction
from surrogates.splits import Split, hotter_split, mixture_splits, paper_splits
from tests.synthetic_gps import judged_law_ensemble, small_deep_kernel, small_gp
from tests.synthetic_laws import SETTINGS, vft_data

DATA = vft_data(24)
PAPERS = replace(DATA, rows=DATA.rows.assign(paper=["a"] * 56 + ["b"] * 28 + ["c"] * 12))
RIVALS: tuple[Rival, ...] = ("no-law", "no-law-log", "fingerprint", "forest")


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("surrogates.forest.TREES", 5)
    with parallel_config(backend="sequential"):
        yield


@dataclass(frozen=True)
class Constant:
    """Says the mean of the training rows plus `off` of every mixture, within 0.5."""

    value: float

    def bind(self, table: MoleculeTable) -> Constant:
        return self

    def predict(self, batch: MixtureBatch) -> Prediction:
        n = len(batch)
        return Prediction(
            torch.full((n,), self.value),
            torch.full((n,), 0.09),
            torch.full((n,), 0.16),
            torch.ones(n) > 0,
            torch.full((n,), 1.6),
        )


@pytest.fixture
def constants(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Put constants in the place of law ensembles, higher by what stands here for each law."""
    off = {"vft": 0.0, "none": 0.5, "log": 1.0}

    def fitted(data: MixtureData, rows: Tensor, settings: LawSettings, seed: int, told: object) -> Constant:
        return Constant(float(data.target[rows].mean()) + off[settings.encoder.law])

    monkeypatch.setattr(judging, "fit_law_ensemble", fitted)
    return off


def judged(
    splits: list[Split], beside: tuple[Rival, ...] = (), data: MixtureData = DATA
) -> tuple[dict[tuple[str, str], ScoreRow], list[str]]:
    console = Console(file=io.StringIO(), width=200)
    rows = judge(data, splits, SETTINGS, beside, console).scores
    assert len({(row.splits, row.model) for row in rows}) == len(rows)
    return {(row.splits, row.model): row for row in rows}, console.file.getvalue().splitlines()


def constant_mae(split: Split, off: float = 0.0) -> float:
    return float((DATA.target[split.test] - DATA.target[split.train].mean() - off).abs().mean())


def test_every_rival_is_asked_on_every_split() -> None:
    splits = mixture_splits(DATA, 2)
    found, lines = judged(splits, RIVALS)
    assert list(found) == [("mixture", model) for model in ("ensemble", *RIVALS)]
    for number, split in enumerate(splits, 1):
        (line,) = [line for line in lines if line.startswith(f"split {number} (mixture), MAE in mS/cm: ")]
        assert [part.split()[0] for part in line.split("mS/cm: ")[1].split(", ")] == ["ensemble", *RIVALS]
        assert len(split.test) > 0
    assert len({row.mean["mae"] for row in found.values()}) == 5
    model = [fit_law_ensemble(DATA, s.train, SETTINGS, s.seed).bind(DATA.table) for s in splits]
    said = [m.predict(DATA.batch[s.test]) for m, s in zip(model, splits, strict=True)]
    each = [
        scores(DATA.target[s.test], p.mean.double(), p.std.double(), p.interval_factor)
        for p, s in zip(said, splits, strict=True)
    ]
    row = found["mixture", "ensemble"]
    for name in ("mae", "nll", "coverage_90", "width_90"):
        values = [getattr(one, name) for one in each]
        assert row.mean[name] == pytest.approx(fmean(values))
        assert row.std[name] == pytest.approx(pstdev(values))


def test_a_network_without_law_is_the_ensemble_with_another(constants: dict[str, float]) -> None:
    splits = mixture_splits(DATA, 3)
    found, _ = judged(splits, ("no-law", "no-law-log"))
    for model, law in (("ensemble", "vft"), ("no-law", "none"), ("no-law-log", "log")):
        row = found["mixture", model]
        each = [constant_mae(split, constants[law]) for split in splits]
        assert row.repeats == 3
        assert row.mean["mae"] == pytest.approx(fmean(each), rel=1e-5)
        assert row.std["mae"] == pytest.approx(pstdev(each), rel=1e-4)
        assert row.mean["width_90"] == pytest.approx(2 * 1.6 * 0.5)


def test_what_was_said_of_test_rows_is_given_row_by_row(constants: dict[str, float]) -> None:
    splits = mixture_splits(DATA, 2)
    held_out = judge(DATA, splits, SETTINGS, ("no-law",), Console(quiet=True)).held_out
    name = DATA.target_name
    assert list(held_out["split"].unique()) == [1, 2] and set(held_out["splits"]) == {"mixture"}
    for (number, model), said in held_out.groupby(["split", "model"]):
        split = splits[int(number) - 1]
        assert list(said["row"]) == list(DATA.rows["row"].to_numpy()[split.test])
        assert list(said[name]) == DATA.target[split.test].tolist()
        off = constants["none" if model == "no-law" else "vft"]
        mean = float(DATA.target[split.train].mean()) + off
        assert said[f"{name}_mean"].to_numpy() == pytest.approx(mean, rel=1e-5)
        assert said[f"{name}_std"].to_numpy() == pytest.approx(0.5)
        assert said[f"{name}_lower_90"].to_numpy() == pytest.approx(mean - 0.8, rel=1e-5)
        assert said[f"{name}_upper_90"].to_numpy() == pytest.approx(mean + 0.8, rel=1e-5)


def test_no_splits_judge_nothing() -> None:
    found = judge(DATA, [], SETTINGS, (), Console(quiet=True))
    assert found.scores == () and found.held_out.empty and found.times.empty


def test_how_long_models_take_is_told_over_the_first(constants: dict[str, float]) -> None:
    times = judge(DATA, mixture_splits(DATA, 2), SETTINGS, ("no-law", "forest"), Console(quiet=True)).times
    assert list(times["model"]) == ["ensemble", "no-law", "forest"]
    assert (times[["fit_s", "rate"]] > 0).all(axis=None)
    assert times["fit_s_over_first"][0] == times["rate_over_first"][0] == 1
    assert times["fit_s_over_first"][2] == pytest.approx(times["fit_s"][2] / times["fit_s"][0])


def test_the_error_is_given_in_mS_cm_too(constants: dict[str, float]) -> None:
    (split,) = mixture_splits(DATA, 1)
    found, _ = judged([split])
    said = 10 ** (float(DATA.target[split.train].mean()) + 3)
    expected = fmean(abs(said - 10 ** (y + 3)) for y in DATA.target[split.test].tolist())
    row = found["mixture", "ensemble"]
    assert row.mean["mae_mS_cm"] == pytest.approx(expected, rel=1e-5)
    assert list(row.mean) == list(SHOWN)
    other, _ = judged([split], data=replace(DATA, target_name="log10_viscosity_Pas"))
    assert "mae_mS_cm" not in other["mixture", "ensemble"].mean


def test_papers_are_scored_as_one(constants: dict[str, float]) -> None:
    splits = paper_splits(PAPERS)
    found, _ = judged(splits, data=PAPERS)
    row = found["paper", "ensemble"]
    errors = [
        abs(y - float(DATA.target[split.train].mean()))
        for split in splits
        for y in DATA.target[split.test].tolist()
    ]
    assert len(errors) == 96
    assert row.repeats == 3
    assert row.mean["mae"] == pytest.approx(fmean(errors), rel=1e-5)
    assert set(row.std.values()) == {None}
    carbonates = found["paper, carbonates", "ensemble"]
    assert carbonates.mean["mae"] != row.mean["mae"]


def test_hotter_rows_are_scored_step_by_step(constants: dict[str, float]) -> None:
    split = hotter_split(DATA, 275.0)
    kelvin = DATA.batch.temperature_K.clone()
    kelvin[kelvin == 300.0], kelvin[kelvin == 325.0] = 285.0, 295.0
    data = replace(DATA, batch=replace(DATA.batch, temperature_K=kelvin))
    found, _ = judged([split], data=data)
    assert list(found) == [("10 K hotter", "ensemble"), ("20 K hotter", "ensemble")]
    target, mean = DATA.target[kelvin == 295.0], DATA.target[split.train].mean()
    expected = float((target - mean).abs().mean())
    assert found["20 K hotter", "ensemble"].mean["mae"] == pytest.approx(expected, rel=1e-5)


def test_a_score_that_is_no_number_is_none(constants: dict[str, float]) -> None:
    constants["vft"] = 400.0
    (split,) = mixture_splits(DATA, 1)
    row = judged([split])[0]["mixture", "ensemble"]
    assert [row.mean["mae_mS_cm"], row.std["mae_mS_cm"], row.mean["pearson"]] == [None, None, None]
    assert row.mean["mae"] is not None and math.isfinite(row.mean["mae"])


@pytest.mark.parametrize("rival", ["no-law", "no-law-log", "fingerprint"])
def test_no_forest_stands_in_for_a_rival_of_another_encoder(
    rival: Rival, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "fit_ensemble", lambda *_: Constant(0.0))
    with pytest.raises(ValueError, match=f"^{rival} stands beside a law ensemble only$"):
        judge(DATA, mixture_splits(DATA, 1), EnsembleSettings(), (rival,), Console(quiet=True))


def test_surrogates_stand_on_one_ensemble(monkeypatch: pytest.MonkeyPatch) -> None:
    fits: list[int] = []

    def fitted(data: MixtureData, rows: Tensor, *_: object) -> JudgedEnsemble[LawEnsemble]:
        fits.append(len(rows))
        return judged_law_ensemble()

    monkeypatch.setattr(judging, "fit_judged_law_ensemble", fitted)
    for name, model in (("fit_gp", small_gp("diffmix")), ("fit_deep_kernel", small_deep_kernel("diffmix"))):
        module = "gp_fitting" if name == "fit_gp" else "deep_kernel"
        monkeypatch.setattr(f"surrogates.{module}.{name}", lambda *_, model=model: model)
    data = vft_data()  # what these have seen
    (split,) = mixture_splits(data, 1)
    rows = judge(data, [split], SETTINGS, ("ensemble", "deep-kernel"), Console(quiet=True), "gp").scores
    assert [row.model for row in rows] == ["gp", "ensemble", "deep-kernel"]
    assert fits == [len(split.train)]
    models = (small_gp("diffmix"), judged_law_ensemble().calibrated(), small_deep_kernel("diffmix"))
    for row, model in zip(rows, models, strict=True):
        said = model.bind(data.table).predict(data.batch[split.test])
        expected = float((said.mean - data.target[split.test]).abs().mean())
        assert row.mean["mae"] == pytest.approx(expected, rel=1e-5)


def test_a_surrogate_alone_is_fitted_as_a_model_that_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "fit_judged_law_ensemble", lambda *_: judged_law_ensemble())
    monkeypatch.setattr("surrogates.gp_fitting.fit_gp", lambda *_: small_gp("diffmix"))
    data = vft_data()
    (split,) = mixture_splits(data, 1)
    (row,) = judge(data, [split], SETTINGS, (), Console(quiet=True), "gp").scores
    assert row.model == "gp"
    assert fit(data, split.train, SETTINGS, 0, surrogate="gp") is small_gp("diffmix")
