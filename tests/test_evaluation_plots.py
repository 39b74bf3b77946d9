"""Figures of a model beside measurements show the numbers they are given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from campaigns import evaluation_plots
from campaigns.evaluation_plots import save_errors, save_held_out, save_parity, save_reliability
from surrogates.calibration import LEVELS, errors_by_std, observed_shares


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """What was drawn; the files are written all the same."""
    figures: list[Figure] = []
    save = evaluation_plots._save

    def kept(figure: Figure, path: Path) -> None:
        figures.append(figure)
        save(figure, path)

    monkeypatch.setattr(evaluation_plots, "_save", kept)
    return figures


def judged(rows: int = 40) -> pd.DataFrame:
    """Rows of which every other is known; intervals of two standard deviations."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"mean": rng.normal(size=rows), "std": rng.uniform(0.5, 1, rows)})
    table["measured"] = table["mean"] + table["std"] * rng.normal(size=rows)
    table["lower_90"], table["upper_90"] = table["mean"] - 2 * table["std"], table["mean"] + 2 * table["std"]
    return table.assign(in_domain=np.arange(rows) % 2 == 0)


def test_parity_shows_means_with_their_intervals(tmp_path: Path, drawn: list[Figure]) -> None:
    table = judged()
    save_parity(table, "y", tmp_path / "p.png")
    (ax,) = drawn[0].axes
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "not in domain (20)",
        "in domain (20)",
    ]
    assert [ax.get_xlabel(), ax.get_ylabel()] == ["measured y", "predicted: mean and 90 % interval"]
    for container, known in zip(ax.containers, (False, True), strict=True):
        some = table[table["in_domain"] == known]
        points, _, (bars,) = container
        assert points.get_xydata() == pytest.approx(some[["measured", "mean"]].to_numpy())
        ends = np.array([segment[:, 1] for segment in bars.get_segments()])
        assert ends == pytest.approx(some[["lower_90", "upper_90"]].to_numpy())
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


def test_reliability_shows_shares_and_the_stated_interval(tmp_path: Path, drawn: list[Figure]) -> None:
    table = judged()
    save_reliability(table, tmp_path / "r.png")
    (ax,) = drawn[0].axes
    curves, circles = ax.lines[0:6:2], ax.lines[1:6:2]
    for known, curve, circle in zip((None, False, True), curves, circles, strict=True):
        some = table if known is None else table[table["in_domain"] == known]
        z = ((some["measured"] - some["mean"]).abs() / some["std"]).to_numpy()
        assert curve.get_xydata() == pytest.approx(np.c_[LEVELS, observed_shares(z)])
        assert circle.get_xydata()[0] == pytest.approx([0.9, (z <= 2).mean()])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        *("all rows (40)", "not in domain (20)", "in domain (20)")
    ]


def test_errors_stand_over_deviations_with_those_of_equally_sure_rows(
    tmp_path: Path, drawn: list[Figure]
) -> None:
    table = judged()
    save_errors(table, "y", tmp_path / "e.png")
    (ax,) = drawn[0].axes
    error = (table["measured"] - table["mean"]).abs()
    for points, known in zip(ax.collections, (False, True), strict=True):
        some = table["in_domain"] == known
        assert np.asarray(points.get_offsets()) == pytest.approx(np.c_[table["std"], error][some])
    stated, came = errors_by_std(error.to_numpy(), table["std"].to_numpy())
    assert ax.lines[0].get_xydata() == pytest.approx(np.c_[stated, came])
    assert len(stated) == 4
    assert [ax.get_xscale(), ax.get_yscale()] == ["log", "log"]


def test_a_kind_without_rows_is_left_out(tmp_path: Path, drawn: list[Figure]) -> None:
    for save in (lambda table, path: save_parity(table, "y", path), save_reliability):
        save(judged(1), tmp_path / "a.png")
        texts = [text.get_text() for text in drawn[-1].axes[0].get_legend().get_texts()]
        assert texts[-1] == "in domain (1)"
        assert "not in domain (0)" not in texts


def test_each_kind_of_split_gets_a_figure_of_the_models_own_words(
    tmp_path: Path, drawn: list[Figure]
) -> None:
    one, other = judged(60), judged(50)
    parts = [
        one.assign(splits="random", model="gp"),
        other.assign(splits="solvent", model="gp"),
        one.assign(splits="random", model="forest"),
    ]
    names = {"measured": "y", **{part: f"y_{part}" for part in ("mean", "std", "lower_90", "upper_90")}}
    held_out = pd.concat(parts).drop(columns="in_domain").rename(columns=names)
    paths = save_held_out(held_out, "gp", "y", tmp_path)
    assert [path.name for path in paths] == ["held_out_random.png", "held_out_solvent.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)
    for figure, table in zip(drawn, (one, other), strict=True):
        parity, reliability, errors = figure.axes
        assert parity.get_legend().get_texts()[0].get_text() == f"test rows ({len(table)})"
        points, _, _ = parity.containers[0]
        assert points.get_xydata() == pytest.approx(table[["measured", "mean"]].to_numpy())
        shares = observed_shares(((table["measured"] - table["mean"]).abs() / table["std"]).to_numpy())
        assert reliability.lines[0].get_ydata() == pytest.approx(shares)
        assert reliability.get_legend().get_texts()[-1].get_text() == "all rows, recalibrated on each other"
        assert errors.get_xscale() == "log"
