"""A training's parts on a small data set: what is judged, what stands on the card, what stops it early."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from joblib import parallel_config
from rich.console import Console

from campaigns import judging, train
from campaigns.judging import SHOWN
from campaigns.train import print_scores, train_to_directory, versions
from campaigns.train_config import TrainConfig
from surrogates.aligned_model import unseen_laboratories
from surrogates.calibration import scores
from surrogates.checkpoints import ModelCard, ScoreRow, load_card, load_model
from surrogates.ensemble import EnsembleSettings, fit_ensemble
from surrogates.errors import InputError
from surrogates.forest import Forest
from surrogates.gp import MixtureGP
from surrogates.laboratories import estimate_laboratories
from surrogates.law_ensemble import LawEnsemble, LawSettings, fit_law_ensemble
from surrogates.mixture_data import MixtureData
from surrogates.model_directories import HELD_OUT
from surrogates.splits import random_splits
from surrogates.tables import read_mixtures
from surrogates.training import TrainingSettings
from tests.synthetic_laws import vft_data
from tests.synthetic_mixtures import SOLVENTS, synthetic_data

JOB = """
data: {dataset: molsets}
target: y
epochs: 1
members: 2
seed: 3
splits: {random: 2, solvent: 0, test_fraction: 0.25}
"""
SETTINGS = EnsembleSettings(members=2, training=TrainingSettings(epochs=1))


@pytest.fixture(autouse=True)
def small_and_in_this_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The data set is 60 rows of our own, and splits are judged one after the other."""
    monkeypatch.setattr(train, "load_dataset", lambda name, data_dir: synthetic_data())
    monkeypatch.setattr("surrogates.forest.TREES", 10)
    with parallel_config(backend="sequential"):
        yield


def trained(tmp_path: Path, job: str = JOB) -> tuple[ModelCard, list[str]]:
    """Return the card and the lines that were shown."""
    path = tmp_path / "job.yaml"
    path.write_text(job, encoding="utf-8")
    console = Console(file=io.StringIO(), width=120)
    card = train_to_directory(str(path), tmp_path / "model", None, console)
    return card, console.file.getvalue().splitlines()


def refusal(tmp_path: Path, job: str = JOB) -> str:
    with pytest.raises(InputError) as caught:
        trained(tmp_path, job)
    assert not (tmp_path / "model").exists()
    return str(caught.value)


def no_fit(*_: Any, **__: Any) -> None:
    raise AssertionError("something was fitted before all was checked")


def test_the_card_holds_mean_and_spread_of_the_scores_over_the_splits(tmp_path: Path) -> None:
    card, lines = trained(tmp_path)
    assert load_card(tmp_path / "model") == card
    data = synthetic_data()
    each: dict[str, list[float]] = {"ensemble": [], "forest": []}
    for split in random_splits(60, 2, 0.25, seed=3):
        test = split.test
        ensemble = fit_ensemble(data, split.train, SETTINGS, split.seed)
        said = ensemble.bind(data.table).predict(data.batch[test])
        factor = ensemble.calibration.interval_factor
        each["ensemble"].append(scores(data.target[test], said.mean, said.std, factor).mae)
        forest = Forest.fit(data, split.train, split.seed)
        mean, std = forest.predict(data.batch[test])
        each["forest"].append(scores(data.target[test], mean, std, forest.interval_factor).mae)
    assert [(row.splits, row.model, row.repeats) for row in card.scores] == [
        ("random", "ensemble", 2),
        ("random", "forest", 2),
    ]
    for row in card.scores:
        assert row.mean["mae"] == pytest.approx(fmean(each[row.model]), rel=1e-6)
        assert row.std["mae"] == pytest.approx(pstdev(each[row.model]), rel=1e-4)
    told = [line for line in lines if line.startswith("split ")]
    assert told == [
        f"split {number + 1} (random), MAE: ensemble {each['ensemble'][number]:.3f}, "
        f"forest {each['forest'][number]:.3f}"
        for number in range(2)
    ]


def test_the_model_learns_from_all_rows_and_the_card_says_from_which_data(tmp_path: Path) -> None:
    card, _ = trained(tmp_path, JOB.replace("random: 2", "random: 0"))
    whole = fit_ensemble(synthetic_data(), torch.arange(60), SETTINGS, seed=3)
    assert (card.shift, card.scale, card.calibration) == (whole.shift, whole.scale, whole.calibration)
    assert (card.seed, card.target, card.scores) == (3, "y", ())
    assert card.data["source"] == "mixtures.csv"
    assert card.data["rows"] == 60
    assert (card.data["name"], card.data["licence"]) == ("molsets", "MIT")
    assert "PRX Energy 3, 023006" in card.data["citation"]
    assert card.versions == versions()


def one_solvent_everywhere(name: str, data_dir: Path | None) -> MixtureData:
    data = synthetic_data()
    first = torch.full_like(data.batch.solvents, data.table.index()[SOLVENTS[0]])
    return replace(data, batch=replace(data.batch, solvents=first))


def test_a_solvent_split_that_nobody_asked_for_is_left_out_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "load_dataset", one_solvent_everywhere)
    why = (
        "mixtures.csv: every solvent stands in more than 38% of the rows; a test on unseen solvents needs "
        "a rarer one. Add mixtures of other solvents, or split at random."
    )
    assert refusal(tmp_path, JOB.replace("solvent: 0", "solvent: 1")) == why
    card, lines = trained(tmp_path, JOB.replace("random: 2, solvent: 0", "random: 1"))
    assert f"Not judged on unseen solvents. {why}" in " ".join(" ".join(lines).split())
    assert {row.splits for row in card.scores} == {"random"}


def test_a_target_that_the_data_set_does_not_hold_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, JOB.replace("target: y", "target: z")) == (
        'key "target": z is not what molsets holds. Write y.'
    )


def test_a_split_that_leaves_too_few_rows_is_refused_before_anything_is_fitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "load_dataset", lambda name, data_dir: synthetic_data(24))
    for name in ("fit_ensemble", "Forest"):
        monkeypatch.setattr(judging, name, no_fit)
    assert refusal(tmp_path) == (
        "mixtures.csv: 18 rows to train on; at least 20 are needed. Add measurements."
    )


def printed(card: ModelCard) -> str:
    console = Console(file=io.StringIO(), width=120)
    print_scores(card, console)
    return console.file.getvalue()


def test_a_score_that_does_not_exist_is_shown_as_a_dash(tmp_path: Path) -> None:
    card, _ = trained(tmp_path, JOB.replace("random: 2", "random: 0"))
    assert printed(card) == ""
    mean = dict.fromkeys(SHOWN, 0.25) | {"pearson": None}
    rows = [
        ScoreRow(splits="solvent", model=name, repeats=4, mean=mean, std=mean) for name in ("gp", "forest")
    ]
    lines = printed(card.model_copy(update={"scores": tuple(rows)})).splitlines()
    title = "y, test rows with an unseen solvent, 4 splits: mean ± standard deviation over splits"
    heading = next(number for number, line in enumerate(lines) if line.split() == ["gp", "forest"])
    assert " ".join(" ".join(lines[:heading]).split()) == title
    told = {words: [line for line in lines if line.strip().startswith(words)] for words in SHOWN.values()}
    assert all(told.values())
    assert told["Pearson"][0].split() == ["Pearson", "-", "±", "-", "-", "±", "-"]
    assert told["CRPS"][0].split() == ["CRPS", *["0.250", "±", "0.250"] * 2]


def test_a_test_part_of_one_row_has_no_correlation(tmp_path: Path) -> None:
    card, _ = trained(tmp_path, JOB.replace("0.25", "0.001"))
    assert [(row.mean["pearson"], row.std["pearson"]) for row in card.scores] == [(None, None)] * 2
    assert load_card(tmp_path / "model") == card


LAW_JOB = """
data: {dataset: molsets}
encoder: diffmix
epochs: 1
members: 2
beside: [no-law, no-law-log, fingerprint, forest]
splits: {random: 0, mixture: 1, solvent: 0, trained_up_to_K: 301, test_fraction: 0.2}
"""


@pytest.fixture
def over_temperature(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "load_dataset", lambda name, data_dir: vft_data(24))


@pytest.mark.usefixtures("over_temperature")
def test_a_law_ensemble_is_judged_beside_its_rivals_and_written(tmp_path: Path) -> None:
    card, _ = trained(tmp_path, LAW_JOB)
    models = ("ensemble", "no-law", "no-law-log", "fingerprint", "forest")
    assert [(row.splits, row.model) for row in card.scores] == [
        (splits, model) for splits in ("mixture", "hotter") for model in models
    ]
    assert load_card(tmp_path / "model") == card
    model = load_model(tmp_path / "model")
    assert isinstance(model, LawEnsemble)
    data = vft_data(24)
    settings = card.settings
    assert isinstance(settings, LawSettings)
    assert [settings.members, settings.training.epochs, settings.encoder.law] == [2, 1, "vft"]
    expected = fit_law_ensemble(data, torch.arange(96), settings, seed=0).bind(data.table).predict(data.batch)
    assert torch.equal(model.bind(data.table).predict(data.batch).mean, expected.mean)
    text = " ".join(printed(card).split())
    for told in ("of unseen mixtures, 1 splits: mean", "hotter, 1 splits: mean"):
        assert f"y, test rows {told}" in text or f"S_cm, test rows {told}" in text


@pytest.mark.usefixtures("over_temperature")
def test_papers_that_nobody_named_are_refused_before_anything_is_fitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "fit_law_ensemble", no_fit)
    assert refusal(tmp_path, LAW_JOB.replace("solvent: 0", "solvent: 0, paper: 2")) == (
        "mixtures.csv: the rows do not say which paper they are from, or are all from one. "
        "Leave the splits by paper out."
    )
    assert refusal(tmp_path, LAW_JOB.replace("301", "400")) == (
        "mixtures.csv: the temperatures are 250 to 325 K; 400 K does not divide them. "
        "Give trained_up_to_K between them, or leave it out."
    )


@pytest.mark.parametrize(("judged", "papers"), [(5, 5), (4, None)])
def test_the_card_says_how_far_unseen_papers_were_if_there_are_five(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, judged: int, papers: int | None
) -> None:
    data = vft_data(24)
    named = replace(data, rows=data.rows.assign(paper=np.repeat([f"10.1/{i}" for i in range(6)], 16)))
    monkeypatch.setattr(train, "load_dataset", lambda name, data_dir: named)
    job = LAW_JOB.replace("mixture: 1", f"paper: {judged}").replace("trained_up_to_K: 301, ", "")
    card, _ = trained(tmp_path, job)
    found = card.laboratories
    assert (None if found is None else found.papers) == papers
    if found is not None:
        model = load_model(tmp_path / "model")
        assert isinstance(model, LawEnsemble)
        said = unseen_laboratories(model, named, pd.read_csv(tmp_path / "model" / HELD_OUT))
        assert [len(paper) for paper in said] == [16] * 5
        expected = estimate_laboratories(said)
        for family, prior in expected.priors.items():
            torch.testing.assert_close(found.priors[family].numbers(), prior.numbers(), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("splits", ["mixture: 1", "mixture: 0"])
def test_a_law_for_what_is_no_logarithm_is_refused_before_anything_is_fitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, splits: str
) -> None:
    monkeypatch.setattr(judging, "fit_law_ensemble", no_fit)
    job = LAW_JOB.replace("encoder", "target: y\nencoder").replace("mixture: 1", splits)
    assert refusal(tmp_path, job) == (
        'key "target": y is no logarithm; the laws of diffmix are of log10 of a property above 0. '
        "Give a target that begins with log10_, or write encoder: molsets."
    )


@pytest.mark.parametrize(
    ("lines", "wrong"),
    [
        ("law: vft", "a law belongs to encoder: diffmix"),
        (
            "encoder: diffmix\nconvolution: GCNConv",
            "diffmix has GraphConv; convolution belongs to encoder: molsets",
        ),
        (
            "beside: [forest, no-law, fingerprint]",
            "no-law, fingerprint in beside belongs to encoder: diffmix; molsets stands beside "
            "ensemble, gp, deep-kernel, gp-variational, forest",
        ),
    ],
)
def test_what_belongs_to_the_other_encoder_is_refused(tmp_path: Path, lines: str, wrong: str) -> None:
    assert refusal(tmp_path, f"{JOB}{lines}\n") == f"job.yaml: {wrong}. Correct the values."


def test_the_law_and_the_epochs_of_a_job_are_those_of_the_ensemble() -> None:
    config = TrainConfig.model_validate(
        {"data": {"dataset": "diffmix"}, "encoder": "diffmix", "law": "arrhenius", "members": 3, "epochs": 7}
    )
    settings = config.settings()
    assert isinstance(settings, LawSettings)
    assert [settings.encoder.law, settings.members, settings.training.epochs] == ["arrhenius", 3, 7]
    plain = config.model_copy(update={"law": None, "epochs": None, "members": 5}).settings()
    assert plain == LawSettings()


def test_facts_belong_to_diffmix(tmp_path: Path) -> None:
    assert refusal(tmp_path, JOB + "facts: true\n") == (
        "job.yaml: facts belong to encoder: diffmix; molsets has descriptors. Correct the values."
    )


SALTS_JOB = """
data: {file: mine.csv}
encoder: diffmix
beside: [forest, fingerprint]
epochs: 1
members: 2
splits: {random: 1, solvent: 0, mixture: 1}
"""
SALTS_OF = (("LiPF6", 0.9, "LiFSI", 0.1), ("", "", "LiPF6", 1.0), ("", "", "", ""))


def file_of_salts(tmp_path: Path) -> None:
    """Write 36 rows: a third with two salts, a third with one in the second slot, a third with none."""
    rows = [
        [s, f, "DMC", 1 - f, *SALTS_OF[(i + j) % 3], 270.0 + 5 * i, 10.0 ** (-(i + j) % 3) + f + 0.1 * j]
        for i, f in enumerate((0.0, 0.2, 0.3, 0.4, 0.6, 0.8))
        for j, s in enumerate(("EC", "PC", "EMC", "DEC", "FEC", "GBL"))
    ]
    names = ["solvent", "weight_fraction", "salt", "molality_mol_kg"]
    header = [f"{name}_{i}" for pair in (names[:2], names[2:]) for i in (1, 2) for name in pair]
    table = pd.DataFrame(rows, columns=[*header, "temperature_K", "conductivity_mS_cm"])
    table.to_csv(tmp_path / "mine.csv", index=False)


def test_a_file_of_rows_with_two_salts_and_with_none_becomes_a_model(tmp_path: Path) -> None:
    file_of_salts(tmp_path)
    card, lines = trained(tmp_path, SALTS_JOB)
    assert "12 rows: no salt" in lines
    assert "12 rows: more than one salt" in lines
    assert {row.model for row in card.scores} == {"ensemble", "forest", "fingerprint"}
    assert card.molality_mol_kg == (0, 1)
    data = read_mixtures(tmp_path / "mine.csv", card.target)
    said = load_model(tmp_path / "model").bind(data.table).predict(data.batch)
    assert said.mean.isfinite().all() and said.std.isfinite().all()
    assert said.in_domain.all()
    assert len(said.mean.unique()) > 30


def test_a_file_of_rows_with_two_salts_and_with_none_is_refused_by_molsets(tmp_path: Path) -> None:
    file_of_salts(tmp_path)
    job = SALTS_JOB.replace("encoder: diffmix", "").replace(", fingerprint", "")
    assert refusal(tmp_path, job) == (
        "mine.csv: of 36 mixtures 12 hold no salt and 12 more than one, the first in row 2; "
        "encoder: molsets takes one salt a mixture. "
        "Write encoder: diffmix, which takes any number of salts, and none."
    )


@pytest.mark.parametrize("surrogate", ["gp", "best"])
def test_a_process_is_trained_judged_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, surrogate: str
) -> None:
    monkeypatch.setattr("surrogates.gp_fitting._STEPS", 5)
    monkeypatch.setattr("surrogates.deep_kernel._STEPS", 2)
    monkeypatch.setattr(train, "best_surrogate", lambda *_: "deep-kernel")
    job = JOB.replace("random: 2", "random: 1") + f"surrogate: {surrogate}\nbeside: []\n"
    card, _ = trained(tmp_path, job)
    kept = "gp" if surrogate == "gp" else "deep-kernel"
    others = [] if surrogate == "gp" else ["ensemble", "gp"]
    assert [row.model for row in card.scores] == [kept, *others]
    assert card.surrogate == kept
    model = load_model(tmp_path / "model")
    assert isinstance(model, MixtureGP)
    assert (model.surrogate, len(model.process)) == (kept, 60)
