"""How far the virtual laboratory's law is from what was measured, CALiSol-23 and a robot's ternary.

    python -m tests.benchmarks.bench_virtual_laboratory

The law's constants are as they ship; nothing is fitted here. They were calibrated on most of these rows by
whoever wrote the law down, so that the first two rows are kinder than those of the law's own account, where
the constants were fitted again without the paper tested. What that account says stands in the last column; it
does not say which rows it left out.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from rich.console import Console
from rich.table import Table
from scipy.stats import spearmanr

from activelearn.landscape import TernarySystem
from campaigns.virtual_conductivity import COLDEST_K, WARMEST_K, VirtualConductivity
from surrogates.chemicals import resolve
from surrogates.datasets import load_dataset
from surrogates.mixture_data import MixtureData
from surrogates.molecules import Component, MoleculeTable
from tests.benchmarks.measuring import public_data

LOW_PAPER = "10.1016/S0378-7753(01)00697-8"
"""LiAsF6 in PC/DME, 45 rows: 1.7 mS/cm at 1 mol/kg and 25 C, where another paper has 13.2 at 20 C. The law is
9.4 to 11.6 times each of them, so that they are most likely ten times too low."""
SYSTEM = ("PC", "DMC", "EC")
LITHIUM, ROBOT_K = 0.08, 303.15
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    data_dir, reference_dir = public_data()
    table = Table("measured", "n", "MAE, mS/cm", "bias", "median error", "R2", "rho", "the law's account")
    for row in (*calisol_rows(load_dataset("calisol23", data_dir)), *robot_rows(reference_dir)):
        table.add_row(*row)
    Console(width=150).print(table)


def calisol_rows(data: MixtureData) -> list[list[str]]:
    """Return a row for each part of CALiSol-23 that the law can be asked of."""
    law = VirtualConductivity.bind(data.table)
    batch = data.batch
    used = batch.weights > 0
    T = batch.temperature_K
    is_known = (law.is_solvent[batch.solvents] | ~used).all(-1) & law.is_salt[batch.salts].all(-1)
    asked = torch.nonzero(is_known & (T >= COLDEST_K) & (T <= WARMEST_K))[:, 0]
    data = data.take(asked)
    law = VirtualConductivity.bind(data.table)
    said, measured = law.conductivity(data.batch).numpy(), (10 ** (data.target + 3)).numpy()
    is_carbonate = (law.labels(data.batch) < 2).numpy()
    salts = [component.smiles for component in data.table.components]
    is_LiPF6 = np.array([smiles == resolve("LiPF6") for smiles in salts])[data.batch.salts[:, 0].numpy()]
    is_low = (data.rows["paper"] == LOW_PAPER).to_numpy()
    parts: list[tuple[str, Mask, str]] = [
        ("carbonates, 8 salts", is_carbonate, "n 9,338: 0.35, 8.5 %, R2 0.96, rho 0.97"),
        ("its LiPF6 alone", is_carbonate & is_LiPF6, "0.38, rho 0.990"),
        ("with other solvents", ~is_carbonate, "n 2,484: 0.92, rho 0.95"),
        ("the same without a paper", ~is_carbonate & ~is_low, f"without {LOW_PAPER}"),
    ]
    return [row(name, said[part], measured[part], account) for name, part, account in parts]


def robot_rows(reference_dir: Path) -> list[list[str]]:
    """Return a row of the robot's 28 measurements of PC/DMC/EC with LiPF6, and one with a factor for it."""
    cells = pd.read_csv(reference_dir / "diffmix_table_s2.csv")
    measured = cells["conductivity_measured_mS_cm"].to_numpy()
    system = TernarySystem(
        {name: Component.of(resolve(name)) for name in SYSTEM},
        "LiPF6",
        Component.of(resolve("LiPF6")),
        LITHIUM,
    )
    table = MoleculeTable.build(system.components)
    x = torch.from_numpy(cells[[f"x_{name}" for name in SYSTEM]].to_numpy(dtype=np.float64))
    x = x / x.sum(-1, keepdim=True)
    law = VirtualConductivity.bind(table)

    def at(T: torch.Tensor) -> Floats:
        return law.conductivity(system.mixtures(table, x, T)).numpy()

    said = at(torch.from_numpy(cells["temperature_measured_C"].to_numpy() + 273.15))
    factor = float(np.median(measured / said))
    at_30_C = at(torch.full((len(x),), ROBOT_K, dtype=torch.float64))
    return [
        row("PC/DMC/EC, at the temperatures measured", said, measured, "1.01, bias -1.01, rho 0.93"),
        row(f"the same times {factor:.3f}", factor * said, measured, "times about 1.09: 0.12"),
        row("PC/DMC/EC, all at 30 C", at_30_C, measured, ""),
    ]


def row(name: str, said: Floats, measured: Floats, account: str) -> list[str]:
    """Return the scores of one set."""
    wrong = said - measured
    rest = 1 - np.square(wrong).sum() / np.square(measured - measured.mean()).sum()
    return [
        name,
        f"{len(said):,}",
        f"{np.abs(wrong).mean():.3f}",
        f"{wrong.mean():+.3f}",
        f"{np.median(np.abs(wrong) / measured):.1%}",
        f"{rest:.3f}",
        f"{spearmanr(said, measured).statistic:.3f}",
        account,
    ]


if __name__ == "__main__":
    main()
