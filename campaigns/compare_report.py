"""What a comparison tells: curves, a summary with intervals, paired tests, and what may be said."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from scipy.stats import bootstrap, rankdata, wilcoxon

from activelearn.acquisition import Goal
from activelearn.shards import written_whole
from campaigns.compare_plots import save_curves
from campaigns.worth import CONDUCTIVITY, Target

Floats = npt.NDArray[np.float64]
LEVEL = 0.05
"""Chance of a wrong word about any pair of strategies, after Holm."""
_RESAMPLED = 2000
_NOT_REACHED = np.inf
_SHOWN = {
    "experiments_to_99": "experiments to 99 %",
    "experiments_to_95": "to 95 %",
    "regret": "regret at the end",
    "area": "mean regret",
    "found": "of the top found",
    "best": "best",
    "improvement": "over the best start",
    "seconds": "s a proposal",
}
MEASURES = tuple(_SHOWN)


@dataclass(frozen=True)
class Summary:
    """What came of a comparison.

    Attributes:
        table: A row for each strategy, the best first: the median over seeds of each of `MEASURES`, with
            `_low` and `_high` of its 95 % bootstrap interval; `share_infeasible` of all proposals; `seeds`.
        pairs: A row for each pair: `better`, `worse`, the median `difference`, `p`, and `p_holm` after Holm.
        sentences: What may be said.
    """

    table: pd.DataFrame
    pairs: pd.DataFrame
    sentences: tuple[str, ...]


def summarise(rows: pd.DataFrame, goal: Goal, target: Target = CONDUCTIVITY) -> Summary:
    """Return the summary of campaigns.

    Args:
        rows: As `compare_to_directory` returns them.
        goal: By which strategies are ordered: the mean regret over a campaign's rounds, or what share of the
            top was found at its end.
        target: What was measured.
    """
    by_campaign = rows.groupby(["strategy", "seed"], sort=False)
    measures = pd.DataFrame({campaign: _measured(one, target) for campaign, one in by_campaign}).T
    measures.index.names = ["strategy", "seed"]
    lead, sign = ("area", 1.0) if goal == "best" else ("found", -1.0)
    table = []
    for name, of in measures.groupby(level="strategy", sort=False):
        row: dict[str, object] = {
            "strategy": name,
            "seeds": len(of),
            "share_infeasible": float(of["infeasible"].sum() / of["proposals"].sum()),
        }
        for measure in MEASURES:
            row |= _with_interval(measure, of[measure].to_numpy(float))
        table.append(row)
    frame = pd.DataFrame(table).sort_values(lead, key=lambda x: sign * x, kind="stable", ignore_index=True)
    pairs = _pairs(measures[lead].unstack("strategy"), sign)
    return Summary(frame, pairs, (*_sentences(frame, pairs, goal), target.words))


def _measured(one: pd.DataFrame, target: Target) -> dict[str, float]:
    """Return the measures of one campaign.

    `improvement` is how much higher the best is at the end than at the start, as a share, of conductivities;
    of targets that may have any sign it is by how much regret fell.
    """
    last, first = one.iloc[-1], one.iloc[0]
    later = one[one["round"] > 0]
    return {
        **{f"experiments_to_{share}": _first_at(one, 1 - share / 100) for share in (95, 99)},
        "regret": float(last["regret"]),
        "area": float(later["regret"].mean()),
        "found": float(last["found"]),
        "best": float(last["best"]),
        "improvement": _improvement(first, last, target),
        "seconds": float(later["seconds"].mean()),
        "infeasible": float(later["infeasible"].sum()),
        "proposals": float(last["experiments"] - first["experiments"]),
    }


def _improvement(first: pd.Series[Any], last: pd.Series[Any], target: Target) -> float:
    if not target.is_conductivity:
        return float(first["regret"] - last["regret"])
    if first["best"] > 0:
        return float(last["best"] / first["best"] - 1)
    return np.inf if last["best"] > 0 else 0.0  # no start worked


def _first_at(one: pd.DataFrame, regret: float) -> float:
    there = one.loc[one["regret"] <= regret + 1e-12, "experiments"]
    return float(there.iloc[0]) if len(there) else _NOT_REACHED


def _with_interval(measure: str, values: Floats) -> dict[str, float]:
    """Return the median over seeds with the 95 % percentile interval of its bootstrap."""
    low = high = float(np.median(values))
    if np.isnan(low):  # nothing worked in some campaign
        pass
    elif len(values) > 1 and len(np.unique(values)) > 1:
        # Infinity as a number beyond all others, so that a median of two is beyond them with either.
        most = float(np.max(values[np.isfinite(values)], initial=0.0))
        beyond = most + 10 * (1 + float(np.abs(values[np.isfinite(values)]).max(initial=0.0)))
        found = bootstrap(
            (np.where(np.isposinf(values), beyond, values),),
            np.median,
            n_resamples=_RESAMPLED,
            method="percentile",
            rng=np.random.default_rng(0),
        ).confidence_interval
        low, high = (np.inf if end > most else float(end) for end in (found.low, found.high))
    return {measure: float(np.median(values)), f"{measure}_low": low, f"{measure}_high": high}


def _pairs(by_strategy: pd.DataFrame, sign: float) -> pd.DataFrame:
    """Return paired Wilcoxon tests over seeds, corrected by Holm's method."""
    found = []
    for one, other in combinations(by_strategy.columns, 2):
        difference = sign * (by_strategy[one] - by_strategy[other]).to_numpy(float)
        p = 1.0 if not difference.any() else float(wilcoxon(difference).pvalue)
        middle = float(np.median(difference))
        # As the test has it: of many ties the median is 0, whichever won the others.
        ahead = float(np.sign(difference) @ rankdata(np.abs(difference)))
        better, worse = (one, other) if ahead <= 0 else (other, one)
        found.append({"better": better, "worse": worse, "difference": abs(middle), "p": p})
    pairs = pd.DataFrame(found, columns=["better", "worse", "difference", "p"])
    order = pairs["p"].sort_values(kind="stable").index
    # Holm: the smallest of m p-values times m, the next times m - 1, never below one before it.
    factors = len(pairs) - np.arange(len(pairs))
    pairs.loc[order, "p_holm"] = np.minimum(1, np.maximum.accumulate(pairs.loc[order, "p"] * factors))
    return pairs


def _sentences(table: pd.DataFrame, pairs: pd.DataFrame, goal: Goal) -> tuple[str, ...]:
    best = str(table["strategy"].iloc[0])
    seeds = int(table["seeds"].iloc[0])
    worse = pairs.loc[(pairs["better"] == best) & (pairs["p_holm"] < LEVEL), "worse"].tolist()
    ahead = pairs.loc[(pairs["worse"] == best) & (pairs["p_holm"] < LEVEL), "better"].tolist()
    others = [name for name in table["strategy"].iloc[1:] if name not in (*worse, *ahead)]
    what = "the lowest mean regret" if goal == "best" else "the largest share of the top"
    value = float(table["area" if goal == "best" else "found"].iloc[0])
    first = f"{best} has {what} on the median of {seeds} seeds ({value:.3g})"
    if pairs.empty:
        return first + ".", "No other strategy was compared."
    told = ", ".join(worse) if worse else "none of the others"
    second = f"It is better than {told} (paired Wilcoxon, Holm, {LEVEL:g})"
    second += f"; from {', '.join(others)} it cannot be told apart" if others and worse else ""
    second += f"; over the seeds in pairs {', '.join(ahead)} is better than it" if ahead else ""
    if len(pairs) * 2.0 ** (1 - seeds) >= LEVEL:  # the smallest p that so many differences of one sign have
        second += f"; with {seeds} seed{'s' * (seeds != 1)} no difference could show"
    return first + ".", second + ".", _gradient_against_bayesian(pairs)


def _gradient_against_bayesian(pairs: pd.DataFrame) -> str:
    told = {
        frozenset(pair): (better, p)
        for *pair, better, p in zip(
            pairs["better"], pairs["worse"], pairs["better"], pairs["p_holm"], strict=True
        )
    }
    found = told.get(frozenset(("gradient", "bayesian")))
    if found is None:
        return "Gradient and Bayesian were not compared with each other."
    better, p = found
    if p >= LEVEL:
        return f"Gradient and Bayesian cannot be told apart (p = {p:.2g})."
    return f"Of gradient and Bayesian, {better} is better (p = {p:.2g})."


def write_comparison(
    rows: pd.DataFrame, summary: Summary, goal: Goal, out: Path, target: Target = CONDUCTIVITY
) -> list[Path]:
    """Write curves, summary and tests as CSV, the curves as PNG and what may be said; return the paths."""
    curves = rows.assign(feasible=rows["infeasible"] == 0)
    files = {
        "curves.csv": curves,
        "summary.csv": summary.table,
        "tests.csv": summary.pairs,
    }
    for name, table in files.items():
        with written_whole(out / name) as part:
            table.to_csv(part, index=False, float_format="%.6g")
    with written_whole(out / "statement.txt") as part:
        part.write_text("\n".join(summary.sentences) + "\n", encoding="utf-8")
    figure = out / "curves.png"
    save_curves(rows, goal, figure, target)
    return [*(out / name for name in files), out / "statement.txt", figure]


def print_summary(summary: Summary, console: Console) -> None:
    """Print the table of strategies, and what may be said."""
    table = Table(box=SIMPLE_HEAD)
    for heading in ("strategy", *_SHOWN.values(), "infeasible"):
        table.add_column(heading)
    for row in summary.table.to_dict("records"):
        cells = [_cell(name, row[name], row[f"{name}_low"], row[f"{name}_high"]) for name in MEASURES]
        table.add_row(str(row["strategy"]), *cells, f"{row['share_infeasible']:.2%}")
    console.print(table)
    for sentence in summary.sentences:
        console.print(sentence, soft_wrap=True, highlight=False)


def _cell(measure: str, middle: float, low: float, high: float) -> str:
    beyond = "not" if measure.startswith("experiments") else "inf"
    texts = [
        beyond if np.isinf(value) else "none" if np.isnan(value) else f"{value:.3g}"
        for value in (middle, low, high)
    ]
    return f"{texts[0]} ({texts[1]} to {texts[2]})"
