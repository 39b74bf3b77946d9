"""The DiffMix data: simulated conductivities of ternary carbonate electrolytes over temperature."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from surrogates.chemicals import resolve
from surrogates.mixture_data import MixtureData, mixture_rows, tabulate
from surrogates.mole_fractions import molalities, weight_fractions
from surrogates.molecules import Component

TARGET = "log10_conductivity_S_cm"
DOUBTFUL_MOLALITY = 0.1
"""mol/kg: the rows at 0.02 to 0.03 mol/kg look unreliable; the next stand at 0.5 mol/kg."""


def load_diffmix(path: Path) -> MixtureData:
    """Return all rows of `published_AEM_data.csv`; its hash must have been checked.

    Mole fractions of three solvents, anion and cation become weight fractions among the solvents and mol salt
    per kg of them. A solvent at fraction 0 is not part of the mixture. The target is log10 of conductivity
    [S/cm], from the Advanced Electrolyte Model. `rows` has one more column: `doubtful` (molality below 0.1).

    Most mixtures stand in several rows, with their solvents in another order: see `repeat`, and split by
    `mixture`.

    Args:
        path: The table, as published.

    Source: Zhu et al., Nat. Commun. 15, 8649 (2024).
    """
    cells = pd.read_csv(path)
    components = {
        name: Component.of(resolve(name))
        for name in pd.unique(cells[["sub1_name", "sub2_name", "sub3_name", "salt"]].to_numpy().ravel())
    }
    names = cells[["sub1_name", "sub2_name", "sub3_name"]].to_numpy()
    x = torch.tensor(cells[[f"x{i} (mole fraction)" for i in (1, 2, 3)]].to_numpy(dtype=np.float64))
    molar_mass = torch.tensor(np.vectorize(lambda name: components[name].molar_mass)(names))
    salts = torch.tensor(cells[["x5 (cation, mole fraction)"]].to_numpy())  # one cation in a formula unit
    table, batch = tabulate(
        [[components[name] for name in row[used]] for row, used in zip(names, (x > 0).numpy(), strict=True)],
        [row[row > 0].tolist() for row in weight_fractions(x, molar_mass)],
        [[components[salt]] for salt in cells["salt"]],
        molalities(salts, x, molar_mass).tolist(),
        cells["temperature (K)"].to_numpy(),
    )
    is_doubtful = (batch.molality[:, 0] < DOUBTFUL_MOLALITY).numpy()
    rows = mixture_rows(table, batch, range(2, len(cells) + 2), np.zeros(len(cells), dtype=bool))
    rows = rows.assign(doubtful=is_doubtful)
    return MixtureData(
        table=table,
        batch=batch,
        target=torch.tensor(np.log10(cells["ionic conductivity (mS/cm)"].to_numpy()) - 3),
        target_name=TARGET,
        rows=rows,
        source=path.name,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        report=(
            f"{len(cells)} rows read, none dropped; {int(((x > 0).sum(1) > 1).sum())} hold 2 or 3 solvents",
            f"{int((x == 0).any(1).sum())} rows: solvents at fraction 0 left out",
            f"{len(cells)} rows: weight fractions and molality computed from mole fractions",
            f"{int(is_doubtful.sum())} rows: molality below {DOUBTFUL_MOLALITY:g} mol/kg, kept, flagged "
            "doubtful",
            f"{int(rows['repeat'].sum())} rows: mixture and temperature of an earlier row, flagged repeat",
        ),
    )
