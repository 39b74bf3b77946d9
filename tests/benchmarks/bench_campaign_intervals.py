"""Whether the intervals that a campaign states hold its measurements: many campaigns in a virtual laboratory.

    python -m tests.benchmarks.bench_campaign_intervals [SEEDS] [REPEATABILITY] [SPACE] [HOW]

Each campaign begins with four suggestions before anything was measured and asks four more times; each
proposal is measured once. Printed are the share of first measurements inside the stated 90 % interval, round
by round, the errors over what was stated, the noise that was stated over the laboratory's own, and how far
the best that was proposed is from the best of the space.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import torch

from campaigns.campaign import Campaign
from campaigns.oracles import VirtualLaboratory
from campaigns.propose_config import ProposeConfig

TARGET = "log10_conductivity_S_cm"
SPACES: dict[str, dict[str, Any]] = {
    "carbonates": {
        "solvents": ["EC", "PC", "DMC", "EMC"],
        "salts": ["LiPF6"],
        "solvents_per_mixture": [2, 3],
        "fraction_step": 0.1,
        "molality_mol_kg": [0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6],
    },
    "basins": {
        "solvents": ["EC", "DMC", "DME", "GBL", "EA"],
        "salts": ["LiPF6", "LiFSI"],
        "solvents_per_mixture": [2, 3],
        "fraction_step": 0.1,
        "molality_mol_kg": [0.4, 0.7, 1.0, 1.3, 1.6, 2.0],
    },
}
_ROUNDS, _Q = 5, 4


def main(seeds: int = 20, repeatability: float = 0.03, space: str = "carbonates", how: str = "pool") -> None:
    """Run the campaigns and print what they tell."""
    frames = []
    for seed in range(seeds):
        with TemporaryDirectory() as place:
            frames.append(_campaign(Path(place), seed, repeatability, space, how))
    every = pd.concat(frames)
    error = (every["value"] - every["mean"]).abs()
    every["within"] = error <= every["factor"] * every["std"]
    every["squared"] = (error / every["std"]) ** 2
    learnt = every[every["round"] > 1]
    noise, own = learnt["noise"].median(), repeatability / np.log(10)
    regret = every.groupby("seed")["regret"].min()
    print("within 90 %, by round:", every.groupby("round")["within"].mean().round(3).to_dict())
    print(f"after the first round: {learnt['within'].mean():.3f} of {len(learnt)}")
    print(f"errors over stated standard deviations: {np.sqrt(learnt['squared'].mean()):.2f}")
    print(f"stated noise over the laboratory's: {noise / own:.2f}")
    print(f"regret: median {regret.median():.2f} %, mean {regret.mean():.2f} %")


def _campaign(place: Path, seed: int, repeatability: float, space: str, how: str) -> pd.DataFrame:
    config = ProposeConfig.model_validate({"space": SPACES[space], "how": how, "seed": seed})
    campaign = Campaign.new(place / "c.db", config)
    laboratory = VirtualLaboratory(seed=seed, repeatability=repeatability, target=TARGET)
    candidates = config.space.space()
    every = candidates[0 : len(candidates)].expand().to(torch.float64)
    best = float(laboratory.expected(candidates.table, every).max())
    rows = []
    for round_ in range(1, _ROUNDS + 1):
        asked = campaign.suggest(_Q)
        came = laboratory.measure(asked)
        stored = campaign.store.history().proposals[-_Q:]
        rows.append(
            pd.DataFrame(
                {
                    "seed": seed,
                    "round": round_,
                    "mean": [one.mean[TARGET] for one in stored],
                    "std": [one.std[TARGET] for one in stored],
                    "factor": [one.interval_factor for one in stored],
                    "noise": asked[f"{TARGET}_std_aleatoric"],
                    "value": came[TARGET],
                    "regret": _regret(laboratory, asked, best),
                }
            )
        )
        campaign.record(came)
    return pd.concat(rows)


def _regret(laboratory: VirtualLaboratory, asked: pd.DataFrame, best: float) -> np.ndarray:
    """Return how far below the best each proposal is, % of the conductivity."""
    exact = VirtualLaboratory(laboratory.seed, laboratory.between, 0.0, target=TARGET)
    return 100 * (1 - 10 ** (exact.measure(asked)[TARGET].to_numpy() - best))


if __name__ == "__main__":
    given = sys.argv[1:]
    main(*(kind(one) for kind, one in zip((int, float, str, str), given, strict=False)))
