"""Comparisons: campaigns that can be told again, kept as they end, and gone on with."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from rich.console import Console

from activelearn.chemical_constraints import at_most
from campaigns import compare
from campaigns.compare import compare_to_directory, play
from campaigns.contests import choose_comparison, contest, ternary_of
from campaigns.pool_oracles import LaboratoryPool
from campaigns.strategies import STRATEGIES, Name, needs_gradients
from surrogates.chemicals import resolve
from surrogates.errors import InputError
from surrogates.molecules import Component
from surrogates.quantities import Floats
from tests.synthetic_arenas import SPACE, config_of, contest_of, mixtures_of

QUIET = Console(quiet=True)


@pytest.mark.parametrize("name", [name for name in STRATEGIES if name != "trees-ucb"])
def test_a_campaign_only_gets_better_and_is_the_same_again(name: Name) -> None:
    asked = contest_of(has_model=needs_gradients(name))
    rows = play(asked, name, 1)
    assert rows["experiments"].tolist() == [4, 6, 8, 10]
    assert (rows["best"].diff().dropna() >= 0).all()
    assert (rows["found"].diff().dropna() >= 0).all()
    assert rows["regret"].between(0, 1).all()
    assert rows["infeasible"].sum() == 0
    places = [int(place) for cell in rows["places"] for place in cell.split()]
    assert len(set(places)) == 10
    worth = asked.worth
    assert rows["best"].iloc[-1] == pytest.approx(float(worth[places].max()))
    assert rows["regret"].iloc[-1] == pytest.approx(1 - float(worth[places].max() / worth.max()))
    again = play(asked, name, 1).drop(columns="seconds")
    pd.testing.assert_frame_equal(rows.drop(columns="seconds"), again)


def test_strategies_meet_the_same_starts() -> None:
    asked = contest_of()
    starts = {play(asked, name, 3)["places"].iloc[0] for name in ("greedy", "random", "trees")}
    assert len(starts) == 1
    assert starts != {play(asked, "greedy", 4)["places"].iloc[0]}


def test_a_strategy_that_never_learns_follows_the_model_before() -> None:
    asked = contest_of(retrain_every=0)
    rows = play(asked, "greedy", 0)
    order = asked.arena.prior_mean.argsort(descending=True).tolist()
    starts = {int(place) for place in rows["places"].iloc[0].split()}
    chosen = [int(place) for cell in rows["places"].iloc[1:] for place in cell.split()]
    assert chosen == [place for place in order if place not in starts][:6]


def test_failures_are_remembered_and_not_modelled() -> None:
    rows = play(contest_of(has_model=False, failure_rate=0.4), "greedy", 0)
    places = [int(place) for cell in rows["places"] for place in cell.split()]
    assert len(set(places)) == 10


def test_the_top_are_the_best_of_all() -> None:
    asked = contest_of(top_percent=5.0)
    count = round(0.05 * len(asked.arena))
    assert int(asked.top.sum()) == count
    top = asked.top.numpy()
    assert asked.truth[top].min() >= asked.truth[~top].max()


def test_named_starts_are_the_nearest_candidates() -> None:
    start = {"weight_fractions": {"EC": 0.31, "DMC": 0.69}, "salt": "LiPF6", "molality_mol_kg": 0.8}
    asked = contest(config_of(starts=[start]))
    row = mixtures_of(asked.arena).frame(asked.named).iloc[0]
    assert row["molality_mol_kg"] == pytest.approx(0.8)
    assert sorted([row["weight_fraction_1"], row["weight_fraction_2"]]) == pytest.approx([0.3, 0.7])
    assert asked.notes == ()
    far = contest(config_of(starts=[start, {**start, "molality_mol_kg": 9.0}]))
    assert far.starts == 2
    (note,) = far.notes
    assert note.startswith(
        "no candidate is the start EC 0.31, DMC 0.69, LiPF6 9; the nearest is measured, EC 0.3"
    )
    for wrong, told in (
        (
            {"weight_fractions": {"PC": 1.0}},
            '"PC" is no solvent of the space. Its solvents are EC, DMC, DEC.',
        ),
        ({"salt": "EC"}, '"EC" is no salt of the space. Its salts are LiPF6, LiBF4.'),
    ):
        with pytest.raises(InputError) as caught:
            contest(config_of(starts=[{**start, **wrong}]))
        assert str(caught.value) == f'key "starts": {told}'


def test_more_measurements_than_candidates() -> None:
    with pytest.raises(InputError, match="candidates fulfil all; starts and rounds measure 2002"):
        contest(config_of(rounds=999))


@pytest.fixture
def in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Play without Ray, one after the other."""
    monkeypatch.setattr(
        compare,
        "_played",
        lambda asked, left, workers: (((name, seed), play(asked, name, seed)) for name, seed in left),
    )


@pytest.mark.usefixtures("in_turn")
def test_what_is_done_is_kept_and_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, config = tmp_path / "out", config_of()
    rows = compare_to_directory(contest(config), out, None, False, QUIET)
    assert sorted(path.name for path in (out / "runs").iterdir()) == [
        "greedy-0.csv",
        "greedy-1.csv",
        "random-0.csv",
        "random-1.csv",
    ]
    with pytest.raises(InputError, match=r"this comparison stands here already. Add --resume"):
        compare_to_directory(contest(config), out, None, False, QUIET)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "run.json").write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match=r"run.json: it cannot be read, so that .* Give another --out"):
        compare_to_directory(contest(config), tmp_path / "broken", None, True, QUIET)
    with pytest.raises(InputError, match=r"another comparison stands here. Give another --out"):
        compare_to_directory(contest(config_of(rounds=2)), out, None, True, QUIET)
    (out / "runs" / "greedy-1.csv").unlink()
    played = []
    monkeypatch.setattr(
        compare, "play", lambda asked, name, seed: played.append((name, seed)) or play(asked, name, seed)
    )
    monkeypatch.setattr(
        compare,
        "_played",
        lambda asked, left, workers: (((n, s), compare.play(asked, n, s)) for n, s in left),
    )
    again = compare_to_directory(contest(config), out, None, True, QUIET)
    assert played == [("greedy", 1)]
    pd.testing.assert_frame_equal(rows.drop(columns="seconds"), again.drop(columns="seconds"))
    assert json.loads((out / "run.json").read_text())["config"]["rounds"] == 3


def test_a_foreign_directory_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="the directory holds something else"):
        compare_to_directory(contest(config_of()), tmp_path, None, False, QUIET)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    "job",
    [
        "compare-carbonates",
        "compare-basins",
        "compare-molsets",
        "compare-pool",
        "compare-table-s2",
        "compare-oer",
        "compare-cathodes",
    ],
)
def test_bundled_jobs_are_comparisons(job: str) -> None:
    config = choose_comparison(job, seeds=3)
    assert config.seeds == 3


def test_table_s2_starts_where_the_paper_did(reference_dir: Path) -> None:
    config = choose_comparison("compare-table-s2")
    assert (config.retrain_every, config.batch) == (0, 4)
    cells = pd.read_csv(reference_dir / "diffmix_table_s2.csv").query("step == 0")
    mass = np.array([Component.of(resolve(name)).molar_mass for name in ("PC", "DMC", "EC")])
    weights = cells[["x_PC", "x_DMC", "x_EC"]].to_numpy() * mass
    weights /= weights.sum(1, keepdims=True)
    asked = contest(config.model_copy(update={"model": None}))
    assert asked.starts == 4
    ternary = ternary_of(config)
    assert ternary is not None
    np.testing.assert_allclose(ternary.shares[list(asked.named)], weights, atol=0.006)


def test_a_replay_plays_its_measurements(data_dir: Path) -> None:
    config = choose_comparison("compare-molsets", seeds=1)
    asked = contest(config, data_dir)
    assert len(asked.arena) == len(asked.truth)
    rows = play(asked, "random", 0)
    assert rows["experiments"].iloc[-1] == 240
    assert 0 < rows["found"].iloc[-1] < 1
    assert np.isfinite(asked.truth).all()
    assert torch.equal(asked.top, contest(config, data_dir).top)


def test_spaces_too_large_to_hold() -> None:
    with pytest.raises(ValueError, match="200,000 are held at most"):
        config_of(space={**SPACE, "fraction_step": 0.002})


def test_what_failed_has_not_been_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(oracle: LaboratoryPool, places: list[int], seed: int) -> Floats:
        return np.full(len(places), np.nan)

    monkeypatch.setattr(LaboratoryPool, "measured", nothing)
    rows = play(contest_of(has_model=False), "trees", 0)
    assert rows["best"].tolist() == [0.0] * 4
    assert rows["regret"].tolist() == [1.0] * 4
    assert rows["found"].tolist() == [0.0] * 4


def test_infeasible_proposals_are_counted() -> None:
    asked = contest_of(has_model=False)
    of = mixtures_of(asked.arena)
    narrow = at_most("no EC", of.variables, {"EC": 1.0}, 0.0)
    others = replace(of, constraints=replace(of.constraints, asked=(narrow,)))
    rows = play(replace(asked, arena=replace(asked.arena, mixtures=others)), "random", 0)
    counts = [int((of.rows[[int(p) for p in cell.split()], 0] > 1e-5).sum()) for cell in rows["places"]]
    assert rows["infeasible"].tolist() == counts
    assert sum(counts) > 0
