"""What a comparison tells: medians, intervals, tests after Holm, and words that are no stronger."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from scipy.stats import wilcoxon

from activelearn.acquisition import Goal
from campaigns.compare_report import print_summary, summarise, write_comparison
from campaigns.worth import Target


def _rows(ends: dict[str, list[float]], rounds: int = 4) -> pd.DataFrame:
    """Return campaigns whose regret falls evenly from 0.5 to an end a seed; what is found rises with it."""
    rows = []
    for name, each in ends.items():
        for seed, end in enumerate(each):
            for number in range(rounds + 1):
                regret = 0.5 + (end - 0.5) * number / rounds
                rows.append(
                    {
                        "strategy": name,
                        "seed": seed,
                        "round": number,
                        "experiments": 4 + number,
                        "best": 10 * (1 - regret),
                        "regret": regret,
                        "found": 0.5 - regret / 2,
                        "infeasible": 0,
                        "seconds": 0.1,
                        "places": "1 2",
                    }
                )
    return pd.DataFrame(rows)


RNG = np.random.default_rng(0)
GOOD, MIDDLE, BAD = (list(RNG.uniform(low, low + 0.05, 12)) for low in (0.0, 0.1, 0.3))


def test_medians_and_what_was_reached() -> None:
    table = summarise(_rows({"gradient": [0.0, 0.0, 0.02], "random": [0.4, 0.3, 0.2]}), "best").table
    first = table.iloc[0]
    assert table["strategy"].tolist() == ["gradient", "random"]
    assert first["regret"] == 0.0
    assert first["experiments_to_99"] == 8
    assert first["experiments_to_95"] == 8
    assert np.isinf(table["experiments_to_99"].iloc[1])
    assert first["improvement"] == pytest.approx(1.0)  # from 5 to 10
    assert first["area"] == pytest.approx(np.mean([0.375, 0.25, 0.125, 0.0]))
    assert table["share_infeasible"].tolist() == [0.0, 0.0]


def test_the_share_of_infeasible_proposals_leaves_the_starts_out() -> None:
    rows = _rows({"a": [0.1, 0.2]})
    rows.loc[(rows["round"] == 2) & (rows["seed"] == 0), "infeasible"] = 1
    assert summarise(rows, "best").table["share_infeasible"].tolist() == [1 / 8]


def test_intervals_hold_the_median() -> None:
    table = summarise(_rows({"a": GOOD, "b": BAD}), "best").table
    for measure in ("regret", "area", "found"):
        assert (table[f"{measure}_low"] <= table[measure]).all()
        assert (table[measure] <= table[f"{measure}_high"]).all()
        assert (table[f"{measure}_low"] < table[f"{measure}_high"]).all()


def test_pairs_are_tested_by_wilcoxon_and_corrected_by_holm() -> None:
    pairs = summarise(_rows({"a": GOOD, "b": MIDDLE, "c": BAD}), "best").pairs
    assert set(zip(pairs["better"], pairs["worse"], strict=True)) == {("a", "b"), ("a", "c"), ("b", "c")}
    areas = {
        name: np.array([np.mean([0.5 + (end - 0.5) * n / 4 for n in range(1, 5)]) for end in ends])
        for name, ends in (("a", GOOD), ("b", MIDDLE), ("c", BAD))
    }
    expected = [
        wilcoxon(areas[b] - areas[w]).pvalue for b, w in zip(pairs["better"], pairs["worse"], strict=True)
    ]
    assert pairs["p"].tolist() == pytest.approx(expected)
    order = np.argsort(pairs["p"].to_numpy(), kind="stable")
    by_hand, highest = {}, 0.0
    for place, row in enumerate(order):
        highest = max(highest, min(1.0, pairs["p"].iloc[row] * (3 - place)))
        by_hand[row] = highest
    assert pairs["p_holm"].tolist() == pytest.approx([by_hand[row] for row in range(3)])


def test_words_are_no_stronger_than_the_tests() -> None:
    same = [0.1, 0.2, 0.3, 0.15]
    told = summarise(_rows({"gradient": same, "bayesian": same[::-1]}), "best").sentences
    assert told[1] == (
        "It is better than none of the others (paired Wilcoxon, Holm, 0.05); with 4 seeds no difference "
        "could show."
    )
    assert told[2].startswith("Gradient and Bayesian cannot be told apart")
    told = summarise(_rows({"bayesian": MIDDLE, "gradient": GOOD, "random": BAD}), "best").sentences
    assert told[0].startswith("gradient has the lowest mean regret on the median of 12 seeds")
    assert told[1] == "It is better than bayesian, random (paired Wilcoxon, Holm, 0.05)."
    assert told[2].startswith("Of gradient and Bayesian, gradient is better")
    told = summarise(_rows({"greedy": GOOD, "random": BAD}), "top").sentences
    assert told[0].startswith("greedy has the largest share of the top")
    assert told[2] == "Gradient and Bayesian were not compared with each other."


def test_what_is_better_in_pairs_is_said_though_its_median_is_worse() -> None:
    # One seed of thirteen is b's loss; the median of a lies among its six wins by little.
    a, b = [0.19] * 7 + [0.49] * 6, [0.18] * 6 + [0.2] + [0.3] * 6
    told = summarise(_rows({"a": a, "b": b}), "best").sentences
    assert told[0].startswith("a has the lowest mean regret")
    assert told[1] == (
        "It is better than none of the others (paired Wilcoxon, Holm, 0.05); over the seeds in pairs b is "
        "better than it."
    )


def test_huge_values_are_no_infinity() -> None:
    rows = _rows({"a": [0.1, 0.2, 0.3]})
    table = summarise(rows.assign(best=1e9 * rows["best"]), "best", Target("modulus_Pa")).table
    assert np.isfinite(table[["best_low", "best_high"]].to_numpy()).all()
    assert table["best_high"].tolist() == pytest.approx([1e9 * rows["best"].max()])
    # Of three campaigns one reached it: a median is of those that did, or beyond all of them.
    rows.loc[rows["seed"] == 0, "regret"] = 0.0
    table = summarise(rows, "best").table
    assert table["experiments_to_99_high"].tolist() == [np.inf]
    assert np.isfinite(table["experiments_to_99_low"]).all()


def test_targets_of_any_sign_are_made_up_by_regret() -> None:
    target = Target("overpotential_V", "lowest")
    rows = _rows({"gradient": [0.0, 0.0, 0.02], "random": [0.4, 0.3, 0.2]})
    summary = summarise(rows.assign(best=-rows["best"]), "best", target)
    assert summary.table["improvement"].tolist() == pytest.approx([0.5, 0.2])
    assert summary.table["best"].tolist() == pytest.approx([-10.0, -7.0])
    assert summary.sentences[-1] == target.words


def test_campaigns_in_which_nothing_worked() -> None:
    rows = _rows({"greedy": [0.1, 0.2], "random": [0.3, 0.4]})
    failed = rows.assign(best=np.where(rows["seed"] == 0, np.nan, rows["best"]))
    table = summarise(failed, "best", Target("energy_Wh_kg")).table
    assert table["best"].isna().all()
    none = rows.assign(best=np.where(rows["round"] == 0, 0.0, rows["best"]))
    assert np.isinf(summarise(none, "best").table["improvement"]).all()
    assert (summarise(rows.assign(best=0.0), "best").table["improvement"] == 0).all()
    said = StringIO()
    print_summary(summarise(failed, "best", Target("energy_Wh_kg")), Console(width=250, file=said))
    assert "none (none to none)" in said.getvalue()


def test_one_strategy_alone() -> None:
    summary = summarise(_rows({"greedy": [0.1]}), "best")
    assert len(summary.pairs) == 0
    assert summary.table["regret_low"].tolist() == pytest.approx([0.1])
    assert summary.sentences[1] == "No other strategy was compared."


@pytest.mark.parametrize("goal", ["best", "top"])
def test_files_hold_what_was_found(goal: Goal, tmp_path: Path) -> None:
    rows = _rows({"gradient": GOOD, "bayesian": MIDDLE})
    summary = summarise(rows, goal)
    files = write_comparison(rows, summary, goal, tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(file.name for file in files)
    curves = pd.read_csv(tmp_path / "curves.csv")
    assert {"strategy", "seed", "round", "best", "regret", "feasible"} <= {*curves}
    assert len(curves) == len(rows)
    assert pd.read_csv(tmp_path / "summary.csv")["strategy"].tolist() == ["gradient", "bayesian"]
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "statement.txt").read_text().splitlines() == list(summary.sentences)
    said = StringIO()
    print_summary(summary, Console(width=200, file=said))
    assert "gradient has" in said.getvalue()


def test_of_many_ties_the_better_is_who_won_the_others() -> None:
    lost = [0.2] * 11 + [0.3 + place / 100 for place in range(9)]
    for ends in ({"a": [0.2] * 20, "b": lost}, {"b": lost, "a": [0.2] * 20}):
        pairs = summarise(_rows(ends), "best").pairs
        assert pairs["p_holm"].iloc[0] < 0.05
        assert (pairs["better"].iloc[0], pairs["worse"].iloc[0]) == ("a", "b")
    renamed = summarise(_rows({"z": [0.2] * 20, "b": lost}), "best").pairs
    assert renamed["better"].iloc[0] == "z"
