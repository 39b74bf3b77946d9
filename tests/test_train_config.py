"""The bundled jobs of training say what the README tells of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from campaigns.config import load_yaml, resolve_job
from campaigns.train_config import TrainConfig
from surrogates.law_ensemble import LawSettings


@pytest.mark.parametrize(
    ("job", "facts", "beside"),
    [
        ("diffmix-conductivity", False, ("no-law", "fingerprint", "forest")),
        ("diffmix-extrapolation", False, ("no-law", "no-law-log", "fingerprint", "forest")),
        ("diffmix-calisol", True, ()),
        ("calisol-rivals", True, ("no-law", "fingerprint", "forest")),
        ("calisol-surrogates", True, ("gp", "deep-kernel", "forest")),
        ("diffmix-surrogates", False, ("gp", "deep-kernel")),
        ("calisol-extrapolation", True, ("no-law", "no-law-log", "fingerprint", "forest")),
    ],
)
def test_the_bundled_law_jobs_can_be_read(job: str, facts: bool, beside: tuple[str, ...]) -> None:
    config = load_yaml(resolve_job(job), TrainConfig)
    settings = config.settings()
    assert isinstance(settings, LawSettings)
    assert settings.encoder == replace(LawSettings().encoder, facts=facts)
    assert config.target == "log10_conductivity_S_cm"
    assert config.beside == beside


def test_the_surrogates_of_molsets_stand_on_the_first_splits_of_the_model_that_ships() -> None:
    ships, beside = (
        load_yaml(resolve_job(job), TrainConfig) for job in ("molsets-conductivity", "molsets-surrogates")
    )
    assert beside.settings() == ships.settings()
    assert (beside.seed, beside.splits.test_fraction) == (ships.seed, ships.splits.test_fraction)
    assert beside.beside == ("gp", "gp-variational", "deep-kernel", "forest")
