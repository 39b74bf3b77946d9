"""The figures of a comparison show what was measured where it belongs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure

from campaigns.compare_plots import Ternary, save_trajectories
from campaigns.contests import ternary_of
from tests.synthetic_arenas import SPACE, arena, config_of, contest_of, mixtures_of

SHARES = np.array([[i, j, 10 - i - j] for i in range(11) for j in range(11 - i)]) / 10
POOL = Ternary(("PC", "DMC", "EC"), SHARES, 10 - 9 * np.square(SHARES - 1 / 3).sum(1))


def rows_of(**places: list[str]) -> pd.DataFrame:
    """Return what was measured of each strategy in each round, with two seeds; the second is not drawn."""
    rows = [
        {
            "strategy": name.replace("_", "-"),
            "seed": seed,
            "round": number,
            "places": cell if seed == 0 else "1",
        }
        for name, cells in places.items()
        for seed in (1, 0)
        for number, cell in enumerate(cells)
    ]
    return pd.DataFrame(rows)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """What was drawn; the files are written all the same."""
    figures: list[Figure] = []
    save = Figure.savefig

    def kept(figure: Figure, *words: object, **options: object) -> None:
        figures.append(figure)
        save(figure, *words, **options)

    monkeypatch.setattr(Figure, "savefig", kept)
    return figures


def test_the_map_has_each_composition_once_with_its_highest() -> None:
    pool = Ternary(POOL.solvents, np.concatenate([SHARES, SHARES]), np.concatenate([POOL.worth, -POOL.worth]))
    shares, worth = pool.surface
    expected = {tuple(share): value for share, value in zip(SHARES.tolist(), POOL.worth, strict=True)}
    assert dict(zip(map(tuple, shares.tolist()), worth, strict=True)) == pytest.approx(expected)


def test_what_was_measured_stands_where_it_belongs_in_order(tmp_path: Path, drawn: list[Figure]) -> None:
    rows = rows_of(
        greedy=["3 7", "20", "40", "5"], gradient_path=["3 7", "8 9", "30 31"], random=["3 7", "1 2"]
    )
    save_trajectories(rows, POOL, tmp_path / "trajectories.png")
    assert [path.name for path in tmp_path.iterdir()] == ["trajectories.png"]
    assert (tmp_path / "trajectories.png").read_bytes().startswith(b"\x89PNG")
    panels = [ax for ax in drawn[0].axes if hasattr(ax, "get_tlabel")]
    assert [ax.get_title() for ax in panels] == ["greedy", "gradient-path", "random"]
    assert [panels[0].get_tlabel(), panels[0].get_llabel(), panels[0].get_rlabel()] == ["PC", "DMC", "EC"]
    at = panels[0].transProjection.transform(SHARES)
    measured = ([20, 40, 5], [8, 9, 30, 31], [1, 2])
    orders = ([0, 1, 2], [0, 0, 1, 1], [0, 0])
    # One a round is joined, and the paths of gradients, each from its start; a batch of others is not.
    lines = ([[20, 40, 5]], [[3, 8, 30], [7, 9, 31]], [])
    for ax, places, order, paths in zip(panels, measured, orders, lines, strict=True):
        starts, points = [part for part in ax.collections if isinstance(part, PathCollection)]
        assert np.asarray(starts.get_offsets()) == pytest.approx(at[[3, 7]])
        assert np.asarray(points.get_offsets()) == pytest.approx(at[places])
        assert points.get_array().tolist() == order
        star, *joined = ax.lines
        assert np.column_stack(star.get_data()) == pytest.approx(at[[POOL.worth.argmax()]])
        assert len(joined) == len(paths)
        for line, path in zip(joined, paths, strict=True):
            assert np.column_stack(line.get_data()) == pytest.approx(at[path])


def test_a_comparison_of_three_solvents_has_a_map_of_its_pool() -> None:
    pool = ternary_of(config_of())
    assert pool is not None
    assert pool.solvents == ("EC", "DMC", "DEC")
    assert pool.worth == pytest.approx(contest_of().worth)
    frame = mixtures_of(arena()).frame(range(len(arena())))
    slots = [(frame[f"solvent_{i}"], frame[f"weight_fraction_{i}"].fillna(0.0)) for i in (1, 2, 3)]
    for column, name in enumerate(pool.solvents):
        expected = sum(share.where(solvent == name, 0.0) for solvent, share in slots)
        assert pool.shares[:, column] == pytest.approx(expected.to_numpy())


@pytest.mark.parametrize(
    "space",
    [
        {**SPACE, "solvents": ["EC", "DMC", "DEC", "EMC"]},
        {**SPACE, "solvents_per_mixture": [3], "fraction_step": None},
    ],
)
def test_others_have_none(space: dict[str, object]) -> None:
    assert ternary_of(config_of(space=space)) is None


def test_a_replay_has_none() -> None:
    assert ternary_of(config_of(space=None, constraints=None, replay="molsets")) is None


@pytest.mark.parametrize(("places", "is_flat"), [([0, 5, 10], True), ([3], True), ([0, 10, 65], False)])
def test_pools_on_a_line_have_no_map(places: list[int], is_flat: bool) -> None:
    assert Ternary(POOL.solvents, SHARES[places], POOL.worth[places]).is_flat == is_flat
