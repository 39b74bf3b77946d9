"""Cathodes as a pool: what a screen would rank, scored once and kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from activelearn.screening import Engine, in_process
from campaigns.cathode_truth import Scoring, check_ours
from campaigns.compare import play
from campaigns.compare_config import CompareCathodesConfig
from campaigns.contests import contest
from surrogates.discharge_models import discharge_model
from surrogates.errors import InputError

WORDS = {
    "space": {
        "metals": ["Mn2+", "Mn3+", "Cr3+", "Ti4+"],
        "metals_per_composition": [2, 3],
        "lithium": [1.2],
        "fluorine": [0.2],
        "step": 0.1,
    },
    "objectives": [{"quantity": "energy_Wh_kg", "rate_mA_g": 20, "window_V": [1.5, 4.8], "cycle": 1}],
    "constraints": {"bounds": {"Mn": {"at_least": 0.2}}},
    "strategies": ["ucb", "trees", "random"],
    "goal": "top",
    "top_percent": 20,
    "starts": 4,
    "rounds": 2,
    "batch": 2,
}


def scoring_in(out: Path, opened: list[str]) -> Scoring:
    @contextmanager
    def engine() -> Iterator[Engine]:
        opened.append("opened")
        yield in_process

    return Scoring(engine, out, Console(quiet=True))


def config_with(**keys: object) -> CompareCathodesConfig:
    return CompareCathodesConfig.model_validate({**WORDS, **keys})


def test_the_pool_is_what_a_screen_would_rank(tmp_path: Path) -> None:
    config = config_with()
    asked = contest(config, scoring=scoring_in(tmp_path / "out", []))
    space = config.space.space()
    every = space.at(torch.arange(len(space)))
    place = space.table.elements.index("Mn")
    manganese = 2 * (every.weights * (every.cations == place)).sum(1)
    feasible = (manganese > 0.2 - 1e-6).nonzero()[:, 0]
    assert 8 < len(feasible) < len(space)
    assert asked.arena.candidate.tolist() == feasible.tolist()
    model, objective = discharge_model("drxnet-distilled"), config.objectives[0].objective()
    said = model.bind(space.table, (objective,)).predict(space.at(feasible))
    assert asked.truth == pytest.approx(said.mean[:, 0].numpy(), rel=1e-5)
    unknown = int((~said.in_domain).sum())
    told = f"{unknown:,} of {len(feasible):,} candidates lie beyond what the emulator was trained on"
    assert asked.notes == ((told,) if unknown else ())
    assert asked.target.name == "energy_Wh_kg"
    assert asked.arena.mixtures is None
    assert not asked.arena.has_prior


def test_campaigns_are_played_on_it(tmp_path: Path) -> None:
    asked = contest(config_with(), scoring=scoring_in(tmp_path / "out", []))
    for name in asked.config.strategies:
        rows = play(asked, name, 0)
        assert rows["experiments"].tolist() == [4, 6, 8]
        assert rows["best"].iloc[-1] <= asked.truth.max()
        assert rows["infeasible"].sum() == 0
    values = asked.target.shown(np.array(asked.values([0, 1], 0)))
    assert values == pytest.approx(asked.truth[:2], rel=0.1)
    assert (values != asked.truth[:2]).all()


def test_what_was_scored_is_kept(tmp_path: Path) -> None:
    opened: list[str] = []
    scoring = scoring_in(tmp_path / "out", opened)
    first = contest(config_with(), scoring=scoring)
    again = contest(config_with(seeds=3, strategies=["random"]), scoring=scoring)
    assert opened == ["opened"]
    assert again.truth.tolist() == first.truth.tolist()
    assert again.arena.candidate.tolist() == first.arena.candidate.tolist()
    assert [path.name.startswith("truth-") for path in (tmp_path / "out").iterdir()] == [True]
    check_ours(tmp_path / "out")
    contest(config_with(constraints=None), scoring=scoring)
    assert opened == ["opened"] * 2


def test_nothing_is_scored_for_a_foreign_directory(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    opened: list[str] = []
    with pytest.raises(InputError) as caught:
        contest(config_with(), scoring=scoring_in(tmp_path, opened))
    assert str(caught.value) == f"{tmp_path}: the directory holds something else. Give another --out."
    with pytest.raises(InputError) as caught:
        check_ours(tmp_path / "mine.txt")
    assert str(caught.value) == (
        f"{tmp_path}/mine.txt/run.json: {tmp_path}/mine.txt is a file, not a directory. Give another --out."
    )
    assert opened == []
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_cathodes_need_somebody_to_score_them() -> None:
    with pytest.raises(ValueError, match="cathodes are scored before they are compared: give scoring"):
        contest(config_with())


def test_a_mixture_model_is_no_truth_of_cathodes(tmp_path: Path) -> None:
    config = config_with(truth={"emulator": "molsets-conductivity"})
    with pytest.raises(InputError, match='model "molsets-conductivity": no model has this name; there are'):
        contest(config, scoring=scoring_in(tmp_path / "out", []))
