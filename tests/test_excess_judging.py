"""Models of an excess property beside each other: who stands in the table, and how it is printed."""

from __future__ import annotations

import io
from collections.abc import Iterator

import joblib
import pytest
import torch
from rich.console import Console

from campaigns.excess_config import ExcessConfig
from campaigns.excess_judging import PROCESS, SHOWN, judge_excess, print_excess_scores
from surrogates import excess_baselines
from surrogates.calibration import scores
from surrogates.checkpoints import ScoreRow
from surrogates.excess_gp import fit_excess_gp
from surrogates.excess_models import ExcessCard
from surrogates.excess_training import fit_excess
from surrogates.three_way_splits import three_way_splits
from surrogates.training import TrainingSettings
from tests.synthetic_excess import excess

DATA = excess(noise=0.01)
CONFIG = ExcessConfig.model_validate(
    {
        "excess": {"file": "mine.csv", "property": DATA.target_name},
        "members": 2,
        "steps": 3,
        "order": 2,
        "other_orders": [0, 2],
    }
)
PAIRS = torch.tensor(DATA.rows["pair"].to_numpy())


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(excess_baselines, "TREES", 5)
    monkeypatch.setattr(excess_baselines, "_TRAINING", TrainingSettings(2, 16))
    with joblib.parallel_config(backend="sequential"):
        yield


def test_the_process_stands_beside_the_ensemble_it_stands_on() -> None:
    splits = [
        *three_way_splits("rows", torch.arange(60), 1),
        *three_way_splits("pairs", PAIRS, 1),
    ]
    console = Console(file=io.StringIO(), width=300)
    found, times = judge_excess(DATA, splits, CONFIG, console)
    models = [
        "Redlich-Kister, order 2",
        PROCESS,
        "Redlich-Kister, order 0",
        "GNN-only",
        "fingerprint",
        "forest",
    ]
    assert [(row.splits, row.model) for row in found] == [
        *(("rows", model) for model in models),
        *(("pairs", model) for model in models if not model.endswith("0")),
    ]
    split = splits[1]
    first = fit_excess(DATA, split.train, split.validate, CONFIG.settings(2), split.seed)
    gp = fit_excess_gp(first, DATA, split.train, split.validate, split.seed)
    test = DATA.take(split.test)
    said = gp.predict(test)
    its = scores(test.target, said.mean, said.std, gp.calibration.interval_factor)
    (row,) = (row for row in found if (row.splits, row.model) == ("pairs", PROCESS))
    assert list(row.mean) == list(SHOWN) and row.repeats == 1
    for name in ("rmse", "spearman", "nll", "crps", "coverage_90", "width_90"):
        assert row.mean[name] == pytest.approx(getattr(its, name))
    assert row.mean["mae"] == row.mean["mae_sound"] == pytest.approx(row.mean["mae_exchanged"], rel=1e-5)
    assert list(times["model"]) == models
    assert times["fit_s_over_first"][0] == times["rate_over_first"][0] == 1
    assert times["fit_s_over_first"][1] > 1  # with the time of the ensemble
    assert "split 2 (pairs), MAE: Redlich-Kister, order 2 " in console.file.getvalue()


def test_a_table_for_each_kind_of_split() -> None:
    mean = dict.fromkeys(SHOWN, 1234.5) | {"spearman": None}
    rows = tuple(
        ScoreRow(splits=kind, model=model, repeats=3, mean=mean, std=dict.fromkeys(SHOWN, 0.25))
        for kind in ("rows", "pairs")
        for model in ("one", "other")
    )
    card = ExcessCard.model_construct(target="y", scores=rows)
    console = Console(file=io.StringIO(), width=120)
    print_excess_scores(card, console)
    text = console.file.getvalue()
    for told in ("rows at random", "unseen pairs"):
        assert f"y, {told} (3 splits): mean ± standard deviation over splits" in " ".join(text.split())
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines.count("Spearman - ± 0.25 - ± 0.25") == 2
    assert lines.count("its width 1.23e+03 ± 0.25 1.23e+03 ± 0.25") == 2
