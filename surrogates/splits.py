"""Which rows train and which test: at random, by mixture, by solvent, by paper, by temperature."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from rdkit import Chem
from sklearn.model_selection import GroupShuffleSplit, train_test_split
from torch import Tensor

from surrogates.errors import InputError, Problem
from surrogates.mixture_data import MixtureData
from surrogates.molecules import parse_smiles

_OVERSHOOT = 1.5
"""A split by solvent may test up to this many times the share of rows that is asked for."""
_STEP_K, _NEAR_K = 10.0, 2.5
_CARBONATES_K = (233.0, 345.0)
"""The temperatures at which models of carbonates are compared."""


@dataclass(frozen=True)
class Split:
    """Every row of a data set, in one of two parts.

    Attributes:
        name: `random`, `mixture`, `solvent`, `paper`: what no training row shares with a test row; `hotter`.
        train: Indices of the rows, int64.
        test: Indices of the other rows, int64.
        seed: With which this split can be drawn again.
    """

    name: str
    train: Tensor
    test: Tensor
    seed: int


def random_splits(n: int, repeats: int, test_fraction: float = 0.2, seed: int = 0) -> list[Split]:
    """Return splits of single rows: those of scikit-learn's `train_test_split`, seeds `seed, seed + 1, ...`.

    A mixture that was measured twice may stand in both parts; `mixture_splits` keeps it in one.

    Args:
        n: Number of rows, at least 2.
        repeats: Number of splits.
        test_fraction: Share of the rows that test.
        seed: Of the first split.
    """
    splits = []
    for state in range(seed, seed + repeats):
        train, test = train_test_split(np.arange(n), test_size=test_fraction, random_state=state)
        splits.append(Split("random", torch.from_numpy(train), torch.from_numpy(test), state))
    return splits


def mixture_splits(data: MixtureData, repeats: int, test_fraction: float = 0.2, seed: int = 0) -> list[Split]:
    """Return splits in which no mixture of the test part stands in the training part.

    Args:
        data: At least two mixtures.
        repeats: Number of splits.
        test_fraction: Share of the mixtures that test; of the rows it is about this.
        seed: Of the first split; the next has `seed + 1`.
    """
    mixture = torch.tensor(data.rows["mixture"].to_numpy())
    splits = []
    for state in range(seed, seed + repeats):
        trains = holdouts(mixture, 1, test_fraction, state)[0]
        splits.append(Split("mixture", trains.nonzero()[:, 0], (~trains).nonzero()[:, 0], state))
    return splits


def solvent_splits(data: MixtureData, repeats: int, test_fraction: float = 0.2, seed: int = 0) -> list[Split]:
    """Return splits in which each test row holds a solvent that no training row holds.

    Solvents are put aside in random order, each with all rows that hold it, until the share asked for is
    reached. A solvent that would make it more than 1.5 times that share is passed over, so that one in
    half of the rows is never tested; if only such ones are left, the test part stays smaller than asked.
    A polymer is one solvent, whatever the length of its chain.

    Args:
        data: The mixtures.
        repeats: Number of splits.
        test_fraction: Share of the rows that test; between this and 1.5 times this where solvents allow.
        seed: Of the first split; the next has `seed + 1`.

    Raises:
        InputError: If each solvent stands in more than 1.5 times that share of the rows.
    """
    holds = _holds_solvent(data)
    most = _OVERSHOOT * test_fraction * len(data)
    if holds.sum(0).min() > most:
        mend = "Add mixtures of other solvents, or split at random."
        wrong = f"every solvent stands in more than {_OVERSHOOT * test_fraction:.0%} of the rows"
        raise InputError(Problem(data.source, f"{wrong}; a test on unseen solvents needs a rarer one", mend))
    splits = []
    for state in range(seed, seed + repeats):
        test = np.zeros(len(data), dtype=bool)
        for solvent in np.random.default_rng(state).permutation(holds.shape[1]):
            more = test | holds[:, solvent]
            if test.sum() < test_fraction * len(data) and more.sum() <= most:
                test = more
        train, tested = np.flatnonzero(~test), np.flatnonzero(test)
        splits.append(Split("solvent", torch.from_numpy(train), torch.from_numpy(tested), state))
    return splits


def paper_splits(data: MixtureData) -> list[Split]:
    """Return a split a paper, the largest first: its rows test, those of all other papers train.

    Raises:
        InputError: If the data do not say which paper a row is from, or are all from one.
    """
    if "paper" not in data.rows or data.rows["paper"].nunique() < 2:
        wrong = "the rows do not say which paper they are from, or are all from one"
        raise InputError(Problem(data.source, wrong, "Leave the splits by paper out."))
    papers = data.rows["paper"].to_numpy()
    splits = []
    for seed, paper in enumerate(data.rows["paper"].value_counts(sort=True).index):
        test = torch.from_numpy(papers == paper)
        splits.append(Split("paper", (~test).nonzero()[:, 0], test.nonzero()[:, 0], seed))
    return splits


def holdouts(groups: Tensor, members: int, fraction: float, seed: int) -> Tensor:
    """Return which rows each member of an ensemble trains on; the others are its own to validate on.

    Args:
        groups: `n`, int64; rows of one group stay together. `torch.arange(n)` holds out single rows.
        members: Number of members; those of a smaller ensemble have the same parts.
        fraction: Share of the groups that a member holds out.
        seed: Of the draw.

    Returns:
        `members x n`, bool.
    """
    shuffle = GroupShuffleSplit(n_splits=members, test_size=fraction, random_state=seed)
    trains = torch.zeros(members, len(groups), dtype=torch.bool)
    for member, (train, _) in enumerate(shuffle.split(groups, groups=groups)):
        trains[member, train] = True
    return trains


def _holds_solvent(data: MixtureData) -> np.ndarray:
    """Return which row holds which solvent, `n x` number of distinct solvents, bool."""
    smiles = [component.smiles for component in data.table.components]
    _, molecule = np.unique(smiles, return_inverse=True)
    present = data.batch.weights.numpy() > 0
    holds = np.zeros((len(data), molecule.max() + 1), dtype=bool)
    row, slot = np.nonzero(present)
    holds[row, molecule[data.batch.solvents.numpy()[row, slot]]] = True
    return holds[:, holds.any(0)]


def hotter_split(data: MixtureData, trained_up_to_K: float) -> Split:
    """Return the split whose training rows are no hotter than a temperature and whose test rows all are.

    Args:
        data: The mixtures.
        trained_up_to_K: Highest temperature of a training row.

    Raises:
        InputError: If no row is hotter, or none is not.
    """
    hot = data.batch.temperature_K > trained_up_to_K
    if not 0 < int(hot.sum()) < len(data):
        low, high = float(data.batch.temperature_K.min()), float(data.batch.temperature_K.max())
        wrong = f"the temperatures are {low:g} to {high:g} K; {trained_up_to_K:g} K does not divide them"
        raise InputError(Problem(data.source, wrong, "Give trained_up_to_K between them, or leave it out."))
    return Split("hotter", (~hot).nonzero()[:, 0], hot.nonzero()[:, 0], 0)


def tested_parts(split: Split, data: MixtureData) -> dict[str, Tensor]:
    """Return the test rows of a split by what is told of them; a row may stand in none or in several.

    Of hotter rows: those within 2.5 K of each step of 10 K above the hottest training row, or all of them if
    there are none such. Of papers: all rows, and those with carbonates as the only solvents at 233 to 345 K.
    """
    test = split.test
    if split.name == "hotter":
        above = data.batch.temperature_K[test] - data.batch.temperature_K[split.train].max()
        step = (above / _STEP_K).round() * _STEP_K
        told = (step > 0) & ((above - step).abs() <= _NEAR_K)
        parts = {f"{int(s)} K hotter": test[told & (step == s)] for s in step[told].unique().tolist()}
        return parts or {split.name: test}
    if split.name == "paper":
        t = data.batch.temperature_K[test]
        some = _only_carbonates(data)[test] & (t >= _CARBONATES_K[0]) & (t <= _CARBONATES_K[1])
        return {"paper": test} | ({"paper, carbonates": test[some]} if bool(some.any()) else {})
    return {split.name: test}


def _only_carbonates(data: MixtureData) -> Tensor:
    """Return which rows hold no solvent but carbonates, `n`, bool."""
    carbonate = Chem.MolFromSmarts("[#6]OC(=O)O[#6]")
    of_molecule = torch.tensor(
        [parse_smiles(one.smiles).HasSubstructMatch(carbonate) for one in data.table.components]
    )
    return (of_molecule[data.batch.solvents] | (data.batch.weights == 0)).all(1)
