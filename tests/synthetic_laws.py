"""Mixtures over temperature whose law is known, and a small law ensemble that has seen them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import torch

from surrogates.encoders.diffmix import DiffMixSettings, GraphSettings
from surrogates.encoders.mixture_law import LawName
from surrogates.law_ensemble import LawEnsemble, LawSettings, fit_law_ensemble
from surrogates.mixture_data import MixtureData, mixture_rows, tabulate
from surrogates.training import TrainingSettings
from tests.synthetic_mixtures import SALTS, SOLVENTS

TARGET = "log10_conductivity_S_cm"
TEMPERATURES_K = (250.0, 275.0, 300.0, 325.0)
ENCODER = DiffMixSettings(graph=GraphSettings(layers=1, hidden=4, molecule=4), pooled=4, pair=4, mix=(8,))
SETTINGS = LawSettings(
    members=2, encoder=ENCODER, training=TrainingSettings(epochs=2, batch_size=32, learning_rate=3e-3)
)


def vft_data(mixtures: int = 15, seed: int = 0) -> MixtureData:
    """Return binary mixtures, each at four temperatures, whose log10 is `-0.5 - c2 / (T - 150 K)`.

    `c2` is 100 K, 200 K more in pure EC, and 50 K more a mol/kg.
    """
    rng = np.random.default_rng(seed)
    each = len(TEMPERATURES_K)
    pairs = [[SOLVENTS[i] for i in rng.permutation(len(SOLVENTS))[:2]] for _ in range(mixtures)]
    first, molality, salt = rng.uniform(0.1, 0.9, mixtures), rng.uniform(0.2, 2, mixtures), rng.integers(0, 2)
    table, batch = tabulate(
        [pair for pair in pairs for _ in TEMPERATURES_K],
        [[share, 1 - share] for share in first for _ in TEMPERATURES_K],
        [[SALTS[(i + salt) % 2]] for i in range(mixtures) for _ in TEMPERATURES_K],
        molality.repeat(each)[:, None].tolist(),
        list(TEMPERATURES_K) * mixtures,
    )
    carbonate = (batch.fractions() * (batch.solvents == table.index()[SOLVENTS[0]])).sum(1)
    target = -0.5 - (100 + 200 * carbonate + 50 * batch.molality[:, 0]) / (batch.temperature_K - 150)
    n = len(target)
    frame = mixture_rows(table, batch, range(2, n + 2), np.zeros(n, dtype=bool))
    return MixtureData(table, batch, target, TARGET, frame, "mixtures.csv", "", ())


def settings_of(law: LawName) -> LawSettings:
    """Return the small settings with another law."""
    return replace(SETTINGS, encoder=replace(ENCODER, law=law))


@cache
def small_law_ensemble(law: LawName = "vft") -> LawEnsemble:
    """Return two members that have seen 60 rows twice."""
    return fit_law_ensemble(vft_data(), torch.arange(60), settings_of(law), seed=0)
