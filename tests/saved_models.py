"""The small ensembles of the tests as model directories."""

from __future__ import annotations

from pathlib import Path

from surrogates.checkpoints import card_of, save_model
from surrogates.student_card import StandsFor, StudentErrors, TaughtSpace
from tests import synthetic_laws, synthetic_mixtures
from tests.synthetic_students import SPACE, settings_of, small_student

TAUGHT_SPACE = TaughtSpace(
    solvents=tuple(SPACE.solvents.values()),
    salts=tuple(SPACE.salts.values()),
    solvents_per_mixture=SPACE.solvents_per_mixture,
    fraction_step=SPACE.fraction_step,
    molality_mol_kg=SPACE.molality_mol_kg,
    temperature_K=SPACE.temperature_K,
)
STANDS_FOR = StandsFor(
    ensemble_sha256="e",
    members=2,
    space=TAUGHT_SPACE,
    space_sha256=TAUGHT_SPACE.sha256(),
    taught=1760,
    seed=0,
    errors=StudentErrors(400, 0.1, 2.0, 1.0, 0.9, 0.8, None),
    rate_ratio=4.0,
)


def saved_law_model(directory: Path, sha256: str = "") -> str:
    """Write the small law ensemble, of log10 of a conductivity, as trained on a file; return its name."""
    ensemble = synthetic_laws.small_law_ensemble()
    data = {"source": "mine.csv", "sha256": sha256, "rows": 60}
    save_model(ensemble, card_of(ensemble, synthetic_laws.SETTINGS, data, 0, {}, ()), directory)
    return str(directory)


def saved_ensemble(directory: Path) -> str:
    """Write the small MolSets ensemble, whose target is called `y`; return its name."""
    ensemble = synthetic_mixtures.small_ensemble()
    save_model(ensemble, card_of(ensemble, synthetic_mixtures.SETTINGS, {}, 0, {}, ()), directory)
    return str(directory)


def saved_student(directory: Path, encoder: str = "diffmix") -> str:
    """Write the student of the small ensemble of an encoder; return its name."""
    network = small_student(encoder).network
    card = card_of(network, settings_of(encoder), {"source": "mine.csv"}, 0, {}, (), STANDS_FOR)
    save_model(network, card, directory)
    return str(directory)
