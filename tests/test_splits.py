"""Splits: every row in one part, nothing shared that must not be, the same again with the same seed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from surrogates.errors import InputError
from surrogates.mixture_data import MixtureData, mixture_rows, tabulate
from surrogates.molecules import Component
from surrogates.molsets_data import load_molsets
from surrogates.splits import (
    Split,
    holdouts,
    hotter_split,
    mixture_splits,
    paper_splits,
    random_splits,
    solvent_splits,
)
from surrogates.splits import (
    tested_parts as parts_told,  # pytest takes its own name for a test
)

SOLVENTS = [Component.of("C" * length + "O") for length in range(1, 9)]
SALT = Component.of("F[P-](F)(F)(F)(F)F.[Li+]")
POLYMERS = [Component("[Cu]OCC[Au]", mass) for mass in (1e3, 1e5)]


def _data(rows: list[list[Component]]) -> MixtureData:
    n = len(rows)
    weights = [[1 / len(row)] * len(row) for row in rows]
    table, batch = tabulate(rows, weights, [[SALT]] * n, [[1.0]] * n, [298.15] * n)
    frame = mixture_rows(table, batch, range(2, n + 2), np.zeros(n, dtype=bool))
    return MixtureData(table, batch, torch.zeros(n), "y", frame, "mixtures.csv", "", ())


def _solvents(data: MixtureData, rows: torch.Tensor) -> list[set[str]]:
    smiles = [component.smiles for component in data.table.components]
    pairs = zip(data.batch.solvents[rows].tolist(), data.batch.weights[rows].tolist(), strict=True)
    return [{smiles[s] for s, w in zip(*row, strict=True) if w > 0} for row in pairs]


def _equal(one: Split, other: Split) -> bool:
    same = torch.equal(one.train, other.train) and torch.equal(one.test, other.test)
    return same and (one.name, one.seed) == (other.name, other.seed)


rows = st.lists(st.lists(st.sampled_from(SOLVENTS), min_size=1, max_size=3, unique=True), min_size=10)
mixtures = rows.map(_data).filter(lambda data: data.rows["mixture"].nunique() > 1)

splittable = rows.map(lambda some: _data([[SOLVENTS[0]], *([SOLVENTS[1]] for _ in some), *some]))


@given(mixtures, st.integers(0, 1000))
def test_every_row_is_in_one_part(data: MixtureData, seed: int) -> None:
    splits = [*random_splits(len(data), 2, seed=seed), *mixture_splits(data, 2, seed=seed)]
    for split in splits:
        assert sorted([*split.train.tolist(), *split.test.tolist()]) == list(range(len(data)))
        assert len(split.train) > 0
        assert len(split.test) > 0


@given(mixtures, st.integers(0, 1000))
def test_a_mixture_is_in_one_part(data: MixtureData, seed: int) -> None:
    mixture = torch.tensor(data.rows["mixture"].to_numpy())
    for split in mixture_splits(data, 2, seed=seed):
        assert not set(mixture[split.train].tolist()) & set(mixture[split.test].tolist())


@given(splittable, st.integers(0, 1000))
def test_a_test_row_holds_a_solvent_that_no_training_row_holds(data: MixtureData, seed: int) -> None:
    splits = solvent_splits(data, 2, test_fraction=0.4, seed=seed)
    for split in splits:
        trained = set().union(*_solvents(data, split.train))
        assert all(row - trained for row in _solvents(data, split.test))
        assert sorted([*split.train.tolist(), *split.test.tolist()]) == list(range(len(data)))
        assert 0 < len(split.test) <= 0.6 * len(data)


@given(mixtures, st.integers(0, 1000))
def test_a_seed_gives_the_same_splits_whatever_their_number(data: MixtureData, seed: int) -> None:
    for one, two in zip(
        [*random_splits(len(data), 3, seed=seed), *mixture_splits(data, 3, seed=seed)],
        [
            *(random_splits(len(data), 1, seed=seed + i)[0] for i in range(3)),
            *(mixture_splits(data, 1, seed=seed + i)[0] for i in range(3)),
        ],
        strict=True,
    ):
        assert _equal(one, two)


def test_random_splits_are_those_of_scikit_learn() -> None:
    splits = random_splits(50, 3, test_fraction=0.3, seed=7)
    assert [split.seed for split in splits] == [7, 8, 9]
    for split in splits:
        train, test = train_test_split(np.arange(50), test_size=0.3, random_state=split.seed)
        assert split.train.tolist() == train.tolist()
        assert split.test.tolist() == test.tolist()


def test_a_solvent_in_most_rows_is_never_tested() -> None:
    data = _data([[SOLVENTS[0], other] for other in SOLVENTS[1:6] for _ in range(4)])
    for split in solvent_splits(data, 20):
        assert len(split.test) == 4
        assert SOLVENTS[0].smiles in set().union(*_solvents(data, split.train))


def test_another_length_of_chain_is_no_unseen_solvent() -> None:
    data = _data([*([polymer] for polymer in POLYMERS), *([solvent] for solvent in SOLVENTS)])
    for split in solvent_splits(data, 20):
        polymers = [row for row in _solvents(data, split.test) if row == {POLYMERS[0].smiles}]
        assert len(polymers) in (0, 2)


def test_the_same_few_solvents_everywhere_cannot_be_split() -> None:
    data = _data([SOLVENTS[:2]] * 10)
    with pytest.raises(InputError) as caught:
        solvent_splits(data, 1)
    assert str(caught.value) == (
        "mixtures.csv: every solvent stands in more than 30% of the rows; a test on unseen solvents needs "
        "a rarer one. Add mixtures of other solvents, or split at random."
    )


@given(st.lists(st.integers(0, 9), min_size=4).filter(lambda g: len(set(g)) > 1), st.integers(1, 5))
def test_members_hold_out_whole_groups(groups: list[int], members: int) -> None:
    group = torch.tensor(groups)
    trains = holdouts(group, members, 0.2, seed=3)
    assert trains.shape == (members, len(groups))
    for mask in trains:
        assert not set(group[mask].tolist()) & set(group[~mask].tolist())
        assert mask.any()
        assert not mask.all()
    assert torch.equal(trains, holdouts(group, members + 2, 0.2, seed=3)[:members])


def test_members_hold_out_parts_of_their_own() -> None:
    trains = holdouts(torch.arange(100), 5, 0.15, seed=0)
    assert (~trains).sum(1).tolist() == [15] * 5
    assert len({tuple(mask.tolist()) for mask in trains}) == 5


def test_published_data_are_split_near_the_share_asked_for(data_dir: Path) -> None:
    data = load_molsets(data_dir / "molsets" / "data_compiled.csv")
    for split in [*mixture_splits(data, 10), *solvent_splits(data, 10)]:
        assert 0.15 < len(split.test) / len(data) <= 0.3


def _of_papers(papers: list[str]) -> MixtureData:
    data = _data([[SOLVENTS[i % 8]] for i in range(len(papers))])
    return replace(data, rows=data.rows.assign(paper=papers))


@given(st.lists(st.sampled_from("abcd"), min_size=2).filter(lambda papers: len(set(papers)) > 1))
def test_each_paper_tests_once_the_largest_first(papers: list[str]) -> None:
    splits = paper_splits(_of_papers(papers))
    tested = [{papers[row] for row in split.test.tolist()} for split in splits]
    assert all(len(names) == 1 for names in tested)
    assert sorted(name for names in tested for name in names) == sorted(set(papers))
    sizes = [len(split.test) for split in splits]
    assert sizes == sorted(sizes, reverse=True)
    for split in splits:
        assert sorted([*split.train.tolist(), *split.test.tolist()]) == list(range(len(papers)))
    assert [(split.name, split.seed) for split in splits] == [("paper", i) for i in range(len(splits))]


@pytest.mark.parametrize("data", [_data([[SOLVENTS[0]]] * 3), _of_papers(["a"] * 3)], ids=["none", "one"])
def test_rows_of_no_or_of_one_paper_are_refused(data: MixtureData) -> None:
    with pytest.raises(InputError) as caught:
        paper_splits(data)
    assert str(caught.value) == (
        "mixtures.csv: the rows do not say which paper they are from, or are all from one. "
        "Leave the splits by paper out."
    )


def _at(temperatures: list[float]) -> MixtureData:
    data = _data([[SOLVENTS[0]]] * len(temperatures))
    kelvin = torch.tensor(temperatures, dtype=torch.float64)
    return replace(data, batch=replace(data.batch, temperature_K=kelvin))


def test_hotter_rows_test_and_a_row_at_the_limit_trains() -> None:
    split = hotter_split(_at([300.0, 250.0, 280.0, 280.1]), 280.0)
    assert [split.name, split.train.tolist(), split.test.tolist()] == ["hotter", [1, 2], [0, 3]]


@pytest.mark.parametrize("limit", [249.0, 300.0])
def test_a_temperature_that_divides_nothing_is_refused(limit: float) -> None:
    with pytest.raises(InputError) as caught:
        hotter_split(_at([300.0, 250.0]), limit)
    assert str(caught.value) == (
        f"mixtures.csv: the temperatures are 250 to 300 K; {limit:g} K does not divide them. "
        "Give trained_up_to_K between them, or leave it out."
    )


def test_hotter_rows_are_told_by_steps_of_ten_from_the_hottest_training_row() -> None:
    # From 275 K, not from the limit: 277 is no step, 282.5 and 287.5 are 10 K, 290 is between, 296 is 20 K.
    data = _at([270.0, 275.0, 277.0, 282.5, 287.5, 290.0, 296.0, 305.0])
    parts = parts_told(hotter_split(data, 276.0), data)
    assert {name: rows.tolist() for name, rows in parts.items()} == {
        "10 K hotter": [3, 4],
        "20 K hotter": [6],
        "30 K hotter": [7],
    }


def test_hotter_rows_are_told_together_if_none_is_near_a_step() -> None:
    data = _at([270.0, 275.0, 279.0, 290.0])
    parts = parts_told(hotter_split(data, 275.0), data)
    assert {name: rows.tolist() for name, rows in parts.items()} == {"hotter": [2, 3]}


def test_of_papers_carbonates_are_told_apart() -> None:
    carbonate, ester = Component.of("O=C1OCCO1"), Component.of("CCOC(C)=O")
    rows = [[carbonate], [carbonate, Component.of("COC(=O)OC")], [carbonate, ester], [ester], [carbonate]]
    data = _data(rows)
    kelvin = torch.tensor([233.0, 345.0, 300.0, 300.0, 346.0], dtype=torch.float64)
    data = replace(data, batch=replace(data.batch, temperature_K=kelvin))
    everything = Split("paper", torch.empty(0, dtype=torch.int64), torch.arange(5), 0)
    parts = parts_told(everything, data)
    assert {name: rows.tolist() for name, rows in parts.items()} == {
        "paper": [0, 1, 2, 3, 4],
        "paper, carbonates": [0, 1],
    }
    some = replace(everything, test=torch.tensor([2, 3]))
    assert list(parts_told(some, data)) == ["paper"]
    assert {name: rows.tolist() for name, rows in parts_told(replace(some, name="random"), data).items()} == {
        "random": [2, 3]
    }
