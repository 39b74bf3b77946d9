"""The small ensembles of the tests as model directories."""

from __future__ import annotations

from pathlib import Path

from surrogates.checkpoints import card_of, save_model
from tests import synthetic_laws, synthetic_mixtures


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
