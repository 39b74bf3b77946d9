"""A small data set whose law is known, and an ensemble that has seen it."""

from __future__ import annotations

from functools import cache
from unittest.mock import patch

import numpy as np
import torch

from surrogates.encoders.molsets import MolSetsSettings
from surrogates.ensemble import EnsembleSettings, MixtureEnsemble, fit_ensemble
from surrogates.mixture_data import MixtureData, mixture_rows, tabulate
from surrogates.molecules import Component
from surrogates.prediction import Calibration
from surrogates.training import TrainingSettings

SOLVENTS = [
    Component.of(smiles) for smiles in ("O=C1OCCO1", "COC(=O)OC", "CCOC(=O)OCC", "N#CCCC#N", "COCCOC")
]
SALTS = [Component.of(smiles) for smiles in ("F[P-](F)(F)(F)(F)F.[Li+]", "F[B-](F)(F)F.[Li+]")]
ENCODER = MolSetsSettings(layers=2, hidden=4, graph=4, attention=4, descriptors=6, head=(16, 8))
SETTINGS = EnsembleSettings(
    members=2, taught=20, encoder=ENCODER, training=TrainingSettings(epochs=3, batch_size=16)
)
CALIBRATION = Calibration(2.0, 3.0, 0.8, 1.7, "")


def synthetic_data(n: int = 60, seed: int = 0) -> MixtureData:
    """Return binary mixtures at one temperature; the target rises with molality, falls with EC and LiBF4."""
    rng = np.random.default_rng(seed)
    solvents = [[SOLVENTS[i] for i in rng.permutation(len(SOLVENTS))[:2]] for _ in range(n)]
    first, molality, salt = rng.uniform(0.1, 0.9, n), rng.uniform(0.2, 2, n), rng.integers(0, 2, n)
    table, batch = tabulate(
        solvents,
        [[0.9 * share, 0.9 * (1 - share)] for share in first],
        [[SALTS[i]] for i in salt],
        molality[:, None].tolist(),
        [298.15] * n,
    )
    carbonate = (batch.fractions() * (batch.solvents == table.index()[SOLVENTS[0]])).sum(1)
    target = batch.molality[:, 0] - 2 * carbonate - 0.5 * (batch.salts[:, 0] == table.index()[SALTS[1]])
    frame = mixture_rows(table, batch, range(2, n + 2), np.zeros(n, dtype=bool))
    return MixtureData(table, batch, target, "y", frame, "mixtures.csv", "", ())


@cache
def small_ensemble() -> MixtureEnsemble:
    """Return two members that have seen 60 rows three times."""
    with patch("surrogates.teacher._TREES", 10):
        return fit_ensemble(synthetic_data(), torch.arange(60), SETTINGS, seed=0)
