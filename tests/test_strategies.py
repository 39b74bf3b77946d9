"""Strategies: new candidates only, the same again, and what each of them must take."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from activelearn.acquisition import Acquisition
from activelearn.pool import Batch, JointPosterior, choose
from campaigns import strategies
from campaigns.arenas import truth_of_space
from campaigns.learning import Learner, Learnt, LearntNetworks
from campaigns.strategies import STRATEGIES, Name, View, learner, needs_gradients, strategy
from tests.synthetic_arenas import arena, mixtures_of


def _view(m: int = 8, has_model: bool = True, seed: int = 0, learns: Learner | None = Learnt.of) -> View:
    pool = arena(has_model)
    measured = [int(i) for i in np.random.default_rng(seed).choice(len(pool), m, replace=False)]
    values = truth_of_space(mixtures_of(pool))[measured]
    found = learns(pool, torch.tensor(measured), values, 0, None) if learns else None
    return View(pool, tuple(measured), tuple(values.tolist()), 4, found, seed)


@settings(max_examples=30)
@given(
    name=st.sampled_from(STRATEGIES),
    m=st.integers(4, 12),
    q=st.integers(1, 5),
    seed=st.integers(0, 3),
    has_model=st.booleans(),
)
def test_new_candidates_only_and_the_same_again(
    name: Name, m: int, q: int, seed: int, has_model: bool
) -> None:
    view = _view(m, has_model or needs_gradients(name), seed, learner(name))
    chosen = strategy(name)(view, q)
    assert len(set(chosen)) == q
    assert not {*chosen} & {*view.measured}
    assert all(0 <= place < len(view.arena) for place in chosen)
    assert strategy(name)(view, q) == chosen


def test_greedy_takes_the_highest_mean() -> None:
    view = _view()
    mean, _ = view.process.mean_and_std(view.arena)
    expected = mean.masked_fill(~view.free, -torch.inf).argsort(descending=True)[:3]
    assert strategy("greedy")(view, 3) == expected.tolist()


def test_maximin_is_a_slow_loop_s() -> None:
    view = _view(5)
    positions = view.arena.positions
    known = list(view.measured)
    for place in strategy("maximin")(view, 4):
        distance = torch.cdist(positions, positions[known]).amin(1)
        assert float(distance[place]) == pytest.approx(float(distance.max()))
        known.append(place)


def test_an_ensemble_takes_what_its_members_hold_possible() -> None:
    view = _view(9, learns=LearntNetworks.of)
    said = view.networks.members(view.arena)
    taken = [strategy("ensemble-thompson")(replace(view, seed=seed), 1)[0] for seed in range(40)]
    first = {int(one.masked_fill(~view.free, -torch.inf).argmax()) for one in said}
    assert {*taken} <= first and len({*taken}) > 1
    gain = (said - view.best).clamp_min(0).mean(0).masked_fill(~view.free, -torch.inf)
    best = strategy("ensemble-ei")(view, 1)[0]
    assert float(gain[best]) >= 0.99 * float(gain.max())


def test_gradients_end_at_the_best_that_is_believed() -> None:
    view = _view(12)
    mean, _ = view.process.mean_and_std(view.arena)
    first = strategy("gradient")(view, 1)[0]
    best = float(mean[view.free].max())
    assert float(mean[first]) >= best - 0.05 * float(mean.max() - mean.min())


def test_gradients_stay_at_the_temperature_they_begin_at() -> None:
    pool = arena(temperatures=(298.15, 318.15))
    T = mixtures_of(pool).batch.temperature_K
    truth = truth_of_space(mixtures_of(pool))
    for temperature in (298.15, 318.15):
        start = int((T - temperature).abs().argmin())
        places = torch.tensor([start])
        view = View(pool, (start,), (float(truth[start]),), 1, Learnt.of(pool, places, truth[places], 0), 0)
        ended = strategy("gradient-path")(view, 1)
        assert T[ended].tolist() == pytest.approx([temperature], abs=0.01)


def test_gradients_need_a_model() -> None:
    with pytest.raises(ValueError, match="gradients need a space and a model"):
        strategy("gradient")(_view(has_model=False), 1)
    assert [name for name in STRATEGIES if needs_gradients(name)] == [
        "gradient",
        "gradient-ucb",
        "gradient-path",
    ]


def test_paths_go_on_by_a_step_a_round_from_each_start() -> None:
    pool = arena()
    starts = (3, 40, 200)
    values = tuple(truth_of_space(mixtures_of(pool))[list(starts)].tolist())
    empty = torch.empty(0, dtype=torch.int64)
    unlearnt = Learnt.of(pool, empty, empty.double(), 0)
    measured, rounds = list(starts), []
    for number in range(4):
        view = View(pool, tuple(measured), values + (0.0,) * (3 * number), 3, unlearnt, 0)
        rounds.append(strategy("gradient-path")(view, 3))
        measured += rounds[-1]
    # Each path by itself is the same path, so that proposals stand in the order of the starts.
    mean = pool.prior_mean
    for place, start in enumerate(starts):
        alone = strategy("gradient-path")(View(pool, (start,), values[:1], 1, unlearnt, 0), 1)
        assert rounds[0][place] == alone[0]
        assert mean[start] < mean[rounds[0][place]] < mean[rounds[2][place]]


def test_what_failed_is_neither_modelled_nor_asked_for_again() -> None:
    view = _view(9, learns=None)
    values = (*view.values[:-1], float("nan"))
    failed = View(view.arena, view.measured, values, 4, None, 0)
    chosen = strategy("trees")(failed, 3)
    assert view.measured[-1] not in chosen
    without = View(view.arena, view.measured[:-1], values[:-1], 4, None, 0)
    assert [place for place in strategy("trees")(without, 4) if place != view.measured[-1]][:3] == chosen


def test_strategies_that_learn_are_told_so() -> None:
    assert {name for name in STRATEGIES if not learner(name)} == {"trees", "trees-ucb", "maximin", "random"}
    with pytest.raises(ValueError, match="no process was learnt for this strategy"):
        strategy("greedy")(_view(learns=None), 1)
    with pytest.raises(ValueError, match="no networks were trained for this strategy"):
        strategy("ensemble-ei")(_view(), 1)


@pytest.mark.parametrize("name", STRATEGIES)
def test_where_all_failed_there_is_a_next_all_the_same(name: Name) -> None:
    pool = arena(has_model=True)
    learns = learner(name) or Learnt.of
    nothing = learns(pool, torch.zeros(0, dtype=torch.int64), torch.zeros(0).double(), 0, None)
    view = View(pool, (3, 5), (np.nan, np.nan), 2, nothing, 0)
    chosen = strategy(name)(view, 2)
    assert len({*chosen} - {3, 5}) == 2


def test_what_failed_is_not_the_best_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    view, asked = _view(9), []

    def seen(rule: Acquisition, posterior: JointPosterior, best: float, q: int, seed: int) -> Batch:
        asked.append(posterior)
        return choose(rule, posterior, best, q, seed)

    monkeypatch.setattr(strategies, "choose", seen)
    failed = replace(view, values=(*view.values[:-2], np.nan, np.nan))
    for one in (view, failed):
        strategy("bayesian")(one, 1)
    assert [len(one.mean) - one.candidates for one in asked] == [9, 7]
