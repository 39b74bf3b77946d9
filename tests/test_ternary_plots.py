"""The figure of a landscape shows the numbers it is given, where they belong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.quiver import Quiver

from activelearn.landscape import Landscape, TernarySystem, landscape, ternary_grid
from campaigns.ternary_plots import save_landscapes
from surrogates.molecules import MoleculeTable
from tests.fake_landscape import HIGHEST, LIPF6, PEAK, FakeModel, solvents

SYSTEM = TernarySystem(solvents("PC", "DMC", "EC"), "LiPF6", LIPF6, 0.08)


def said(step: float = 0.05) -> Landscape:
    table = MoleculeTable.build(SYSTEM.components)
    x = ternary_grid(step)
    return landscape(FakeModel().bind(table), table, SYSTEM, x, torch.full((len(x),), 300.0))


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


def test_each_system_has_its_maps(tmp_path: Path, drawn: list[Figure]) -> None:
    other = TernarySystem(solvents("EMC", "DMC", "DEC"), "LiPF6", LIPF6, 0.12)
    save_landscapes([SYSTEM, other], [said(), said()], tmp_path / "landscape.png")
    assert [path.name for path in tmp_path.iterdir()] == ["landscape.png"]
    assert (tmp_path / "landscape.png").read_bytes().startswith(b"\x89PNG")
    maps = [ax for ax in drawn[0].axes if hasattr(ax, "get_tlabel")]
    assert [[ax.get_tlabel(), ax.get_llabel(), ax.get_rlabel()] for ax in maps] == [
        *[["PC", "DMC", "EC"]] * 2,
        *[["EMC", "DMC", "DEC"]] * 2,
    ]
    assert [ax.get_title() for ax in maps] == [
        "LiPF6, lithium 0.08, 300 K",
        "",
        "LiPF6, lithium 0.12, 300 K",
        "",
    ]
    bars = [ax.get_ylabel() for ax in drawn[0].axes if ax not in maps]
    assert bars == ["conductivity (mS/cm)", "its standard deviation (mS/cm)"] * 2
    assert drawn[0].get_suptitle() == (
        "arrows: gradient within the ternary\nstar: highest conductivity on the grid\nhatched: not in the "
        "model's domain"
    )


def test_the_star_stands_at_the_peak_and_arrows_point_to_it(tmp_path: Path, drawn: list[Figure]) -> None:
    save_landscapes([SYSTEM], [said()], tmp_path / "landscape.png")
    ax = drawn[0].axes[0]
    project = ax.transProjection.transform
    peak = project(np.array([PEAK]))[0]
    assert np.column_stack(ax.lines[0].get_data()) == pytest.approx(peak[None], abs=1e-9)
    (arrows,) = [part for part in ax.collections if isinstance(part, Quiver)]
    starts, ways = arrows.XY, np.column_stack([arrows.U, arrows.V])
    assert len(starts) == 36  # each second of the 20 steps along an edge, without the edges
    to_peak = peak - starts
    away = np.linalg.norm(to_peak, axis=1) > 1e-6
    cosine = (ways * to_peak).sum(1)[away] / np.linalg.norm(ways[away], axis=1)
    assert cosine / np.linalg.norm(to_peak[away], axis=1) == pytest.approx(np.ones(away.sum()))
    edge = np.linalg.norm(project(np.eye(3))[0] - project(np.eye(3))[1])
    assert np.linalg.norm(ways, axis=1).max() <= edge / 10 + 1e-9


def test_the_colours_cover_all_values(tmp_path: Path, drawn: list[Figure]) -> None:
    save_landscapes([SYSTEM], [said()], tmp_path / "landscape.png")
    colours = drawn[0].axes[0].collections[0]
    levels, values = colours.levels, said().conductivity
    assert values.max().item() == pytest.approx(HIGHEST)
    assert levels[0] - 1e-9 <= values.min() < levels[1]
    assert levels[-2] < values.max() <= levels[-1] + 1e-9
    assert levels[0] <= colours.zmin <= colours.zmax <= levels[-1]  # 20 and a rounding error would be blank


def test_what_is_all_unknown_says_so(tmp_path: Path, drawn: list[Figure]) -> None:
    unknown = replace(said(), in_domain=torch.zeros(len(said()), dtype=torch.bool))
    save_landscapes([SYSTEM], [unknown], tmp_path / "landscape.png")
    assert drawn[0].axes[0].get_title() == "LiPF6, lithium 0.08, 300 K\nnot in the model's domain"
    assert "hatched" not in str(drawn[0].get_suptitle())


@pytest.mark.parametrize("step", [1 / 3, 0.5])
def test_a_flat_landscape_on_a_coarse_grid_can_be_drawn(
    step: float, tmp_path: Path, drawn: list[Figure]
) -> None:
    flat = said(step)
    ones = torch.ones(len(flat), dtype=torch.float64)
    flat = replace(flat, conductivity=3 * ones, std=0 * ones, gradient=0 * flat.gradient)
    save_landscapes([SYSTEM], [flat], tmp_path / "landscape.png")
    assert not [part for part in drawn[0].axes[0].collections if isinstance(part, Quiver)]
