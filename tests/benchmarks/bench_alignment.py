"""What a few measurements of a laboratory do for a model that has not seen it: papers of CALiSol-23.

    python -m tests.benchmarks.bench_alignment results/model/held_out.csv

`held_out.csv` is what `activelearn train diffmix-calisol` writes beside its model: what ensembles that had
not seen a paper said of its rows. Each paper stands for a laboratory in turn. A few of its rows are given,
drawn at random or chosen of 300 drawn ones by `telling_rows`; the model is aligned with them, and the others
test. What is expected of laboratories is estimated from the other papers. Rows that are known to hold another
conductivity than was measured are left out. The method was chosen looking at all papers, on other draws: the
figures are slightly kind. First comes what all papers say, the numbers of `default_laboratories`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import pandas as pd
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from surrogates.aligned_model import unseen_laboratories
from surrogates.alignment import align
from surrogates.calisol_data import load_calisol
from surrogates.checkpoints import load_model
from surrogates.laboratories import Compared, Laboratories, estimate_laboratories
from surrogates.telling_rows import telling_rows
from tests.benchmarks.measuring import public_data

GIVEN = (3, 5, 10)
DRAWS = range(100, 120)
"""Seeds; the method was chosen on others."""
WAYS = ("chosen", "random")
CANDIDATES = 300
"""Rows of a paper among which those that are measured are chosen."""
TESTED = 400
"""Rows of a paper that test at most."""
FEWEST = 4
"""Rows that must be left to test."""


def main() -> None:
    """Print errors and coverage of the rest, with and without alignment."""
    torch.set_num_threads(1)
    data_dir, _ = public_data()
    if len(sys.argv) < 2:
        print("Skipped: give the held_out.csv of `activelearn train diffmix-calisol`.")
        return
    data = load_calisol(data_dir / "calisol23" / "calisol23_dtu.csv")
    model = load_model(Path(str(files("surrogates") / "pretrained" / "diffmix-calisol")))
    papers = unseen_laboratories(model, data, pd.read_csv(sys.argv[1]))
    papers.sort(key=len, reverse=True)
    print(estimate_laboratories(papers))
    found = []
    for rank, paper in enumerate(papers, 1):
        others = [other for other in papers if other is not paper]
        expected = estimate_laboratories(others)
        log10 = model.shift + model.scale * paper.z
        found += [{"rank": rank, **row} for row in judged(paper, log10, expected)]
    table = pd.DataFrame(found)
    for name, parity in (("odd ranks", 1), ("even ranks", 0)):
        Console(width=160).print(summary(table[table["rank"] % 2 == parity], name))
    Console(width=160).print(summary(table, "all papers"))


def judged(paper: Compared, log10: Tensor, expected: Laboratories) -> list[dict[str, object]]:
    """Return a row for each number of given measurements, way to choose them, and draw."""
    return [
        {"given": given, "rows": how, **judged_once(paper, log10, expected, given, how, draw)}
        for given in GIVEN
        if len(paper) >= given + FEWEST
        for how in WAYS
        for draw in DRAWS
    ]


def judged_once(
    paper: Compared, log10: Tensor, expected: Laboratories, given: int, how: str, draw: int
) -> dict[str, object]:
    """Return errors of the rows that were not given, before and after the alignment, and their coverage."""
    order = torch.randperm(len(paper), generator=torch.Generator().manual_seed(draw))
    some = order[:given]
    if how == "chosen":
        candidates = order[:CANDIDATES]
        some = candidates[telling_rows(paper[candidates], expected, given, 10 ** log10[candidates])]
    rest = order[~torch.isin(order, some)][:TESTED]
    alignment = align(paper[some], expected).alignment
    tested = paper[rest]
    shift, unsure = alignment.correction(tested)
    std = (alignment.scattered(tested.std**2, is_aleatoric=True) + unsure).sqrt()
    error = tested.difference - shift
    return {
        "family": alignment.family,
        "before_log10": float(tested.difference.abs().mean()),
        "after_log10": float(error.abs().mean()),
        "before_mS_cm": mS_cm(log10[rest], tested.difference),
        "after_mS_cm": mS_cm(log10[rest] + shift, error),
        "coverage": float((error.abs() <= alignment.interval_factor * std).double().mean()),
    }


def mS_cm(log10: Tensor, error: Tensor) -> float:
    """Return the mean absolute error of conductivities whose log10, in S/cm, is too low by `error`."""
    return float((10 ** (log10 + 3) - 10 ** (log10 + error + 3)).abs().mean())


def summary(found: pd.DataFrame, name: str) -> Table:
    """Return the table of some papers: a paper's error is the mean of its draws."""
    families = ("none", "factor", "slope", "residual")
    title = f"Error of the rest, after / before: {name}"
    table = Table("given", "rows", "papers", *RATIOS, "coverage", *families, title=title)
    for (given, how), rows in found.groupby(["given", "rows"]):
        paper = rows.groupby("rank").mean(numeric_only=True)
        ratios: list[str] = []
        for unit in ("log10", "mS_cm"):
            ratio = paper[f"after_{unit}"] / paper[f"before_{unit}"]
            ratios += [f"{ratio.median():.2f}", f"{ratio.max():.2f}", f"{(ratio > 1.05).sum()}"]
        share = rows["family"].value_counts(normalize=True)
        chosen = [f"{share.get(family, 0.0):.0%}" for family in families]
        coverage = f"{paper['coverage'].mean():.3f}"
        table.add_row(str(given), str(how), str(len(paper)), *ratios, coverage, *chosen)
    return table


RATIOS: Sequence[str] = (
    *("median, log10", "worst", "above 1.05"),
    *("median, mS/cm", "worst", "above 1.05"),
)

if __name__ == "__main__":
    main()
