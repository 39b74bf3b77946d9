"""A space small enough to be taught whole, and students of the small ensembles that have seen most of it."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from activelearn.spaces import MixtureSpace
from campaigns.screen import taught_space
from surrogates.ensemble import EnsembleSettings, MixtureEnsemble
from surrogates.law_ensemble import LawEnsemble, LawSettings
from surrogates.student import Student
from surrogates.student_training import StudentSettings, student_settings, teach
from tests import synthetic_laws, synthetic_mixtures
from tests.synthetic_laws import small_law_ensemble
from tests.synthetic_mixtures import SALTS, SOLVENTS, small_ensemble

SPACE = MixtureSpace(
    solvents={solvent.smiles: solvent for solvent in SOLVENTS},
    salts={salt.smiles: salt for salt in SALTS},
    fraction_step=0.1,
    molality_mol_kg=(0.5, 1.0, 1.5, 2.0),
    temperature_K=(273.15, 298.15, 323.15),
)
"""2,160 candidates; a MolSets model of one temperature says the same at all three."""
TAUGHT = taught_space(SPACE)
ENSEMBLES = ("molsets", "diffmix")
TEACHING = StudentSettings(steps=400, learning_rate=1e-2)


def ensemble_of(encoder: str) -> MixtureEnsemble | LawEnsemble:
    """Return the small ensemble of an encoder."""
    return small_ensemble() if encoder == "molsets" else small_law_ensemble()


def settings_of(encoder: str) -> EnsembleSettings | LawSettings:
    """Return the settings of its student."""
    settings = synthetic_mixtures.SETTINGS if encoder == "molsets" else synthetic_laws.SETTINGS
    return student_settings(settings, TEACHING.training(len(parts()[0])))


def parts() -> tuple[Tensor, Tensor]:
    """Return the candidates that are taught and the fresh ones."""
    order = torch.randperm(len(SPACE), generator=torch.Generator().manual_seed(0))
    return order[400:], order[:400]


@cache
def small_student(encoder: str) -> Student:
    """Return the student of the small ensemble of an encoder."""
    taught = SPACE.at(parts()[0])
    return teach(ensemble_of(encoder), settings_of(encoder), TAUGHT, SPACE.table, taught, seed=0)
