"""Figures show the numbers they are given, with their units."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from campaigns import plots
from campaigns.plots import (
    LISTED,
    condition_words,
    save_list,
    save_maps,
    save_profiles,
    with_subscripts,
)
from surrogates.discharge_objectives import Objective

FIRST = Objective("first", "capacity", 20, 2.0, 4.8, 1)
RETAINED = Objective("retained", "retention_30", 20, 2.0, 4.35, 30)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """What was drawn; the files are written all the same."""
    figures: list[Figure] = []
    save = plots._save

    def kept(figure: Figure, path: Path) -> None:
        figures.append(figure)
        save(figure, path)

    monkeypatch.setattr(plots, "_save", kept)
    return figures


def grid() -> pd.DataFrame:
    """2 x 3 compositions out of order, one of which there is not, one unknown."""
    table = pd.DataFrame(
        [(lithium, fluorine) for fluorine in (0.2, 0.0, 0.1) for lithium in (1.3, 1.2)],
        columns=["lithium", "fluorine"],
    )
    for name in ("first_mean", "first_std", "retained_mean", "retained_std"):
        table[name] = len(name) + 100 * table["lithium"] + 10 * table["fluorine"]
    table["in_domain"] = table["fluorine"] < 0.15
    return table.iloc[1:]


def test_a_map_shows_each_objective_beside_its_deviation(tmp_path: Path, drawn: list[Figure]) -> None:
    save_maps(grid(), [FIRST, RETAINED], tmp_path / "maps.png")
    panels, bars = drawn[0].axes[:4], drawn[0].axes[4:]
    assert [ax.get_title() for ax in panels] == [
        *["cycle 1, 20 mA/g, 2.0 to 4.8 V"] * 2,
        *["cycle 30, 20 mA/g, 2.0 to 4.35 V"] * 2,
    ]
    assert [bar.get_ylabel() for bar in bars] == [
        "capacity (mAh/g)",
        "standard deviation of capacity (mAh/g)",
        "capacity of cycle 30 over that of cycle 1",
        "standard deviation of capacity of cycle 30 over that of cycle 1",
    ]
    assert [panels[2].get_xlabel(), panels[2].get_ylabel()] == ["F per two anions", "Li per two anions"]
    for ax, name in zip(panels, ("first_mean", "first_std", "retained_mean", "retained_std"), strict=True):
        shown = np.ma.filled(ax.collections[0].get_array().reshape(2, 3), np.nan)
        expected = [[len(name) + 100 * li + 10 * f for f in (0.0, 0.1, 0.2)] for li in (1.2, 1.3)]
        expected[1][2] = np.nan  # no such composition
        assert shown == pytest.approx(np.array(expected), nan_ok=True)
    assert drawn[0].get_suptitle() == "hatched: not in the model's domain"
    assert (tmp_path / "maps.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.iterdir()] == ["maps.png"]


def test_a_map_of_known_cathodes_is_not_hatched(tmp_path: Path, drawn: list[Figure]) -> None:
    save_maps(grid().assign(in_domain=True), [FIRST], tmp_path / "maps.png")
    assert drawn[0].get_suptitle() == ""
    assert [len(ax.collections) for ax in drawn[0].axes[:2]] == [1, 1]


def test_profiles_show_voltage_over_charge_with_the_band(tmp_path: Path, drawn: list[Figure]) -> None:
    voltage = np.array([1.5, 3.0, 4.8])
    curve = pd.DataFrame({"V_low": 1.5, "V_high": 4.8, "voltage_V": voltage, "cycle": 1})
    curve["charge_mAh_g_mean"], curve["charge_mAh_g_std"] = 300 - 60 * voltage, 10.0
    curve["dQ_dV_mAh_g_V_mean"], curve["dQ_dV_mAh_g_V_std"] = -60.0, 5.0
    curves = pd.concat([curve.assign(rate_mA_g=1000), curve.assign(rate_mA_g=20)])
    curves = curves.assign(in_domain=True, warning="")
    save_profiles(curves, "Li1.2Mn0.4Ti0.4O2", tmp_path / "profile.png")
    left, right = drawn[0].axes
    assert drawn[0].get_suptitle() == "Li$_{1.2}$Mn$_{0.4}$Ti$_{0.4}$O$_{2}$"
    assert (left.get_xlabel(), left.get_ylabel()) == ("discharge capacity (mAh/g)", "voltage (V)")
    assert (right.get_xlabel(), right.get_ylabel()) == ("voltage (V)", "dQ/dV (mAh/g/V)")
    assert [text.get_text() for text in left.get_legend().get_texts()] == [
        "cycle 1, 1000 mA/g, 1.5 to 4.8 V",
        "cycle 1, 20 mA/g, 1.5 to 4.8 V",
    ]
    assert left.lines[1].get_xydata().tolist() == np.c_[300 - 60 * voltage, voltage].tolist()
    band = left.collections[0].get_paths()[0].vertices
    assert (band[:, 0].min(), band[:, 0].max()) == pytest.approx((2, 220))
    slopes = right.collections[0].get_paths()[0].vertices[:, 1]
    assert (slopes.min(), slopes.max()) == (-65, -55)
    curves["in_domain"], curves["warning"] = False, np.where(curves["rate_mA_g"] == 20, "", "rate")
    save_profiles(curves, "LiMnO2", tmp_path / "profile.png")
    assert drawn[1].get_suptitle() == "LiMnO$_{2}$ (not in the model's domain)"
    assert [text.get_text() for text in drawn[1].axes[0].get_legend().get_texts()] == [
        "cycle 1, 1000 mA/g, 1.5 to 4.8 V (not trained on such)",
        "cycle 1, 20 mA/g, 1.5 to 4.8 V",
    ]


def test_amounts_are_subscripts() -> None:
    assert with_subscripts("Li 1.2 Mn(TiO2)2F") == "Li$_{1.2}$Mn(TiO$_{2}$)$_{2}$F"


def test_conditions_in_words() -> None:
    assert condition_words(20.0, 1.0, 2, 4.35) == "cycle 1, 20 mA/g, 2.0 to 4.35 V"


def test_a_list_shows_means_deviations_and_the_intervals_of_the_best(
    tmp_path: Path, drawn: list[Figure]
) -> None:
    count = 20
    ranked = pd.DataFrame(
        {
            "rank": range(1, count + 1),
            "solvent_1": "EC",
            "solvent_1_smiles": "O=C1OCCO1",
            "solvent_2": ["DMC", None] * (count // 2),
            "salt": "LiPF6",
            "y_mean": np.linspace(5, 1, count),
            "y_std": np.linspace(1, 2, count),
            "y_lower_90": np.linspace(4, 0, count),
            "y_upper_90": np.linspace(6, 2, count),
            "in_domain": [True, False] * (count // 2),
        }
    )
    save_list(ranked, "y", tmp_path / "ranked.png")
    left, right = drawn[0].axes
    assert [len(points.get_offsets()) for points in left.collections] == [10, 10]
    assert [text.get_text() for text in left.get_legend().get_texts()] == [
        "not in domain (10)",
        "in domain (10)",
    ]
    assert [left.get_xlabel(), left.get_ylabel()] == ["standard deviation of a measurement", "mean of y"]
    intervals, means = right.lines[::2], right.lines[1::2]
    assert [line.get_xdata().tolist() for line in intervals] == ranked[["y_lower_90", "y_upper_90"]][
        :LISTED
    ].to_numpy().tolist()
    assert [line.get_xdata()[0] for line in means] == ranked["y_mean"][:LISTED].tolist()
    labels = [label.get_text() for label in right.get_yticklabels()]
    assert labels[:2] == ["1. EC + DMC, LiPF6", "2. EC, LiPF6"]
    assert (tmp_path / "ranked.png").read_bytes().startswith(b"\x89PNG")
