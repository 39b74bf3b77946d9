"""What a process over the shipped model learns of random measurements, by what its distance is measured in.

    python -m tests.benchmarks.bench_doubt [MEASURED]

On the pools of compare-carbonates and compare-basins, 25 laboratories each: error, negative log likelihood
and share of the truth inside the central 90 %, of all candidates and of the best 5 %.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from campaigns.arenas import Arena
from campaigns.contests import choose_comparison, contest
from campaigns.learning import Learnt
from campaigns.oracles import VirtualLaboratory

_SEEDS = range(2000, 2025)
_CENTRAL = 1.645
FORMS = ("the model's own", "one for all", "own, and its median")


def main(measured: int) -> None:
    """Print the table."""
    torch.set_num_threads(1)
    table = Table("pool", "standard deviation", "error", "NLL", "inside", "error, best 5 %", "NLL", "inside")
    for job in ("compare-carbonates", "compare-basins"):
        asked = contest(choose_comparison(job))
        own = asked.arena.prior_std
        truth = torch.from_numpy(asked.inside)
        best = truth >= truth.quantile(0.95)
        for form in FORMS:
            std = torch.full_like(own, float(own.mean())) if form == "one for all" else own
            arena = replace(asked.arena, prior_std=std)
            as_it_is = patch.object(Arena, "unsure", lambda arena, doubt: arena.prior_std)
            rows = []
            with nullcontext() if form == FORMS[2] else as_it_is:
                for seed in _SEEDS:
                    places = np.random.default_rng(seed).choice(len(arena), measured, replace=False).tolist()
                    values = torch.tensor(asked.values(places, seed))
                    mean, std = Learnt.of(arena, torch.tensor(places), values, seed).mean_and_std(arena)
                    there = truth + np.log10(VirtualLaboratory(seed=seed).factor)
                    rows.append(_scores(there, mean, std) + _scores(there[best], mean[best], std[best]))
            table.add_row(job, form, *(f"{one:.3f}" for one in np.mean(rows, axis=0)))
    Console(width=120).print(table)


def _scores(truth: Tensor, mean: Tensor, std: Tensor) -> list[float]:
    z = (truth - mean) / std
    nll = (z.square() / 2 + std.log()).mean()
    inside = (z.abs() < _CENTRAL).double().mean()
    return [float((truth - mean).square().mean().sqrt()), float(nll), float(inside)]


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 40)
