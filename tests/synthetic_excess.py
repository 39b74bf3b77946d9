"""Excess volumes of five molecules by a Redlich-Kister law that is known."""

from __future__ import annotations

import pandas as pd
import torch

from surrogates.excess_data import ExcessData, pair_up
from surrogates.molecules import Component

SMILES = ("CCO", "O", "CC1COC(=O)O1", "COC(=O)OC", "CC#N")
PAIRS = ((0, 1), (0, 2), (1, 2), (3, 2), (0, 3), (4, 1))
FRACTIONS = [0.05 + 0.1 * step for step in range(10)]


def excess(noise: float = 0.0) -> ExcessData:
    """Return 60 measurements, ten of each of six pairs; a pair's coefficients depend on its place."""
    which = [(pair, x) for pair in range(len(PAIRS)) for x in FRACTIONS]
    first, second = ([Component.of(SMILES[PAIRS[pair][slot]]) for pair, _ in which] for slot in (0, 1))
    table, molecules, pairs = pair_up(first, second)
    x = torch.tensor([x for _, x in which], dtype=torch.float64)
    place = torch.tensor([float(pair) for pair, _ in which], dtype=torch.float64)
    curve = x * (1 - x) * (place - 2 + 0.5 * (2 * x - 1))
    rough = noise * torch.randn(len(x), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return ExcessData(
        table=table,
        molecules=molecules,
        x=x,
        temperature_K=torch.full((len(x),), 298.15, dtype=torch.float64),
        target=curve + rough,
        target_name="excess_molar_volume_cm3_mol",
        rows=pd.DataFrame({"file": "made", "paper": "", "pair": pairs.numpy(), "suspect": False}),
        source="made.csv",
        sha256="0" * 64,
        report=("60 rows",),
    )
