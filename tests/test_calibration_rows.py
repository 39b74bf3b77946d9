"""Which rows an ensemble and its judges learn from, and which calibrate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from surrogates.calibration_rows import domain_rows, laboratories, parts_of
from surrogates.mixture_data import MixtureData, mixture_rows, tabulate
from surrogates.molecules import Component
from tests.synthetic_laws import vft_data

DATA = vft_data()
MIXTURE = torch.tensor(DATA.rows["mixture"].to_numpy())


def of_papers(papers: int) -> MixtureData:
    rows = DATA.rows.assign(paper=[f"10.1/{row % papers}" for row in range(60)])
    return replace(DATA, rows=rows)


def test_no_network_is_watched_on_what_it_trains_on_and_no_judge_sees_what_calibrates() -> None:
    parts = parts_of(DATA, 2, 0.2, seed=0)
    assert parts.trains.shape == parts.validates.shape == (6, 60)
    assert not (parts.trains & parts.validates).any()
    assert (parts.trains[:2] | parts.validates[:2]).all()
    for judge, hidden in enumerate(parts.calibrates, 1):
        mine = slice(2 * judge, 2 * judge + 2)
        assert torch.equal(parts.trains[mine] | parts.validates[mine], (~hidden).expand(2, -1))
        assert 0 < hidden.sum() < 30


def test_every_network_holds_out_mixtures_of_its_own() -> None:
    trains = parts_of(DATA, 3, 0.1, seed=0).trains[:3]
    for member in trains:
        assert set(MIXTURE[member].tolist()).isdisjoint(MIXTURE[~member].tolist())
    assert len({tuple(member.tolist()) for member in trains}) == 3


def test_the_first_judge_misses_rows_of_known_mixtures_and_whole_mixtures() -> None:
    near, _ = parts_of(DATA, 2, 0.1, seed=0).calibrates
    known = set(MIXTURE[~near].tolist())
    is_known = torch.tensor([mixture in known for mixture in MIXTURE[near].tolist()])
    assert is_known.any() and not is_known.all()


def of_alkanols(n: int = 80) -> MixtureData:
    """Return mixtures of neighbours in a row of twenty alcohols, each in a tenth of the rows."""
    alcohols = [Component.of("C" * length + "O") for length in range(1, 21)]
    salt = Component.of("F[P-](F)(F)(F)(F)F.[Li+]")
    pairs = [[alcohols[row % 20], alcohols[(row + 1) % 20]] for row in range(n)]
    shares = [[0.1 + row / 100, 0.9 - row / 100] for row in range(n)]
    table, batch = tabulate(pairs, shares, [[salt]] * n, [[1.0]] * n, [298.15] * n)
    frame = mixture_rows(table, batch, range(2, n + 2), np.zeros(n, dtype=bool))
    return MixtureData(table, batch, torch.arange(float(n)), "y", frame, "alcohols.csv", "", ())


def test_the_second_judge_misses_whole_papers() -> None:
    paper = torch.arange(60) % 20
    far = parts_of(of_papers(20), 2, 0.1, seed=0).calibrates[1]
    whole = [bool(far[paper == one].all()) for one in range(20)]
    assert sum(whole) == 2
    assert not far[~torch.isin(paper, torch.tensor(whole).nonzero()[:, 0])].any()


def test_the_second_judge_misses_all_rows_with_some_solvents() -> None:
    data = of_alkanols()
    far = parts_of(data, 2, 0.1, seed=0).calibrates[1]

    def solvents(rows: torch.Tensor) -> set[int]:
        return set(data.batch.solvents[rows].flatten().tolist())

    unseen = torch.tensor(sorted(solvents(far) - solvents(~far)))
    assert len(unseen) > 0
    assert torch.equal(torch.isin(data.batch.solvents, unseen).any(1), far)


def test_without_rare_solvents_and_papers_both_judges_miss_near_rows_of_their_own() -> None:
    one, other = parts_of(DATA, 2, 0.1, seed=0).calibrates
    assert not torch.equal(one, other)
    assert (one | other).sum() >= 10


def test_the_limit_of_the_domain_comes_from_whole_papers_or_mixtures() -> None:
    held = domain_rows(DATA, seed=0)
    assert set(MIXTURE[held].tolist()).isdisjoint(MIXTURE[~held].tolist())
    paper, held = torch.arange(60) % 20, domain_rows(of_papers(20), seed=0)
    assert held.sum() == 12
    assert set(paper[held].tolist()).isdisjoint(paper[~held].tolist())


def test_a_row_is_its_papers_where_ten_are_named_else_its_mixtures() -> None:
    assert torch.equal(laboratories(DATA), MIXTURE)
    assert torch.equal(laboratories(of_papers(9)), MIXTURE)
    assert laboratories(of_papers(10)).tolist() == [row % 10 for row in range(60)]


def test_the_parts_are_drawn_again_with_the_seed() -> None:
    one, two, other = (parts_of(DATA, 2, 0.1, seed) for seed in (0, 0, 1))
    assert torch.equal(one.trains, two.trains) and torch.equal(one.calibrates, two.calibrates)
    assert not torch.equal(one.calibrates, other.calibrates)
