"""Surrogates of the capacity beside each other: on which splits, and what their scores are."""

from __future__ import annotations

import pytest
import torch
from rich.console import Console

from campaigns.discharge_judging import (
    COMPOSITIONS,
    METALS,
    PROFILES,
    judge_profiles,
    print_capacity_scores,
    profile_splits,
)
from surrogates.calibration import scores
from surrogates.discharge_forest import CapacityForest
from surrogates.discharge_gp import capacities_of
from surrogates.discharge_profiles import metal_combinations
from surrogates.discharge_training import ProfileSettings, member_capacities
from surrogates.errors import InputError
from tests.synthetic_discharge_gps import small_data, small_members, small_process
from tests.synthetic_profiles import FORMULAS

SETTINGS = ProfileSettings(members=2)


def test_compositions_and_metal_combinations_are_put_aside() -> None:
    data = small_data(cycles=5)
    splits = profile_splits(data, SETTINGS, repeats=3, fraction=0.4, seed=5)
    assert [split.name for split in splits] == [COMPOSITIONS] * 3 + [METALS] * 3
    assert [split.seed for split in splits] == [5, 6, 7, 5, 6, 7]
    metals = metal_combinations(data)
    for split in splits:
        groups = metals if split.name == METALS else data.composition
        assert not set(groups[split.train].tolist()) & set(groups[split.test].tolist())
        assert sorted([*split.train.tolist(), *split.test.tolist()]) == list(range(20))


def test_metals_of_their_own_are_compositions_and_one_composition_is_split_by_profile() -> None:
    each_its_own = small_data((FORMULAS[0], FORMULAS[1], FORMULAS[2]), cycles=4)
    names = {split.name for split in profile_splits(each_its_own, SETTINGS, 2, 0.4, 0)}
    assert names == {COMPOSITIONS}
    single = small_data(FORMULAS[:1], cycles=8)
    assert {split.name for split in profile_splits(single, SETTINGS, 2, 0.4, 0)} == {PROFILES}
    assert profile_splits(single, SETTINGS, 0, 0.4, 0) == []


def test_a_split_that_leaves_too_little_is_refused() -> None:
    with pytest.raises(InputError) as error:
        profile_splits(small_data(FORMULAS[:2], cycles=3), SETTINGS, 1, 0.4, 0)
    assert str(error.value) == "profiles.csv: 3 profiles to train on; at least 4 are needed. Add profiles."


def test_scores_are_those_of_each_surrogate_over_splits(capsys: pytest.CaptureFixture[str]) -> None:
    data, members = small_data(), small_members()
    splits = [split for split in profile_splits(data, SETTINGS, 2, 0.4, 0) if split.name == COMPOSITIONS]
    whole, found = judge_profiles(data, splits, ("ensemble", "gp", "forest"), lambda rows, seed: members)
    assert [row.model for row in found] == ["ensemble", "gp", "forest"]
    assert [one.profiles for one in whole] == [6, 6]
    by_hand: list[list[float]] = [[], []]
    for split in splits:
        target = capacities_of(data)[split.test]
        each = member_capacities(members, data, split.test)
        by_hand[0].append(scores(target, each.mean(0), each.std(0), 1.645).nll)
        forest = CapacityForest.fit(data, split.train, split.seed)
        said = forest.predict(data, split.test)
        by_hand[1].append(scores(target, *said, forest.calibration.interval_factor).width_90)
    assert found[0].mean["nll"] == pytest.approx(sum(by_hand[0]) / 2)
    assert found[2].mean["width_90"] == pytest.approx(sum(by_hand[1]) / 2)
    assert found[2].std["width_90"] == pytest.approx(abs(by_hand[1][0] - by_hand[1][1]) / 2)
    card = small_process(data).card.model_copy(update={"scores": found})
    print_capacity_scores(card, Console(width=200))
    said_lines = capsys.readouterr().out
    assert "small: capacity, mAh/g, mean over splits ± standard deviation" in said_lines
    assert "compositions (2 splits)" in said_lines


def test_a_rank_correlation_that_does_not_exist_is_none() -> None:
    data, members = small_data(FORMULAS[:1], cycles=6), small_members()
    (split,) = profile_splits(data, SETTINGS, 1, 0.1, 0)
    assert len(split.test) == 1
    _, (row,) = judge_profiles(data, [split], ("forest",), lambda rows, seed: members)
    assert row.mean["spearman"] is None and row.std["spearman"] is None
    assert row.mean["mae"] is not None


def test_members_capacities_are_their_charge_at_the_lowest_voltage() -> None:
    data, members = small_data(), small_members()
    rows = torch.tensor([3, 7])
    each = member_capacities(members, data, rows)
    assert each.shape == (2, 2)
    (split,) = profile_splits(data, SETTINGS, 1, 0.25, 0)[:1]
    (whole,), _ = judge_profiles(data, [split], ("ensemble",), lambda rows, seed: members)
    miss = member_capacities(members, data, split.test).mean(0) - data.charge[split.test, 0]
    assert whole.capacity_mae_mAh_g == pytest.approx(float(miss.abs().mean()), rel=1e-4)
